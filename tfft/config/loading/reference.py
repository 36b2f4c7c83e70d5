"""The reference of recipes, generated from the schema."""

import inspect
import types
import typing
from collections.abc import Iterable, Iterator
from typing import Any

import annotated_types
import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tfft.config.base import BELOW
from tfft.config.loading.load import load_recipe
from tfft.config.loading.schema import discriminator, is_section, item_of, members_of, tags_of
from tfft.config.loading.source import bundled_recipes
from tfft.config.recipe import Recipe
from tfft.config.strategies import Strategy

Place = tuple[str, ...]
Names = tuple[str, ...]

_INTRODUCTION = """\
# Recipes
Generated from the schema by `make docs`.

A recipe is a YAML file: what is trained on what, how, and what comes out. `tfft train` takes a file
or the name of a bundled recipe:

{bundled}

## Rules
- Unknown keys and values are refused; all faults of a file are named at once, with file and line.
- YAML is that of version 1.2: `1e-4` is a number, `yes` and `on` are words, tags are refused, a key
  stands once.
- Whole numbers are below 2,147,483,648, sizes of images at most 4,096.
- Paths are relative to the current directory; `~` is the home directory.
- The resolved recipe, with every value, is written into the run; it can be run again as it is.
- `--data DIR` sets `data` to an `image_folder` at DIR (a `.csv` file: to a `manifest`) and keeps
  the recipe's fractions, seed and rules for bad images.

### --set
`--set PATH=VALUE` sets one value, and may be repeated: `--set train.batch_size=64`. PATH has the
keys and, for an entry of a list, its number from 0: `--set train.phases.1.epochs=3`. VALUE is YAML,
so a section or a list is possible: `--set 'train.phases=[{{solver: linear}}]'`. It is applied after
short forms are expanded, so that it addresses what they stand for; the checks are the same.

`--set backbone=TEXT` takes what `tfft rank` takes: `EfficientNetLite0`,
`MobileNet:alpha=0.25,weights=FILE`, a run, a `.keras` file, a SavedModel (directory, archive or
address), `keras_hub:PRESET`, or a recipe, whose backbone is taken.

Where `--set` makes a section one of another kind (`backbone.kind=hub`, `train.optimizer.name=sgd`),
what the recipe says there and the new kind does not take is dropped, and a line says so.

### train.strategy
A short form of `train.phases`; give one of the two. It is a name, or a section with this name as
its `kind` and what shall differ from its defaults:
```yaml
train:
  strategy: {{kind: lp_ft, epochs: 8, augment: random_crop}}
```
`--set train.strategy=full` replaces the phases of a recipe. The keys of a strategy mean what they
mean in a [phase](#trainphasesn-solver-gradient).

{strategies}
## Keys
`null` means: not set. `N` is the number of an entry of a list, `NAME` a name of your own.
"""
_BOUNDS = {
    annotated_types.Gt: (">", "gt"),
    annotated_types.Ge: (">=", "ge"),
    annotated_types.Lt: ("<", "lt"),
    annotated_types.Le: ("<=", "le"),
}
# Stands for the user's own images in recipes that name none.
_OWN_IMAGES = {"classifier": "photos", "labels": "photos.csv"}
_TYPE_NAMES = {"str": "text", "int": "whole number", "float": "number", "bool": "true or false"}
_PLURALS = {"text": "texts", "whole number": "whole numbers", "number": "numbers"}


def reference_page() -> str:
    """Returns the page as Markdown."""
    bundled = []
    for name in bundled_recipes():
        recipe = load_recipe(name, data=_OWN_IMAGES.get(name))
        bundled.append(f"- `{name}`: {recipe.description}")
    strategies = []
    for strategy in members_of(Strategy):
        (name,) = tags_of(strategy)
        strategies += [f"**`{name}`**: {inspect.getdoc(strategy)}", "", *_table(strategy), ""]
        phases = strategy(kind=name).phases()
        written = "".join(f"- {_flow(phase)}\n" for phase in phases).rstrip()
        strategies += ["It stands for", "```yaml", written, "```", ""]
    introduction = _INTRODUCTION.format(
        bundled="\n".join(bundled), strategies="\n".join(strategies)
    )
    return introduction + "\n".join(["", *_sections(Recipe, ())]).rstrip() + "\n"


def _sections(model: type[BaseModel], path: Place, without: Names = ()) -> Iterator[str]:
    """Yields the tables of a section, without some keys, and of all sections in it."""
    key, dotted = discriminator(model), ".".join(path) or "Top level"
    yield f"### {dotted}, {key}: {', '.join(tags_of(model))}" if key else f"### {dotted}"
    yield inspect.getdoc(model) or ""
    yield ""
    yield from _table(model, without)
    yield ""
    for name, field in model.model_fields.items():
        place, found = (*path, name), field.annotation
        item = item_of(found)
        if item is not None:
            place, found = (*place, "N" if item[0] == "list" else "NAME"), item[1]
        yield from _alternatives([m for m in members_of(found) if is_section(m)], place)


def _alternatives(models: list[type[BaseModel]], path: Place) -> Iterator[str]:
    """Yields the tables of the sections that may stand in one place, their common keys once."""
    common = _common_keys(models)
    if common:
        yield f"### {'.'.join(path)}, of any {discriminator(models[0])}"
        first, *_ = models
        yield from _table(first, [name for name in first.model_fields if name not in common])
        yield ""
    for model in models:
        yield from _sections(model, path, common)


def _common_keys(models: list[type[BaseModel]]) -> Names:
    """Returns the keys that all of several sections inherit from one base."""
    if len(models) < 2:
        return ()
    inherited = [
        name
        for name in models[0].model_fields
        if not any(name in inspect.get_annotations(model) for model in models)
        and all(name in model.model_fields for model in models)
    ]
    return tuple(inherited)


def _table(model: type[BaseModel], without: Iterable[str] = ()) -> list[str]:
    rows = [
        f"| `{name}` | {_value(field)} | {_default(field)} | {field.description or ''} |"
        for name, field in model.model_fields.items()
        if name not in without
    ]
    return ["| key | value | default | meaning |", "| --- | --- | --- | --- |", *rows]


def _value(field: FieldInfo) -> str:
    """Returns what a key may hold, in words."""
    alternatives = typing.get_args(field.annotation) if _is_union(field.annotation) else ()
    names = [_type_name(found) for found in alternatives or (field.annotation,)]
    bounds = _bounds(field.metadata)
    if bounds and item_of(field.annotation) is None:
        names = [f"{name} {bounds}" for name in names]
    return ", ".join(dict.fromkeys(names))


def _is_union(found: Any) -> bool:
    return typing.get_origin(found) in (typing.Union, types.UnionType)


def _type_name(found: Any) -> str:
    if typing.get_origin(found) is typing.Annotated and not _is_union(typing.get_args(found)[0]):
        kind, *metadata = typing.get_args(found)
        (bare,) = members_of(kind)
        return f"{_type_name(bare)} {_bounds(_unpacked(metadata))}".strip()
    item = item_of(found)
    if item is not None and item[0] == "list":
        entries = typing.get_args(found)
        count = "" if Ellipsis in entries else f"{len(entries)} "
        return f"list of {count}{_plural(item[1])}"
    if item is not None:
        return f"map of names to {_plural(item[1])}"
    if typing.get_origin(found) is typing.Literal:
        return ", ".join(f"`{word}`" for word in typing.get_args(found))
    if found is types.NoneType:
        return "`null`"
    if is_section(found):
        return "section"
    name: str = "any value" if found is Any else found.__name__
    return _TYPE_NAMES.get(name, name.lower())


def _plural(found: Any) -> str:
    if any(is_section(member) for member in members_of(found)):
        return "sections"
    name = _type_name(found)
    kind = next((known for known in _PLURALS if f"{name} ".startswith(f"{known} ")), name)
    return _PLURALS.get(kind, kind) + name.removeprefix(kind)


def _unpacked(metadata: list[Any]) -> list[Any]:
    """Takes bounds out of pydantic's `Field(gt=0)`, which holds them as metadata of its own."""
    return [
        bound
        for entry in metadata
        for bound in (entry.metadata if isinstance(entry, FieldInfo) else [entry])
    ]


def _bounds(metadata: list[Any]) -> str:
    found = [
        f"{sign} {getattr(bound, name)}"
        for bound in metadata
        for kind, (sign, name) in _BOUNDS.items()
        if isinstance(bound, kind) and getattr(bound, name) != BELOW
    ]
    return ", ".join(found)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        key = discriminator(type(value))
        return f"`{key}: {getattr(value, key)}`" if key else "its defaults"
    if isinstance(value, dict):
        return ", ".join(f"`{name}`" for name in value) or "none"
    return f"`{_flow(list(value) if isinstance(value, tuple) else value)}`"


def _flow(value: Any) -> str:
    """Returns a value as YAML on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=1000)
    return text.removesuffix("...\n").strip()
