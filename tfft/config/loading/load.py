"""Loads recipes: YAML, short forms, overrides, then strict validation with every fault at once."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from tfft.config.base import Section
from tfft.config.data import KEYS_OF_ANY_SOURCE
from tfft.config.loading.faults import Fault, find_faults, received, report
from tfft.config.loading.named_backbone import absolute_backbone, with_named_backbone
from tfft.config.loading.overrides import Override, Overrides, apply_overrides, parse_overrides
from tfft.config.loading.source import Document, plain_value, read_yaml, recipe_text
from tfft.config.loading.validate import validated
from tfft.config.recipe import Recipe
from tfft.config.strategies import STRATEGY_NAMES, Strategy
from tfft.errors import RecipeError, RecipeWarning, nearest
from tfft.system.paths import expanded

_HEADER = "# A resolved recipe: every value is written out. `tfft train` runs it as it is.\n"
# Values that have been renamed, by their place in a recipe: what they were called, and are now.
_RENAMED = {("train", "monitor"): {"figure": "metric"}}

_STRATEGY = ("train", "strategy")
# In place of phases that are not there or faulty, so that the faults of the rest are found too.
_STAND_IN: Sequence[dict[str, Any]] = ({"solver": "linear"},)


class _Train(Section):
    strategy: Strategy


class _ShortForm(Section):
    train: _Train


def load_recipe(
    name_or_path: str | Path, *, overrides: Overrides = (), data: str | Path | None = None
) -> Recipe:
    """Loads a bundled recipe or a recipe file.

    A value that has been renamed is read with a `RecipeWarning`, or without one in a recipe that
    tfft wrote itself.

    Args:
        name_or_path: Name of a bundled recipe, or path of a file.
        overrides: Values by dotted path, ``{"train.batch_size": 64}``, or strings as `--set` takes
            them, ``["train.batch_size=64"]``; applied after short forms are expanded.
        data: Directory with one folder a class, or CSV manifest. It replaces the recipe's source
            of images; what the recipe says of splits and bad images stays.

    Raises:
        RecipeError: The recipe is not there or wrong; every fault is named, a line each.
        UsageError: An override is not of its form.
    """
    path, text = recipe_text(name_or_path)
    document = read_yaml(text, str(path))
    if _HEADER in text:
        document = _with_new_names(_with_old_split(document), warn=False)
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
    # A strategy is set before it is expanded, everything else addresses what it stands for.
    document, found = _expanded(document, [o for o in parsed if o.path[:2] == _STRATEGY])
    others = [o for o in parsed if o.path[:2] != _STRATEGY]
    if data is not None:
        document = _with_data(document, expanded(data))
        twice = "--data says which images; leave out one of the two"
        places = (("data",), ("data", "kind"), ("data", "path"))
        faults += [Fault(o.path, twice) for o in others if o.path in places]
        others = [o for o in others if o.path not in places]
    document, lost = apply_overrides(document, others, Recipe)
    document = _with_new_names(document, warn=True)
    recipe = validated(Recipe, document, [*faults, *found, *lost])
    # Paths become absolute, so that the recipe means the same everywhere.
    paths = {k: expanded(v).absolute() for k, v in recipe.data if isinstance(v, Path)}
    data_section = recipe.data.model_copy(update=paths)
    backbone = absolute_backbone(recipe.backbone)
    return recipe.model_copy(update={"data": data_section, "backbone": backbone})


def _with_old_split(document: Document) -> Document:
    """Says of a recipe that tfft wrote how images are split, if it was written before it did."""
    values = document.values
    if not isinstance(values, dict) or not isinstance(values.get("data"), dict):
        return document
    data = {"split_by": "name", **values["data"]}
    return Document({**values, "data": data}, document.places)


def _expanded(document: Document, overrides: Sequence[Override]) -> tuple[Document, list[Fault]]:
    """Replaces `train.strategy` by `train.phases`; returns the faults of the strategy too.

    A strategy among the overrides replaces the phases of the recipe.
    """
    if overrides and isinstance(document.values.get("train"), dict):
        document = _with_train(document, without="phases")
    document, faults = apply_overrides(document, overrides, _ShortForm)
    train = document.values.get("train")
    if not isinstance(train, dict):
        return document, faults
    if "strategy" in train and "phases" in train:
        both = "give strategy or phases, not both: a strategy stands for its phases"
        return _with_train(document, without="strategy"), [*faults, Fault(_STRATEGY, both)]
    if "strategy" in train:
        phases, found = _phases(train["strategy"])
        expanded = _with_train(document, without="strategy")
        expanded.values["train"]["phases"] = phases
        expanded.places[("train", "phases")] = document.place(_STRATEGY)
        return expanded, [*faults, *found]
    if "phases" not in train:
        names = ", ".join(STRATEGY_NAMES)
        missing = f"is missing; or give train.strategy: one of {names}"
        faults.append(Fault(("train", "phases"), missing))
    return document, faults


def _phases(short: Any) -> tuple[list[dict[str, Any]], list[Fault]]:
    """Returns the phases that a strategy stands for, and what is wrong with it."""
    if not isinstance(short, dict) and short not in STRATEGY_NAMES:
        hint = nearest(short, STRATEGY_NAMES) if isinstance(short, str) else ""
        allowed = f"one of {', '.join(STRATEGY_NAMES)}, or a section with such a kind"
        return list(_STAND_IN), [Fault(_STRATEGY, f"must be {allowed}.{hint} {received(short)}")]
    section = short if isinstance(short, dict) else {"kind": short}
    values = {"train": {"strategy": section}}
    try:
        return _ShortForm.model_validate(values, strict=True).train.strategy.phases(), []
    except ValidationError as error:
        return list(_STAND_IN), find_faults(error, _ShortForm, values)


def _with_train(document: Document, without: str) -> Document:
    train = {key: value for key, value in document.values["train"].items() if key != without}
    return Document({**document.values, "train": train}, dict(document.places))


def _with_new_names(document: Document, *, warn: bool) -> Document:
    """Replaces values by what they are called now."""
    for (section, key), names in _RENAMED.items():
        values = document.values.get(section) if isinstance(document.values, dict) else None
        if not isinstance(values, dict):
            continue
        old = values.get(key)
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
