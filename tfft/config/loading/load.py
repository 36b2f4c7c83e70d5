"""Loads recipes: YAML, short forms, overrides, then strict validation with every fault at once."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tfft.config.data import KEYS_OF_ANY_SOURCE
from tfft.config.loading.expand import expand_short_forms, is_short_form
from tfft.config.loading.faults import Fault, report
from tfft.config.loading.named_backbone import absolute_backbone, with_named_backbone
from tfft.config.loading.overrides import Overrides, apply_overrides, parse_overrides
from tfft.config.loading.source import Document, plain_value, read_yaml, recipe_text
from tfft.config.loading.validate import validated
from tfft.config.recipe import Recipe
from tfft.errors import RecipeError, RecipeWarning

_HEADER = "# A resolved recipe: every value is written out. `tfft train` runs it as it is.\n"
# Values that have been renamed, by their place in a recipe: what they were called, and are now.
_RENAMED = {("train", "monitor"): {"figure": "metric"}}


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
    path, text = recipe_text(name_or_path)
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


class _Dumper(yaml.SafeDumper):
    """Quotes words that YAML 1.2 takes for something else, where PyYAML knows YAML 1.1 only."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # PyYAML 6.0 writes the line break U+0085 bare between single quotes, and reads a space back.
    style = None if isinstance(plain_value(text), str) and "\x85" not in text else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def _resolve(document: Document, overrides: Overrides, data: str | Path | None) -> Recipe:
    if not isinstance(document.values, dict):
        raise RecipeError(f"{document.place(())}: a recipe is a section of keys and values")
    parsed, faults = with_named_backbone(parse_overrides(overrides))
    document, found = expand_short_forms(document, [o for o in parsed if is_short_form(o)])
    others = [o for o in parsed if not is_short_form(o)]
    document, lost = apply_overrides(document, others, Recipe)
    if data is not None:
        document = _with_data(document, Path(data))
    document = _with_new_names(document, warn=True)
    return _absolute(validated(Recipe, document, [*faults, *found, *lost]))


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


def _with_data(document: Document, data: Path) -> Document:
    section = document.values.get("data")
    common = {
        key: value
        for key, value in (section.items() if isinstance(section, dict) else ())
        if key in KEYS_OF_ANY_SOURCE
    }
    kind = "manifest" if data.suffix.lower() == ".csv" else "image_folder"
    values = {**document.values, "data": {"kind": kind, "path": str(data), **common}}
    return Document(values, {**document.places, ("data", "path"): "--data"})


def _absolute(recipe: Recipe) -> Recipe:
    """Makes the paths of files absolute, so that the recipe means the same everywhere."""
    paths = {k: v.expanduser().absolute() for k, v in recipe.data if isinstance(v, Path)}
    return recipe.model_copy(
        update={
            "data": recipe.data.model_copy(update=paths),
            "backbone": absolute_backbone(recipe.backbone),
        }
    )
