"""Remarks about data for a person: like ones are one line, with their number and an example."""

from typing import NamedTuple


class Kind(NamedTuple):
    """What is said about one thing, and about several; ``{}`` stands for the (first) one.

    Attributes:
        one: Such as ``"{} is ignored: it is empty"``.
        many: Such as ``"{count:,} folders are ignored, such as {}: they are empty"``.
    """

    one: str
    many: str


class Notes:
    """Collects remarks, and forgets of like ones all but their number and the first."""

    def __init__(self) -> None:
        self._first: dict[Kind, str] = {}
        self._counts: dict[Kind, int] = {}

    def add(self, kind: Kind, name: str) -> None:
        """Adds what `kind` says about what is called `name`."""
        self._first.setdefault(kind, name)
        self._counts[kind] = self._counts.get(kind, 0) + 1

    def lines(self) -> tuple[str, ...]:
        """Returns a line for each kind, in the order in which they were first added."""
        return tuple(
            kind.one.format(name)
            if self._counts[kind] == 1
            else kind.many.format(name, count=self._counts[kind])
            for kind, name in self._first.items()
        )
