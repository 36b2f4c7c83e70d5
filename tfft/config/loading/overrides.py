"""``--set a.b.0.c=value``: values of a recipe set from outside."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tfft.config.loading.faults import Fault, received
from tfft.config.loading.source import Document, Path, read_yaml
from tfft.errors import UsageError

Overrides = Mapping[str, Any] | Sequence[str]


class Override(NamedTuple):
    """One value set from outside, and what a message calls its place."""

    path: Path
    value: Any
    place: str


class _NoSuchPlaceError(Exception):
    """A path leads where there can be nothing."""


def parse_overrides(overrides: Overrides) -> list[Override]:
    """Returns overrides in their order; values of strings are read as YAML.

    Raises:
        UsageError: One is not ``PATH=VALUE``.
        RecipeError: A value is no YAML.
    """
    if isinstance(overrides, Mapping):
        return [Override(_path(key), value, f"override {key}") for key, value in overrides.items()]
    parsed = []
    for text in overrides:
        key, equals, value = (part.strip() for part in text.partition("="))
        if not equals or "" in key.split("."):
            raise UsageError(
                f"--set takes PATH=VALUE, such as train.batch_size=64. Received: {text}"
            )
        place = f"--set {key}"
        parsed.append(
            Override(_path(key), read_yaml(value, place).values if value else None, place)
        )
    return parsed


def apply_overrides(
    document: Document, overrides: Sequence[Override]
) -> tuple[Document, list[Fault]]:
    """Sets values, which have the override as their place from then on.

    A path leads through keys and through indices of lists that are there; a section that is not
    there is made. Whether the recipe may have such a key is for its validation to say.

    Returns:
        The document with the values set, and the faults of paths that lead nowhere.
    """
    faults = []
    for override in overrides:
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
    return tuple(int(part) if part.isdecimal() else part for part in dotted.split("."))


def _with(values: Any, path: Path, done: Path, value: Any) -> Any:
    """Returns a copy of `values` with the value at `path`; `done` is the path of `values`."""
    if not path:
        return value
    first, rest = path[0], path[1:]
    here = ".".join(str(part) for part in done) or "the recipe"
    if isinstance(values, list):
        if not isinstance(first, int) or first >= len(values):
            entries = ", ".join(str(index) for index in range(len(values))) or "none"
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
        f"{here} is one value, {values!r}, not a section or a list. {received(first)}"
    )
