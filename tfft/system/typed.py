"""Dataclasses from JSON values, with the types of their fields checked, and back.

pydantic, which checks recipes, takes longer to import than a `.tflite` file to answer.
"""

import types
import typing
from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from typing import Any

_WORDS = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


def typed(kind: Any, value: Any, place: str = "") -> Any:
    """Returns a JSON value as a type has it: objects as dataclasses, lists as tuples or lists.

    Keys that a dataclass has no field for are passed over.

    Args:
        kind: A dataclass, ``dict[str, …]``, ``list[…]``, a tuple, a union, a `Literal`, or ``str``,
            ``int``, ``float``, ``bool``, ``None`` or ``Any``.
        value: The value.
        place: Keys and positions that lead to it, with dots between, for messages.

    Raises:
        ValueError: It is of another type, or a field without a default is missing.
    """
    if isinstance(kind, type) and is_dataclass(kind):
        return _dataclass(kind, value, place)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return _member(arguments, value, place)
    if origin is typing.Literal:
        _require(value in arguments, place, f"one of {', '.join(map(str, arguments))}")
        return value
    if origin is dict:
        _require(isinstance(value, Mapping), place, "an object")
        return {key: typed(arguments[1], part, _below(place, key)) for key, part in value.items()}
    if origin in (list, tuple):
        _require(isinstance(value, list | tuple), place, "a list")
        fixed = origin is tuple and arguments[-1] is not Ellipsis
        _require(not fixed or len(value) == len(arguments), place, f"{len(arguments)} values")
        of_each = arguments if fixed else arguments[:1] * len(value)
        return origin(
            typed(k, part, _below(place, i))
            for i, (k, part) in enumerate(zip(of_each, value, strict=True))
        )
    if kind in _WORDS:
        is_kind = isinstance(value, int | float if kind is float else kind)
        _require(is_kind and isinstance(value, bool) == (kind is bool), place, _WORDS[kind])
    elif kind in (None, types.NoneType):
        _require(value is None, place, "null")
    return value


def json_values(value: Any) -> Any:
    """Returns a value as JSON would read it again: dataclasses as objects, tuples as lists."""
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, Mapping):
        return {key: json_values(part) for key, part in value.items()}
    return [json_values(part) for part in value] if isinstance(value, list | tuple) else value


def _dataclass(kind: Any, value: Any, place: str) -> Any:
    _require(isinstance(value, Mapping), place, "an object")
    kinds = typing.get_type_hints(kind)
    found = {
        field.name: typed(kinds[field.name], value[field.name], _below(place, field.name))
        for field in fields(kind)
        if field.name in value
    }
    try:
        return kind(**found)
    except TypeError as error:
        missing = next(field.name for field in fields(kind) if field.name not in found)
        raise ValueError(f"{_below(place, missing)} is missing") from error


def _member(kinds: tuple[Any, ...], value: Any, place: str) -> Any:
    """Returns the value as the first type of a union that it fits."""
    faults = []
    for kind in kinds:
        try:
            return typed(kind, value, place)
        except ValueError as error:
            faults.append(error)
    raise faults[0]


def _below(place: str, key: Any) -> str:
    return f"{place}.{key}" if place else str(key)


def _require(holds: bool, place: str, what: str) -> None:
    if not holds:
        raise ValueError(f"{place or 'it'} must be {what}")
