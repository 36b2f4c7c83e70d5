"""All backbones of the catalog, and the look-up of one with its arguments and weights."""

from collections.abc import Mapping
from typing import Any

from tfft.catalog import (
    convnext,
    densenet,
    efficientnet,
    inception,
    lite,
    mobilenet,
    nasnet,
    resnet,
    vgg,
)
from tfft.catalog.image_size import ImageSize
from tfft.catalog.spec import ArgumentSpec, BackboneSpec, WeightsFile
from tfft.errors import BackboneError, nearest

_SPECS = (
    *lite.SPECS,
    *mobilenet.SPECS,
    *resnet.SPECS,
    *efficientnet.SPECS,
    *convnext.SPECS,
    *densenet.SPECS,
    *inception.SPECS,
    *nasnet.SPECS,
    *vgg.SPECS,
)


def backbone_specs() -> tuple[BackboneSpec, ...]:
    """Returns every backbone that tfft can build, family by family."""
    return _SPECS


def backbone_spec(kind: str, name: str) -> BackboneSpec:
    """Returns the backbone of this kind and name.

    Raises:
        BackboneError: There is no such backbone; the message names the nearest.
    """
    by_name = {spec.name: spec for spec in _SPECS if spec.kind == kind}
    if name in by_name:
        return by_name[name]
    other_kinds = [spec.kind for spec in _SPECS if spec.name == name]
    if other_kinds:
        hint = f" {name} is of kind {other_kinds[0]!r}."
    else:
        hint = nearest(name, by_name) or " `tfft backbones` lists them all."
    raise BackboneError(f"no backbone of kind {kind!r} has this name.{hint} Received: {name!r}")


def resolve_arguments(spec: BackboneSpec, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the value of every documented builder argument, with defaults filled in.

    Raises:
        BackboneError: An argument is unknown, of the wrong type or out of range; the message has
            a line for each fault.
    """
    faults = [
        fault
        for name, value in arguments.items()
        if (fault := _fault(spec, name, value)) is not None
    ]
    if faults:
        raise BackboneError("\n".join(faults))
    return {
        name: argument.type(arguments.get(name, argument.default))
        for name, argument in spec.arguments.items()
    }


def _fault(spec: BackboneSpec, name: str, value: Any) -> str | None:
    argument = spec.arguments.get(name)
    if argument is None:
        allowed = ", ".join(spec.arguments) or "none"
        hint = nearest(name, spec.arguments)
        return (
            f"{spec.name} has no argument of this name.{hint} Allowed: {allowed}. "
            f"Received: {name!r}"
        )
    if not _has_type(value, argument):
        return f"{name} of {spec.name} must be {argument.type.__name__}. Received: {value!r}"
    least = argument.minimum
    above = least is None or (value > least if argument.type is float else value >= least)
    if not above:
        bound = "above" if argument.type is float else "at least"
        return f"{name} of {spec.name} must be {bound} {argument.minimum}. Received: {value!r}"
    return None


def _has_type(value: object, argument: ArgumentSpec) -> bool:
    if argument.type is bool:
        return isinstance(value, bool)
    numbers = (int, float) if argument.type is float else (int,)
    return isinstance(value, numbers) and not isinstance(value, bool)


def weights_file(
    spec: BackboneSpec, arguments: Mapping[str, Any], size_px: ImageSize
) -> WeightsFile | None:
    """Returns the file with the ImageNet weights for these builder arguments, or None.

    Where weights for several image sizes are published, those for `size_px` are chosen, or else
    those for the default size, as Keras does.
    """
    fitting = [
        file
        for file in spec.weights
        if all(arguments[name] == value for name, value in file.arguments.items())
    ]
    for wanted in (size_px, spec.default_size_px, None):
        for file in fitting:
            if file.size_px == wanted:
                return file
    return None
