"""From what pydantic finds wrong to sentences that say where, what and what to do."""

import types
import typing
from collections.abc import Callable, Iterator
from typing import Any

from pydantic import BaseModel, ValidationError

from tfft.config.source import Path
from tfft.errors import nearest


def fault_lines(
    error: ValidationError,
    model: type[BaseModel],
    values: Any,
    place: Callable[[Path], str],
    inside: Path = (),
) -> list[str]:
    """Returns a line for each fault: ``place: path: what is wrong. Received: …``.

    Args:
        error: of validating `values`.
        model: that was validated.
        values: as they were read.
        place: says where the value at a path was written.
        inside: path of `values` in the recipe.
    """
    lines = []
    for fault in error.errors(include_url=False):
        path = _value_path(fault["loc"], values, fault["type"] in ("missing", "extra_forbidden"))
        text = _sentence(fault, model)
        if text is not None:
            lines.append(line(place, (*inside, *path), text))
    return list(dict.fromkeys(lines))


def line(place: Callable[[Path], str], path: Path, text: str) -> str:
    """Returns one fault as a line."""
    where = place(path)
    dotted = ".".join(str(part) for part in path) or "recipe"
    return f"{where}: {dotted}: {text}" if where else f"{dotted}: {text}"


def _value_path(location: tuple[int | str, ...], values: Any, names_a_key: bool) -> Path:
    """Leaves out of pydantic's location what is no part of the values: names of union members."""
    path: list[int | str] = []
    for part in location:
        in_list = isinstance(values, list) and isinstance(part, int) and part < len(values)
        if in_list or (isinstance(values, dict) and part in values):
            values = values[part]
            path.append(part)
    if names_a_key and (not path or path[-1] != location[-1]):
        path.append(location[-1])
    return tuple(path)


def _sentence(fault: Any, model: type[BaseModel]) -> str | None:
    kind, context, received = fault["type"], fault.get("ctx") or {}, fault["input"]
    if kind == "extra_forbidden":
        allowed = _keys_at(model, fault["loc"][:-1])
        return (
            f"unknown key. Allowed: {', '.join(allowed)}.{nearest(str(fault['loc'][-1]), allowed)}"
        )
    if kind == "missing":
        return "is missing"
    if kind in ("literal_error", "union_tag_invalid", "enum"):
        if kind == "literal_error" and isinstance(received, dict):
            return None
        return _choice(context, received)
    if kind == "union_tag_not_found":
        allowed = _tags(model, fault["loc"])
        return f"needs the key {context['discriminator']}. Allowed values: {allowed}"
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        if isinstance(received, str) and _has_words(model, fault["loc"]):
            return None
        return f"must be a section of keys and values. {_received(received)}"
    if kind == "string_pattern_mismatch":
        rule = "must begin with a letter and go on with letters, digits, _ and -, 64 at most"
        return f"{rule}. {_received(received)}"
    if kind == "too_short":
        return None if received else "must have at least one entry"
    return f"{_plain(fault['msg'])}. {_received(received)}"


def _choice(context: dict[str, Any], received: Any) -> str:
    allowed = context.get("expected_tags") or context.get("expected", "")
    names = [name.strip(" '") for name in allowed.replace(" or ", ", ").split(",")]
    value = context.get("tag", received)
    return f"must be one of {', '.join(names)}.{nearest(str(value), names)} Received: {value}"


def _plain(message: str) -> str:
    return message.replace("Input should be", "must be").replace(
        ", unable to parse", "; cannot read"
    )


def _received(value: Any) -> str:
    shown = value if isinstance(value, str) else repr(value)
    return f"Received: {shown if len(shown) <= 80 else shown[:77] + '…'}"


def _keys_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    found = _type_at(model, location)
    return list(found.model_fields) if _is_model(found) else []


def _tags(model: type[BaseModel], location: tuple[int | str, ...]) -> str:
    members = _members(_type_at(model, location))
    return ", ".join(tag for member in members for tag in _literals(member))


def _has_words(model: type[BaseModel], location: tuple[int | str, ...]) -> bool:
    return any(
        typing.get_origin(m) is typing.Literal for m in _members(_type_at(model, location[:-1]))
    )


def _type_at(model: Any, location: tuple[int | str, ...]) -> Any:
    found = model
    for part in location:
        found = _step(found, part)
    return found


def _step(found: Any, part: int | str) -> Any:
    members = list(_members(found))
    if len(members) > 1:
        return next((m for m in members if _is_model(m) and _is_called(m, part)), found)
    (only,) = members
    if _is_model(only):
        field = only.model_fields.get(str(part))
        return field.annotation if field else only
    arguments = typing.get_args(only)
    if typing.get_origin(only) is tuple:
        return arguments[0]
    return arguments[1] if typing.get_origin(only) is dict else only


def _members(found: Any) -> Iterator[Any]:
    """The members of a union, or the type itself, without annotations."""
    if typing.get_origin(found) is typing.Annotated:
        yield from _members(typing.get_args(found)[0])
    elif typing.get_origin(found) in (typing.Union, types.UnionType):
        for member in typing.get_args(found):
            yield from _members(member)
    else:
        yield found


def _is_model(found: Any) -> bool:
    return isinstance(found, type) and issubclass(found, BaseModel)


def _is_called(model: type[BaseModel], tag: int | str) -> bool:
    return tag == model.__name__ or tag in _literals(model)


def _literals(model: Any) -> tuple[str, ...]:
    """The values of the field that tells a member of a union from the others."""
    if not _is_model(model):
        return ()
    for name in ("kind", "name", "solver"):
        field = model.model_fields.get(name)
        if field is not None and typing.get_origin(field.annotation) is typing.Literal:
            return typing.get_args(field.annotation)
    return ()
