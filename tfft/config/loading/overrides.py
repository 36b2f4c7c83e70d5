"""``--set a.b.0.c=value``: values of a recipe set from outside."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from tfft.config.loading.faults import Fault, received
from tfft.config.loading.schema import sections_by_tag
from tfft.config.loading.source import MAX_DEPTH, Document, Path, read_yaml
from tfft.errors import RecipeWarning, UsageError, shortened

# Values by dotted path, or the strings that `--set` takes.
Overrides = Mapping[str, Any] | Sequence[str]


# Of a list of more entries only the ends are named.
_FEW = 20
_DIGITS_OF_INDEX = 10


class Override(NamedTuple):
    """One value set from outside.

    Attributes:
        path: Keys and list indices that lead to the value.
        value: The value, as YAML has it.
        place: What a message calls the override, such as ``--set train.batch_size``.
    """

    path: Path
    value: Any
    place: str


class _NoSuchPlaceError(Exception):
    """A path leads to a place that cannot exist."""


def parse_overrides(overrides: Overrides) -> list[Override]:
    """Returns overrides in their order; the values in strings are read as YAML.

    Raises:
        UsageError: A string is not ``PATH=VALUE``.
        RecipeError: A value is not YAML.
    """
    if isinstance(overrides, Mapping):
        return [
            Override(_path(str(key)), value, f"override {shortened(str(key))}")
            for key, value in overrides.items()
        ]
    parsed = []
    for text in overrides:
        if text != text.encode(errors="replace").decode():
            raise UsageError(f"--set takes Unicode. Received: {shortened(ascii(text))}")
        key, equals, value = (part.strip() for part in text.partition("="))
        if not equals or "" in key.split("."):
            raise UsageError(
                f"--set takes PATH=VALUE, such as train.batch_size=64. Received: {shortened(text)}"
            )
        place = f"--set {shortened(key)}"
        parsed.append(
            Override(_path(key), read_yaml(value, place).values if value else None, place)
        )
    return parsed


def apply_overrides(
    document: Document, overrides: Sequence[Override], model: type[BaseModel]
) -> tuple[Document, list[Fault]]:
    """Sets values, which have the override as their place from then on.

    A path leads through keys and through indices of lists that are there; a section that is not
    there is made. Whether the recipe may have such a key is for its validation to say. An override
    that makes a section one of another kind (`backbone.kind`, `train.optimizer.name`) drops what
    the section says that the new kind does not take, with a `RecipeWarning` that names it; what
    other overrides set stays.

    Args:
        document: A recipe, or a part of one.
        overrides: What is set, in this order.
        model: Type that the document will be validated against.

    Returns:
        The document with the values set, and the faults of paths that lead nowhere.
    """
    faults = []
    for override in overrides:
        document = _without_another_kinds_keys(document, override, overrides, model)
        places = {
            path: place
            for path, place in document.places.items()
            if path[: len(override.path)] != override.path
        }
        for end in range(1, len(override.path) + 1):
            places.setdefault(override.path[:end], override.place)
        try:
            values = _with(document.values, override.path, (), override.value)
        except _NoSuchPlaceError as error:
            faults.append(Fault(override.path, str(error)))
            values = document.values
        document = Document(values, places)
    return document, faults


def _path(dotted: str) -> Path:
    parts = dotted.split(".")
    if len(parts) > MAX_DEPTH:
        raise UsageError(
            f"a path in a recipe has at most {MAX_DEPTH} parts; this one has {len(parts):,}. "
            f"Received: {shortened(dotted)}"
        )
    return tuple(
        int(part) if part.isdecimal() and len(part) < _DIGITS_OF_INDEX else part for part in parts
    )


def _without_another_kinds_keys(
    document: Document, override: Override, overrides: Sequence[Override], model: type[BaseModel]
) -> Document:
    """Drops keys that go with the kind a section has, and not with the kind that is set."""
    where, key = override.path[:-1], str(override.path[-1])
    kinds = sections_by_tag(model, where, key)
    section = _value_at(document.values, where)
    if not kinds or not isinstance(section, dict):
        return document
    default = next((tag for tag, m in kinds.items() if not m.model_fields[key].is_required()), "")
    old, new = kinds.get(str(section.get(key, default))), kinds.get(str(override.value))
    if old is None or new is None or old is new:
        return document
    wrong = _faulty_keys(new, {**section, key: override.value}) - _faulty_keys(old, section)
    below = [o.path for o in overrides if o.path[: len(where)] == where and o.path != where]
    set_too = {path[len(where)] for path in below}
    dropped = [name for name in section if name in wrong and name not in set_too]
    if not dropped:
        return document
    places = [document.place((*where, name)) for name in dropped]
    names = [f"{n} ({place})" if place else n for n, place in zip(dropped, places, strict=True)]
    text = f"dropped, since {override.value} does not take them: {', '.join(names)}"
    warnings.warn(f"{override.place}: {text}", RecipeWarning, stacklevel=5)
    kept = {name: value for name, value in section.items() if name not in dropped}
    return Document(_with(document.values, where, (), kept), document.places)


def _value_at(values: Any, path: Path) -> Any:
    for part in path:
        if isinstance(values, dict):
            values = values.get(str(part))
        elif isinstance(values, list) and isinstance(part, int) and part < len(values):
            values = values[part]
        else:
            return None
    return values


def _faulty_keys(model: type[BaseModel], section: dict[str, Any]) -> set[int | str]:
    try:
        model.model_validate(section)
    except ValidationError as error:
        return {fault["loc"][0] for fault in error.errors() if fault["loc"]}
    return set()


def _with(values: Any, path: Path, done: Path, value: Any) -> Any:
    """Returns a copy of `values` with the value at `path`; `done` is the path of `values`."""
    if not path:
        return value
    first, rest = path[0], path[1:]
    here = ".".join(str(part) for part in done) or "the recipe"
    if isinstance(values, list):
        if not isinstance(first, int) or first >= len(values):
            entries = ", ".join(str(index) for index in range(len(values))) or "none"
            if len(values) > _FEW:
                entries = f"0 to {len(values) - 1}"
            raise _NoSuchPlaceError(
                f"{here} is a list; its entries are {entries}. {received(first)}"
            )
        changed = _with(values[first], rest, (*done, first), value)
        return [*values[:first], changed, *values[first + 1 :]]
    if isinstance(values, dict) or values is None:
        there = values or {}
        key = str(first)
        return {**there, key: _with(there.get(key), rest, (*done, key), value)}
    raise _NoSuchPlaceError(
        f"{here} is one value, {shortened(repr(values))}, not a section or a list. "
        f"{received(first)}"
    )
