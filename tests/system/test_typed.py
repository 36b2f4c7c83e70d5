"""Dataclasses are made of JSON values only if these have the types of the fields."""

from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from tfft.system.typed import typed


@dataclass
class Part:
    name: str
    size: float = 1.0


@dataclass
class Whole:
    parts: tuple[Part, ...]
    kind: Literal["a", "b"]
    by_name: dict[str, list[int]] = field(default_factory=dict)
    place: tuple[float, float] | None = None
    on: bool = False
    rest: Any = None


def test_objects_become_dataclasses_and_lists_become_tuples():
    values = {
        "parts": [{"name": "x"}, {"name": "y", "size": 2, "unknown": 3}],
        "kind": "b",
        "by_name": {"x": [1]},
        "place": [0, 0.5],
        "rest": {"any": [None]},
    }
    parts = (Part("x"), Part("y", 2))
    assert typed(Whole, values) == Whole(parts, "b", {"x": [1]}, (0, 0.5), rest={"any": [None]})


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"parts": {}}, "parts must be a list"),
        ({"parts": [3]}, "parts.0 must be an object"),
        ({"parts": [{}]}, "parts.0.name is missing"),
        ({"parts": [{"name": 3}]}, "parts.0.name must be text"),
        ({"parts": [{"name": "x", "size": True}]}, "parts.0.size must be a number"),
        ({"kind": "c"}, "kind must be one of a, b"),
        ({"kind": ["a"]}, "kind must be one of a, b"),
        ({"by_name": {"x": [1.5]}}, "by_name.x.0 must be a whole number"),
        ({"by_name": {"x": [True]}}, "by_name.x.0 must be a whole number"),
        ({"place": [1]}, "place must be 2 values"),
        ({"on": 1}, "on must be true or false"),
    ],
)
def test_a_value_of_another_type_is_named_by_its_place(changed, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        typed(Whole, {"parts": [], "kind": "a", **changed})
