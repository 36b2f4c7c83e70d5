"""Loads a SavedModel as one function over images, with its variables by name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tfft.system.tensorflow import tf

from tfft.catalog.image_size import ImageSize, image_size
from tfft.errors import BackboneError, nearest
from tfft.system.damage import reading
from tfft.system.quiet import descriptors_kept_aside

_DEFAULT_SIGNATURE = "serving_default"


@dataclass(frozen=True)
class Entrance:
    """Which function of a SavedModel is called, and which of its outputs is used.

    Attributes:
        signature: Name of a signature; None: the object itself where it can be called, as a
            reusable SavedModel can, or else ``serving_default``.
        output: Key of the output; None where the function has only one.
    """

    signature: str | None = None
    output: str | None = None


@dataclass(frozen=True, eq=False)
class Module:
    """A loaded SavedModel.

    Attributes:
        call: Function of images, float32 [batch, height, width, 3], and of whether they are
            trained on; returns activations, float32 [batch, …], of rank 2 or 4.
        size_px: Height and width of the images in pixels; None where it takes any size.
        has_training_mode: Whether it has a training mode besides its inference mode.
        variables: All variables that the function uses, by unique name, in the module's order.
        trainable: Names of the trainable variables.
        regularization_losses: Functions without arguments that return a scalar loss each.
        loaded: The loaded object, which owns the variables: they are deleted with it.
    """

    call: Callable[[tf.Tensor, bool], tf.Tensor]
    size_px: ImageSize | None
    has_training_mode: bool
    variables: dict[str, tf.Variable]
    trainable: frozenset[str]
    regularization_losses: tuple[Callable[[], tf.Tensor], ...]
    loaded: Any


@dataclass(frozen=True, eq=False)
class _Function:
    call: Callable[[tf.Tensor, bool], Any]
    images: tf.TensorSpec
    has_training_mode: bool
    concrete: Sequence[Any]


def load_module(
    directory: Path, entrance: Entrance, what: str, *, with_values: bool = True
) -> Module:
    """Loads a SavedModel, which `scan_saved_model` must have checked before.

    Args:
        directory: Directory with ``saved_model.pb``.
        entrance: The function that is called.
        what: Name of the module in messages.
        with_values: Whether to read the values of its variables from ``variables/``; if not, they
            must be assigned before use.

    Raises:
        BackboneError: It cannot be loaded, or its inputs or outputs are not those of an image
            backbone.
    """
    options = tf.saved_model.LoadOptions(experimental_skip_checkpoint=not with_values)
    with reading(directory, "a SavedModel", error=BackboneError), descriptors_kept_aside(2):
        loaded = tf.saved_model.load(str(directory), options=options)
    function = _function(loaded, entrance, what)
    variables = _variables(loaded, function.concrete, what)
    has_list = hasattr(loaded, "trainable_variables")
    trained = {id(v) for v in _listed(loaded, "trainable_variables", what)} if has_list else None
    trainable = (
        name
        for name, variable in variables.items()
        if (variable.trainable if trained is None else id(variable) in trained)
    )
    return Module(
        lambda images, training: _chosen(function.call(images, training), entrance, what),
        _size_px(function.images, what),
        function.has_training_mode,
        variables,
        frozenset(trainable),
        tuple(_listed(loaded, "regularization_losses", what)),
        loaded,
    )


def _function(loaded: Any, entrance: Entrance, what: str) -> _Function:
    if entrance.signature is None and callable(loaded):
        return _reusable(loaded, what)
    name = entrance.signature or _DEFAULT_SIGNATURE
    if name not in loaded.signatures:
        raise BackboneError(
            f"{what} has no signature {name!r}.{nearest(name, loaded.signatures)} It has: "
            f"{', '.join(loaded.signatures) or 'none'}. Received: backbone.signature: {name}"
        )
    signature = loaded.signatures[name]
    specs = signature.structured_input_signature[1]
    if len(specs) != 1:
        raise BackboneError(
            f"{what} must take one input, images. Received: {len(specs)} inputs "
            f"({', '.join(specs)})"
        )
    ((key, images),) = specs.items()
    return _Function(
        lambda tensor, training: signature(**{key: tensor}), images, False, [signature]
    )


def _reusable(loaded: Any, what: str) -> _Function:
    """Returns the object itself as a function, called with or without ``training=…``."""
    function = loaded.__call__
    names = function.function_spec.arg_names
    calls = []
    for concrete in function.concrete_functions:
        arguments, by_name = concrete.structured_input_signature
        calls.append({**dict(zip(names, arguments, strict=False)), **by_name})
    if not calls:
        raise BackboneError(f"{what} was saved without a traced call")
    images = next(iter(calls[0].values()))
    modes = [call.get("training") for call in calls]
    if all(mode is None for mode in modes):
        return _Function(
            lambda tensor, training: loaded(tensor), images, False, function.concrete_functions
        )
    either = any(isinstance(mode, tf.TensorSpec) for mode in modes)
    if not either and False not in modes:
        raise BackboneError(f"{what} has only a training mode, and none to predict with")
    has_training_mode = either or True in modes
    return _Function(
        lambda tensor, training: loaded(tensor, training=training and has_training_mode),
        images,
        has_training_mode,
        function.concrete_functions,
    )


def _size_px(images: Any, what: str) -> ImageSize | None:
    """Returns the size of the images that a function takes; None where it takes any size."""
    shape = images.shape if isinstance(images, tf.TensorSpec) else None
    if shape is None or shape.rank != 4 or shape[3] not in (3, None) or images.dtype != tf.float32:
        raise BackboneError(
            f"{what} must take images, float32 [batch, height, width, 3]. Received: {images}"
        )
    if shape[0] is not None:
        raise BackboneError(f"{what} must take batches of any size, and takes only {shape[0]}")
    _, height, width, _ = shape
    if height is None and width is None:
        return None
    if height is None or width is None:
        raise BackboneError(
            f"{what} must take images of one size or of any size, and takes only one side as it "
            f"is: {height or 'any height'} x {width or 'any width'}"
        )
    return image_size(height, width)


def _chosen(outputs: Any, entrance: Entrance, what: str) -> tf.Tensor:
    if not isinstance(outputs, Mapping):
        return outputs
    name = entrance.output
    if name is None and len(outputs) == 1:
        (name,) = outputs
    if name not in outputs:
        raise BackboneError(
            f"{what} has the outputs {', '.join(sorted(outputs))}: say which with "
            f"backbone.output. Received: {'none' if name is None else name}"
        )
    return outputs[name]


def _listed(loaded: Any, name: str, what: str) -> Sequence[Any]:
    """Returns a list that a reusable SavedModel may have; nothing where it has none."""
    found = getattr(loaded, name, ())
    if not isinstance(found, list | tuple):
        raise BackboneError(f"{what} is damaged, or is no reusable SavedModel: {name} is no list")
    return found


def _variables(loaded: Any, concrete: Sequence[Any], what: str) -> dict[str, tf.Variable]:
    """Returns the variables that the function captures; those that the module lists come first."""
    captured = {id(tensor) for function in concrete for tensor in function.captured_inputs}
    tracked = tf.train.TrackableView(loaded).descendants()
    known = [*_listed(loaded, "variables", what), *tracked]
    used = {
        id(variable): variable
        for variable in known
        if isinstance(variable, tf.Variable) and id(variable.handle) in captured
    }
    named: dict[str, tf.Variable] = {}
    for variable in used.values():
        name = base = variable.name.partition(":")[0]
        number = 0
        while name in named:
            number += 1
            name = f"{base}_{number}"
        named[name] = variable
    return named
