"""Turns what pydantic finds wrong into sentences that say where, what, and what to do."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from tfft.config.loading.hints import hint_for_key, kind_of_backbone, section_form
from tfft.config.loading.schema import Choice, choice_at, description_at, fields_at
from tfft.config.loading.source import Document, Path
from tfft.errors import nearest, shortened

_MEANING_BY_FAULT = {
    "bool_type": "true or false",
    "float_type": "a number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a whole number of ordinary size",
    "path_type": "a path",
    "string_type": "text",
    "tuple_type": "a list",
    "finite_number": "a finite number",
}
# As many faults as a screen has room for, and how long a line and a key may get.
_SHOWN = 30
# As many keys are compared with those that are allowed, which takes a while.
_COMPARED = 200
_LONGEST_LINE = 1000
_LONGEST_KEY = 60
_SECTION_FAULTS = ("model_type", "model_attributes_type", "dict_type")


class Fault(NamedTuple):
    """What is wrong with one value of a recipe.

    Attributes:
        path: Keys and list indices that lead to the value.
        text: Sentence about it, without its place.
    """

    path: Path
    text: str


def report(faults: Iterable[Fault], document: Document) -> str:
    """Returns a line for each fault, ``place: path: what is wrong``, in the order of the file.

    Of more faults than a screen has lines the first are shown, and how many there are.
    """
    lines: dict[str, tuple[bool, int]] = {}
    for fault in faults:
        place = document.place(fault.path)
        dotted = ".".join(shortened(str(part), _LONGEST_KEY) for part in fault.path) or "recipe"
        where = f"{place}: {dotted}"
        if not place or place.endswith(f" {dotted}"):  # an override of just this value
            where = place or dotted
        # Lines of the file by number, then what comes from overrides in the order it was found.
        _, _, number = place.rpartition(":")
        is_numbered = number.isdecimal()
        order = (not is_numbered, int(number) if is_numbered else 0)
        lines[shortened(f"{where}: {fault.text}", _LONGEST_LINE)] = order
    ordered = sorted(lines, key=lines.__getitem__)
    more = [f"… and {len(ordered) - _SHOWN:,} more faults"] if len(ordered) > _SHOWN else []
    return "\n".join([*ordered[:_SHOWN], *more])


def find_faults(error: ValidationError, model: type[BaseModel], values: Any) -> list[Fault]:
    """Returns what pydantic found wrong, in plain words.

    Args:
        error: What pydantic raised.
        model: Type that `values` were validated against.
        values: Values as they were read.
    """
    faults: dict[Path, Fault] = {}
    for found in error.errors(include_url=False):
        is_tag_fault = found["type"] in ("union_tag_invalid", "union_tag_not_found")
        if is_tag_fault and not choice_at(model, found["loc"]).key:
            continue  # the value may be a word instead, and it is that which is wrong
        path = _value_path(found, values, model)
        if found["type"] == "extra_forbidden":
            text: str | None = _unknown_key(path, fields_at(model, found["loc"][:-1]), len(faults))
        else:
            text = _sentence(found, path, model)
        if text is not None:
            # A value that fits no member of a union is one fault, not one for each member.
            key = (*path, text) if "unknown key" in text else path
            faults.setdefault(key, Fault(path, text))
    return list(faults.values())


def received(value: Any) -> str:
    """Returns the end of a message, ``Received: …``, with a short value as YAML spells it."""
    if value is None or isinstance(value, bool):
        shown = "null" if value is None else str(value).lower()
    else:
        shown = value if isinstance(value, str) else repr(value)
    return f"Received: {shortened(shown)}"


def _value_path(found: Any, values: Any, model: type[BaseModel]) -> Path:
    """Returns pydantic's location without the names of union members, which are no keys."""
    location, path = found["loc"], []
    for part in location:
        in_list = isinstance(values, list) and isinstance(part, int) and part < len(values)
        if in_list or (isinstance(values, dict) and part in values):
            values = values[part]
            path.append(part)
    if found["type"] in ("union_tag_invalid", "union_tag_not_found"):
        path.append(choice_at(model, location).key)
    elif found["type"] == "missing":
        path.append(location[-1])
    return tuple(path)


def _sentence(found: Any, path: Path, model: type[BaseModel]) -> str | None:
    kind, value, location = found["type"], found["input"], found["loc"]
    choice = choice_at(model, location)
    if kind == "missing":
        description = description_at(model, location)
        return f"is missing: {description}" if description else "is missing"
    if kind == "union_tag_not_found":
        known = kind_of_backbone(value["name"]) if path[0] == "backbone" and "name" in value else ""
        hint = f" {value['name']} is of kind {known}." if known else ""
        return f"is missing. Allowed: {', '.join(choice.tags)}{hint and '.' + hint}"
    if kind == "union_tag_invalid":
        return _no_choice(Choice(choice.tags, (), "", (), False), found["ctx"]["tag"])
    if choice.words:
        in_section = isinstance(value, dict) and (choice.sections or choice.map)
        return None if in_section else _no_choice(choice, value)
    if kind in _SECTION_FAULTS:
        form = section_form(path, value)
        return (
            f"must be a section of keys and values{form and ', such as ' + form}. {received(value)}"
        )
    if kind == "string_pattern_mismatch":
        rule = "must begin with a letter and go on with letters, digits, _ and -, 64 at most"
        return f"{rule}. {received(value)}"
    if kind == "too_short":
        return _too_few(value, found["ctx"]["min_length"])
    if kind == "too_long":
        return f"must have {found['ctx']['max_length']} entries at most. {received(value)}"
    if kind == "string_type" and value is not None and not isinstance(value, list | dict):
        return f"must be text; put it in quotes. {received(value)}"
    if kind in _MEANING_BY_FAULT:
        return f"must be {_MEANING_BY_FAULT[kind]}. {received(value)}"
    return f"{found['msg'].replace('Input should be', 'must be')}. {received(value)}"


def _unknown_key(path: Path, allowed: list[str], before: int) -> str:
    """Returns the sentence about a key that does not belong here; `before` it others were found."""
    slip = nearest(str(path[-1]), allowed, cutoff=0.8) if before < _COMPARED else ""
    hint = hint_for_key(path)
    if hint and not slip:
        return f"unknown key: {hint}. Allowed here: {', '.join(allowed)}"
    close = nearest(str(path[-1]), allowed) if before < _COMPARED else ""
    return f"unknown key. Allowed: {', '.join(allowed)}.{close}"


def _too_few(value: Any, least: int) -> str | None:
    """Returns None if there are enough entries: pydantic counts only those without faults."""
    if len(value) >= least:
        return None
    count = "at least one entry" if least == 1 else f"{least} entries or more"
    return f"must have {count}. {received(value)}" if value else f"must have {count}"


def _no_choice(choice: Choice, value: Any) -> str:
    allowed = ", ".join(choice.words)
    if choice.sections:
        allowed += f", or a section with {', '.join(choice.sections)}"
    if choice.map:
        allowed += ", or a section with a value for each name"
    hint = nearest(value, choice.words) if isinstance(value, str) else ""
    several = "one of " if len(choice.words) > 1 else ""
    return f"must be {several}{allowed}.{hint} {received(value)}"
