"""Backbones that one text names, on the command line and in `--set backbone=TEXT`."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tfft.catalog.backbones import backbone_specs, resolve_arguments
from tfft.catalog.spec import BackboneSpec
from tfft.config.base import Section
from tfft.config.data import ImageConfig
from tfft.config.loading.faults import Fault
from tfft.config.loading.overrides import Override, Overrides, apply_overrides, parse_overrides
from tfft.config.loading.source import (
    Document,
    bundled_recipes,
    is_too_long,
    plain_value,
    read_yaml,
    recipe_text,
)
from tfft.config.loading.validate import validated
from tfft.config.model import BackboneConfig
from tfft.errors import BackboneError, RecipeError, nearest, shortened
from tfft.system.paths import expanded

_FORMS = (
    "a name that `tfft backbones` lists (with arguments: MobileNet:alpha=0.25,weights=FILE), a run "
    "directory, a .keras file, a SavedModel (directory, archive or address), keras_hub:PRESET, or "
    "a recipe, whose backbone is taken"
)
_ARGUMENT = re.compile(r"[a-z_0-9]+=")
# The key of a section that may be the path of a file, where it is not `weights`.
_PLACES = {"hub": "handle", "keras": "path", "keras_hub": "preset"}


@dataclass(frozen=True)
class NamedBackbone:
    """A backbone by the text that names it.

    Attributes:
        text: What the user wrote.
        config: What it stands for; paths are absolute.
        image: Its own `image` section where it comes from a recipe, else None.
    """

    text: str
    config: BackboneConfig
    image: ImageConfig | None = None


class _Named(Section):
    backbone: BackboneConfig
    image: ImageConfig | None = None


def parse_backbone(
    text: str, *, weights: str = "imagenet", overrides: Overrides = ()
) -> NamedBackbone:
    """Returns the backbone that a text names.

    Args:
        text: A name of the catalog, with arguments as in ``MobileNet:alpha=0.25,weights=FILE``; a
            run directory or a ``.keras`` file; a SavedModel: directory, archive or address;
            ``keras_hub:PRESET``; or a recipe, whose backbone is taken.
        weights: Weights of a name of the catalog whose text says nothing of them: ``imagenet`` or
            ``random``.
        overrides: Values of the section, such as ``backbone.input_range=[-1, 1]``.

    Raises:
        BackboneError: The text names no backbone.
        RecipeError: A value is wrong; every fault is named, a line each.
        UsageError: An override is not of its form.
    """
    document, faults = apply_overrides(_document(text, weights), parse_overrides(overrides), _Named)
    named = validated(_Named, document, faults)
    return NamedBackbone(text, absolute_backbone(named.backbone), named.image)


def parse_backbones(texts: Iterable[str]) -> tuple[NamedBackbone, ...]:
    """Reads lists of backbones, separated by commas, each as `parse_backbone` does.

    `KEY=VALUE` behind a comma belongs to the backbone before it.

    Args:
        texts: Lists such as ``["ResNet50,MobileNet:alpha=0.25,weights=w.h5", "recipe.yaml"]``.

    Raises:
        BackboneError: Some name no backbone; every one is named, a line each.
    """
    named, faults = [], []
    for text in dict.fromkeys(part for listed in texts for part in _divided(listed)):
        try:
            named.append(parse_backbone(text))
        except (BackboneError, RecipeError) as error:
            faults.append(f"{text}: {error}")
    if faults:
        raise BackboneError("\n".join(faults))
    return tuple(named)


def with_named_backbone(overrides: Sequence[Override]) -> tuple[list[Override], list[Fault]]:
    """Replaces the text in `--set backbone=TEXT` by the section that it stands for.

    Returns:
        The overrides, and the fault of each text that names no backbone.
    """
    replaced, faults = [], []
    for override in overrides:
        if override.path == ("backbone",) and isinstance(override.value, str):
            try:
                section = _document(override.value).values.get("backbone")
                replaced.append(override._replace(value=section))
            except (BackboneError, RecipeError) as error:
                faults.append(Fault(override.path, str(error)))
                replaced.append(override)
        else:
            replaced.append(override)
    return replaced, faults


def absolute_backbone(backbone: BackboneConfig) -> BackboneConfig:
    """Makes the path of a backbone's file absolute, if it has one."""
    key = _PLACES.get(backbone.kind, "weights")
    value = getattr(backbone, key)
    path = expanded(value).absolute()
    if value in ("imagenet", "random") or "://" in value or (key == "preset" and not path.is_dir()):
        return backbone
    return backbone.model_copy(update={key: str(path)})


def _divided(text: str) -> list[str]:
    parts: list[str] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        if parts and _ARGUMENT.match(part):
            parts[-1] += f",{part}"
        else:
            parts.append(part)
    return parts


def _document(text: str, weights: str | None = None) -> Document:
    """Returns the sections that a text stands for: the backbone's, and a recipe's pixels."""
    if is_too_long(text):
        raise BackboneError(f"no backbone has a name so long. Received: {shortened(text)}")
    name, _, rest = text.partition(":")
    path = expanded(text)
    specs = {spec.name: spec for spec in backbone_specs()}
    if name in specs:
        section = _of_catalog(specs[name], rest, weights)
    elif name == "keras_hub":
        section = {"kind": "keras_hub", "preset": rest}
    elif path.suffix in (".yaml", ".yml") or text in bundled_recipes():
        file, content = recipe_text(text)
        document = read_yaml(content, str(file))
        written = document.values if isinstance(document.values, dict) else {}
        sections = {key: written[key] for key in ("backbone", "image") if key in written}
        return Document(sections, document.places)
    elif path.suffix == ".keras" or (path.is_dir() and not (path / "saved_model.pb").is_file()):
        section = {"kind": "keras", "path": text}
    elif "://" in text or path.exists():
        section = {"kind": "hub", "handle": text}
    else:
        raise BackboneError(f"no backbone.{nearest(name, specs)} Give {_FORMS}. Received: {text!r}")
    return Document({"backbone": section})


def _of_catalog(spec: BackboneSpec, written: str, weights: str | None) -> dict[str, Any]:
    arguments: dict[str, Any] = {} if weights is None else {"weights": weights}
    for part in filter(None, written.split(",")):
        key, equals, value = part.partition("=")
        if not equals:
            raise BackboneError(f"arguments are KEY=VALUE, with commas between. Received: {part!r}")
        arguments[key] = plain_value(value)
    section: dict[str, Any] = {"kind": spec.kind, "name": spec.name}
    if "weights" in arguments:
        section["weights"] = str(arguments.pop("weights"))
    resolve_arguments(spec, arguments)
    return {**section, "arguments": arguments} if arguments else section
