"""Backbones as they are named on the command line."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from tfft.catalog.backbones import backbone_spec, backbone_specs, resolve_arguments
from tfft.config.data import ImageConfig
from tfft.config.loading.load import bundled_recipes, load_recipe
from tfft.config.loading.source import plain_value
from tfft.config.model import BackboneConfig, KerasBackbone, KerasHubBackbone
from tfft.errors import BackboneError, RecipeError, nearest

_FORMS = (
    "a name that `tfft backbones` lists (with arguments: MobileNet:alpha=0.25,weights=FILE), a run "
    "directory, keras_hub:PRESET, or a recipe, whose backbone is taken"
)
_ARGUMENT = re.compile(r"[a-z_]+=")


@dataclass(frozen=True)
class NamedBackbone:
    """A backbone by the text that names it.

    Attributes:
        text: what the user wrote.
        config: what it stands for.
        image: its own `image` section, where it comes from a recipe.
    """

    text: str
    config: BackboneConfig
    image: ImageConfig | None = None


def parse_backbones(texts: Iterable[str], data: Path | None = None) -> tuple[NamedBackbone, ...]:
    """Reads lists of backbones, separated by commas.

    `KEY=VALUE` behind a comma belongs to the backbone before it.

    Args:
        texts: such as ``["EfficientNetLite0,MobileNet:alpha=0.25,weights=w.h5", "recipe.yaml"]``.
        data: where a recipe's images are, which are not read.

    Raises:
        BackboneError: Some stand for no backbone; every one is named, a line each.
    """
    named, faults = [], []
    for text in dict.fromkeys(part for listed in texts for part in _divided(listed)):
        try:
            named.append(_named(text, data))
        except (BackboneError, RecipeError) as error:
            faults.append(f"{text}: {error}")
    if faults:
        raise BackboneError("\n".join(faults))
    return tuple(named)


def _divided(text: str) -> list[str]:
    parts: list[str] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        if parts and _ARGUMENT.match(part):
            parts[-1] += f",{part}"
        else:
            parts.append(part)
    return parts


def _named(text: str, data: Path | None) -> NamedBackbone:
    kind, _, rest = text.partition(":")
    path = Path(text).expanduser()
    if kind == "keras_hub":
        return NamedBackbone(text, KerasHubBackbone(kind="keras_hub", preset=rest))
    if path.suffix in (".yaml", ".yml") or text in bundled_recipes():
        recipe = load_recipe(text, data=data)
        return NamedBackbone(text, recipe.backbone, recipe.image)
    if path.is_dir() or path.suffix == ".keras":
        return NamedBackbone(text, KerasBackbone(kind="keras", path=str(path.absolute())))
    return NamedBackbone(text, _of_catalog(kind, rest))


def _of_catalog(name: str, rest: str) -> BackboneConfig:
    found = next((spec for spec in backbone_specs() if spec.name == name), None)
    if found is None:
        names = [spec.name for spec in backbone_specs()]
        raise BackboneError(f"no backbone.{nearest(name, names)} Give {_FORMS}. Received: {name!r}")
    arguments = dict(_argument(part) for part in filter(None, rest.split(",")))
    section: dict[str, Any] = {"kind": found.kind, "name": found.name}
    if "weights" in arguments:
        section["weights"] = _weights(str(arguments.pop("weights")))
    resolve_arguments(backbone_spec(found.kind, found.name), arguments)
    if arguments:
        section["arguments"] = arguments
    try:
        return TypeAdapter(BackboneConfig).validate_python(section)
    except ValidationError as error:
        raise BackboneError(f"not to be built so: {error.errors()[0]['msg']}") from error


def _argument(text: str) -> tuple[str, Any]:
    key, separator, value = text.partition("=")
    if not separator:
        raise BackboneError(f"arguments are KEY=VALUE, with commas between. Received: {text!r}")
    return key, plain_value(value)


def _weights(value: str) -> str:
    if value in ("imagenet", "random"):
        return value
    return str(Path(value).expanduser().absolute())
