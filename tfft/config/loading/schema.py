"""What the recipe's types allow, read from the types themselves."""

import types
import typing
from collections.abc import Iterator
from typing import Any, NamedTuple

from pydantic import BaseModel

from tfft.config.train import TrainConfig

# As pydantic locates a value: its path, with the names of union members between.
Location = tuple[int | str, ...]

_DISCRIMINATORS = ("kind", "name", "solver")
_SHORT_FORMS = {TrainConfig: ("strategy",)}


class Choice(NamedTuple):
    """The alternatives for one value.

    Attributes:
        words: Words that the value may be.
        sections: Keys of a section that the value may be instead of a word.
        key: Key that tells the sections apart that the value may be; "" if there is none.
        tags: Values of that key.
        map: Whether the value may be a section with keys of the user's own instead of a word.
    """

    words: tuple[str, ...]
    sections: tuple[str, ...]
    key: str
    tags: tuple[str, ...]
    map: bool


def choice_at(model: type[BaseModel], location: Location) -> Choice:
    """Returns the alternatives for the value at a location."""
    members = members_of(_type_at(model, location))
    literals = (m for m in members if typing.get_origin(m) is typing.Literal)
    words = tuple(str(word) for literal in literals for word in typing.get_args(literal))
    models = [member for member in members if is_section(member)]
    keys = [discriminator(member) for member in models]
    tagged = len(models) > 1 and all(keys)
    return Choice(
        words=words,
        sections=tuple(key for m in models for key in m.model_fields) if words else (),
        key=str(keys[0]) if tagged else "",
        tags=tuple(tag for member in models for tag in tags_of(member)) if tagged else (),
        map=bool(words) and any(_is_map(member) for member in members),
    )


def sections_by_tag(
    model: type[BaseModel], location: Location, key: int | str
) -> dict[str, type[BaseModel]]:
    """Returns the sections that may stand at a location, by the value of `key` that tells them.

    Empty where `key` does not tell sections apart.
    """
    members = members_of(_type_at(model, location))
    if choice_at(model, location).key != key:
        return {}
    return {tag: member for member in members if is_section(member) for tag in tags_of(member)}


def fields_at(model: type[BaseModel], location: Location) -> list[str]:
    """Returns the keys of the section at a location, short forms included."""
    found = _type_at(model, location)
    return [*found.model_fields, *_SHORT_FORMS.get(found, ())] if is_section(found) else []


def description_at(model: type[BaseModel], location: Location) -> str:
    """Returns the description of the key at a location, or ""."""
    found = _type_at(model, location[:-1])
    field = found.model_fields.get(str(location[-1])) if is_section(found) else None
    return (field.description or "") if field else ""


def members_of(found: Any) -> list[Any]:
    """Returns the members of a union but None, or the type itself, without annotations."""
    return [member for member in _flat(found) if member is not types.NoneType]


def is_section(found: Any) -> bool:
    """Says whether a type is a section of keys and values."""
    return isinstance(found, type) and issubclass(found, BaseModel)


def discriminator(model: type[BaseModel]) -> str | None:
    """Returns the key that tells a section from its alternatives, or None."""
    for name in _DISCRIMINATORS:
        field = model.model_fields.get(name)
        if field is not None and typing.get_origin(field.annotation) is typing.Literal:
            return name
    return None


def tags_of(model: type[BaseModel]) -> tuple[str, ...]:
    """Returns the values of the key that tells a section from its alternatives."""
    name = discriminator(model)
    return typing.get_args(model.model_fields[name].annotation) if name else ()


def item_of(found: Any) -> tuple[str, Any] | None:
    """Returns ``("list" or "map", type of its entries)`` for a container, None for other types."""
    arguments = typing.get_args(found)
    if typing.get_origin(found) is tuple:
        return "list", arguments[0]
    return ("map", arguments[1]) if typing.get_origin(found) is dict else None


def _is_map(found: Any) -> bool:
    return (item_of(found) or ("",))[0] == "map"


def _flat(found: Any) -> Iterator[Any]:
    if typing.get_origin(found) is typing.Annotated:
        yield from _flat(typing.get_args(found)[0])
    elif typing.get_origin(found) in (typing.Union, types.UnionType):
        for member in typing.get_args(found):
            yield from _flat(member)
    else:
        yield found


def _type_at(model: Any, location: Location) -> Any:
    """Returns the type at a location; past the end of the types, that of the last step."""
    found = model
    for part in location:
        members = members_of(found)
        if len(members) > 1:
            named = (m for m in members if is_section(m) and part in (m.__name__, *tags_of(m)))
            # pydantic calls a member by its type, such as dict[str,constrained-float].
            maps = (m for m in members if _is_map(m) and str(part).startswith("dict["))
            found = next(named, next(maps, found))
        elif is_section(members[0]):
            field = members[0].model_fields.get(str(part))
            found = field.annotation if field else members[0]
        else:
            item = item_of(members[0])
            found = item[1] if item else members[0]
    return found
