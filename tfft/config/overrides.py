"""``--set a.b.0.c=value``: values of a recipe set from outside."""

from collections.abc import Mapping, Sequence
from typing import Any

from tfft.config.source import Document, Path, read_yaml
from tfft.errors import RecipeError, UsageError, nearest

Overrides = Mapping[str, Any] | Sequence[str]


def apply_overrides(document: Document, overrides: Overrides) -> Document:
    """Returns the document with values set, whose faults are reported as from ``--set``.

    A path leads through keys that are there, or that a section may have, and through indices of
    lists that are there.

    Raises:
        UsageError: An override is not ``path=value``.
        RecipeError: A path leads through a list by something that is no index of it, or through a
            value that has no parts.
    """
    result = document
    for path, value, place in _parsed(overrides):
        values = _with(result.values, path, (), value, place)
        places = {p: where for p, where in result.places.items() if p[: len(path)] != path}
        result = Document(values, {**places, path: place})
    return result


def _parsed(overrides: Overrides) -> list[tuple[Path, Any, str]]:
    if isinstance(overrides, Mapping):
        return [(_path(key), value, f"override {key}") for key, value in overrides.items()]
    parsed = []
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise UsageError(
                f"--set takes PATH=VALUE, such as train.batch_size=64. Received: {text}"
            )
        place = f"--set {key.strip()}"
        parsed.append(
            (_path(key.strip()), read_yaml(value, place).values if value else None, place)
        )
    return parsed


def _path(dotted: str) -> Path:
    return tuple(int(part) if part.isdecimal() else part for part in dotted.split("."))


def _with(values: Any, path: Path, done: Path, value: Any, place: str) -> Any:
    if not path:
        return value
    first, rest = path[0], path[1:]
    here = ".".join(str(part) for part in done) or "the recipe"
    if isinstance(values, list):
        if not isinstance(first, int) or first >= len(values):
            raise RecipeError(
                f"{place}: {here} is a list of {len(values)}; its entries are "
                f"0 to {len(values) - 1}. Received: {first}"
            )
        changed = _with(values[first], rest, (*done, first), value, place)
        return [*values[:first], changed, *values[first + 1 :]]
    if isinstance(values, dict) or values is None:
        there = values or {}
        key = str(first)
        return {**there, key: _with(there.get(key), rest, (*done, key), value, place)}
    raise RecipeError(
        f"{place}: {here} is {values!r} and has no parts."
        f"{nearest(str(first), [])} Received: {first}"
    )
