"""From values to sections of a recipe, with every fault at once."""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, get_type_hints

from pydantic import TypeAdapter, ValidationError

from tfft.config.base import Section
from tfft.config.loading.checks import check_sections
from tfft.config.loading.faults import Fault, find_faults, received, report
from tfft.config.loading.source import MAX_DEPTH, Document
from tfft.errors import RecipeError

Sections = TypeVar("Sections", bound=Section)


def validated(model: type[Sections], document: Document, known: Sequence[Fault] = ()) -> Sections:
    """Makes sections of what was written.

    Args:
        model: Type whose fields are sections of a recipe, such as `Recipe`.
        document: The values; paths and tuples are allowed among them.
        known: Faults that were found on the way; no other fault of the same value is named.

    Raises:
        RecipeError: Something is wrong; every fault is named, a line each.
    """
    document = Document(_plain(document.values), document.places)
    faults = list(known)
    try:
        checked = model.model_validate_json(json.dumps(document.values), strict=True)
        sections = {name: section for name, section in checked if section is not None}
    except ValidationError as error:
        checked, sections = None, _valid_sections(model, document.values)
        found = find_faults(error, model, document.values)
        faults += [fault for fault in found if fault.path not in {fault.path for fault in known}]
    faults += [Fault(path, text) for path, text in check_sections(sections)]
    if faults or checked is None:
        raise RecipeError(report(faults, document))
    return checked


def _plain(value: Any, depth: int = 0) -> Any:
    """Returns values as JSON has them: paths as text, tuples as lists."""
    if depth > MAX_DEPTH:
        raise RecipeError(f"nested deeper than {MAX_DEPTH}, or holds itself; this is no recipe")
    if isinstance(value, Mapping):
        return {_plain(str(key)): _plain(part, depth + 1) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part, depth + 1) for part in value]
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


def _valid_sections(model: type[Section], values: dict[str, Any]) -> dict[str, Any]:
    """Returns the written sections that have no fault of their own."""
    kinds = get_type_hints(model, include_extras=True)
    valid = {}
    for name in model.model_fields.keys() & values.keys():
        try:
            text = json.dumps(values[name])
            valid[name] = TypeAdapter(kinds[name]).validate_json(text, strict=True)
        except ValidationError:  # its faults are among those of the whole
            continue
    return valid
