"""Loads recipes: YAML, short forms, overrides, then strict validation with every fault at once."""

import json
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_type_hints

import yaml
from pydantic import TypeAdapter, ValidationError

from tfft.config.loading.checks import check_sections
from tfft.config.loading.expand import expand_short_forms, is_short_form
from tfft.config.loading.faults import Fault, find_faults, received, report
from tfft.config.loading.overrides import Overrides, apply_overrides, parse_overrides
from tfft.config.loading.source import Document, plain_value, read_yaml
from tfft.config.model import BackboneConfig
from tfft.config.recipe import Recipe
from tfft.errors import RecipeError, RecipeWarning, nearest

_HEADER = "# A resolved recipe: every value is written out. `tfft train` runs it as it is.\n"
# Values that have been renamed, by their place in a recipe: what they were called, and are now.
_RENAMED = {("train", "monitor"): {"figure": "metric"}}
# What a `data` section says of any source of images, and so keeps with --data.
_COMMON_DATA_KEYS = (
    "validation_fraction",
    "test_fraction",
    "fraction",
    "limit_per_class",
    "split_seed",
    "on_bad_image",
    "on_label_conflict",
)
# The key of a backbone that may be the path of a file, where it is not `weights`.
_PLACES = {"hub": "handle", "keras": "path", "keras_hub": "preset"}


def load_recipe(
    name_or_path: str | Path, *, overrides: Overrides = (), data: str | Path | None = None
) -> Recipe:
    """Loads a bundled recipe or a recipe file.

    Args:
        name_or_path: name of a bundled recipe, or path of a file.
        overrides: ``{"train.batch_size": 64}`` or ``["train.batch_size=64"]``, applied after short
            forms are expanded.
        data: a directory with one folder a class, or a CSV manifest; replaces the recipe's source
            of images and keeps what the recipe says of splits and bad images.

    A value that has been renamed since is read with a `RecipeWarning`, or without one in a recipe
    that tfft wrote itself.

    Raises:
        RecipeError: The recipe is not there or wrong; every fault is named, a line each.
        UsageError: An override is not of its form.
    """
    path = _find(name_or_path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"cannot read the recipe {path}: {error}") from error
    document = read_yaml(text, str(path))
    if _HEADER in text:
        document = _with_new_names(document, warn=False)
    return _resolve(document, overrides, data)


def recipe_from_dict(values: Mapping[str, Any], overrides: Overrides = ()) -> Recipe:
    """Makes a recipe from values instead of a file.

    Raises:
        RecipeError: The values are wrong; every fault is named, a line each.
        UsageError: An override is not of its form.
    """
    return _resolve(Document(dict(values)), overrides, None)


def dump_recipe(recipe: Recipe) -> str:
    """Returns a recipe as YAML with every value; `load_recipe` reads it back as an equal one."""
    return _HEADER + yaml.dump(
        recipe.model_dump(mode="json"),
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=100,
    )


def bundled_recipes() -> dict[str, Path]:
    """Returns the files of the recipes that come with tfft, by name."""
    package = Path(__file__).resolve().parents[2]
    installed, checkout = package / "configs", package.parent / "configs"
    directory = installed if installed.is_dir() else checkout
    return {path.stem: path for path in sorted(directory.glob("*.yaml"))}


class _Dumper(yaml.SafeDumper):
    """Quotes words that YAML 1.2 takes for something else, where PyYAML knows YAML 1.1 only."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # PyYAML 6.0 writes the line break U+0085 bare between single quotes, and reads a space back.
    style = None if isinstance(plain_value(text), str) and "\x85" not in text else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def _find(name_or_path: str | Path) -> Path:
    bundled = bundled_recipes()
    path = Path(name_or_path).expanduser()
    if str(name_or_path) in bundled:
        return bundled[str(name_or_path)]
    if path.is_file():
        return path
    if path.is_dir():
        raise RecipeError(
            f"{path} is a directory, not a recipe. To train on its images: "
            f"tfft train classifier --data {path}"
        )
    raise RecipeError(
        f"no recipe {str(name_or_path)!r}: neither a file nor one of the bundled recipes "
        f"{', '.join(bundled)}.{nearest(str(name_or_path), bundled)}"
    )


def _resolve(document: Document, overrides: Overrides, data: str | Path | None) -> Recipe:
    if not isinstance(document.values, dict):
        raise RecipeError(f"{document.place(())}: a recipe is a section of keys and values")
    parsed = parse_overrides(overrides)
    document, faults = expand_short_forms(document, [o for o in parsed if is_short_form(o)])
    document, lost = apply_overrides(document, [o for o in parsed if not is_short_form(o)])
    faults += lost
    if data is not None:
        document = _with_data(document, Path(data))
    document = _with_new_names(Document(_plain(document.values), document.places), warn=True)
    try:
        recipe = Recipe.model_validate_json(json.dumps(document.values), strict=True)
        sections = dict(recipe)
    except ValidationError as error:
        recipe, sections = None, _valid_sections(document.values)
        found = find_faults(error, Recipe, document.values)
        faults += [fault for fault in found if fault.path not in {known.path for known in faults}]
    faults += [Fault(path, text) for path, text in check_sections(sections)]
    if faults or recipe is None:
        raise RecipeError(report(faults, document))
    return _absolute(recipe)


def _with_new_names(document: Document, *, warn: bool) -> Document:
    """Replaces values by what they are called now."""
    for (section, key), names in _RENAMED.items():
        values = document.values.get(section) if isinstance(document.values, dict) else None
        old = values.get(key) if isinstance(values, dict) else None
        if isinstance(old, str) and old in names:
            new = {**document.values, section: {**values, key: names[old]}}
            if warn:
                text = f"{old} has been renamed: write {key}: {names[old]}"
                line = report([Fault((section, key), text)], document)
                warnings.warn(line, RecipeWarning, stacklevel=4)
            document = Document(new, document.places)
    return document


def _plain(value: Any) -> Any:
    """Returns values as JSON has them: paths as text, tuples as lists."""
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise RecipeError(f"this text is not Unicode. {received(ascii(value))}") from None
    if value is not None and not isinstance(value, str | bool | int | float):
        raise RecipeError(f"a recipe cannot hold a {type(value).__name__}. {received(value)}")
    return value


def _valid_sections(values: dict[str, Any]) -> dict[str, Any]:
    """Returns the written sections that have no fault of their own."""
    kinds = get_type_hints(Recipe, include_extras=True)
    valid = {}
    for name in Recipe.model_fields.keys() & values.keys():
        try:
            text = json.dumps(values[name])
            valid[name] = TypeAdapter(kinds[name]).validate_json(text, strict=True)
        except ValidationError:  # its faults are among those of the recipe
            continue
    return valid


def _with_data(document: Document, data: Path) -> Document:
    section = document.values.get("data")
    common = {
        key: value
        for key, value in (section.items() if isinstance(section, dict) else ())
        if key in _COMMON_DATA_KEYS
    }
    kind = "manifest" if data.suffix.lower() == ".csv" else "image_folder"
    values = {**document.values, "data": {"kind": kind, "path": str(data), **common}}
    return Document(values, {**document.places, ("data", "path"): "--data"})


def _absolute(recipe: Recipe) -> Recipe:
    """Makes the paths of files absolute, so that the recipe means the same everywhere."""
    section = recipe.data
    paths = {
        key: Path(value).expanduser().absolute()
        for key in ("path", "archives", "data_dir")
        if (value := getattr(section, key, None)) is not None
    }
    return recipe.model_copy(
        update={
            "data": section.model_copy(update=paths),
            "backbone": _absolute_backbone(recipe.backbone),
        }
    )


def _absolute_backbone(backbone: BackboneConfig) -> BackboneConfig:
    key = _PLACES.get(backbone.kind, "weights")
    value = getattr(backbone, key)
    path = Path(value).expanduser().absolute()
    if value in ("imagenet", "random") or "://" in value or (key == "preset" and not path.is_dir()):
        return backbone
    return backbone.model_copy(update={key: str(path)})
