"""The `tune:` section: which values of the recipe `tfft tune` searches, and for how long."""

from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag

from tfft.config.base import BELOW, PositiveInt, Section


class Choices(Section):
    """One of several values."""

    choices: tuple[Any, ...] = Field(
        description="two values or more, sections among them, as the recipe would have them"
    )


class Range(Section):
    """A number between two others, whole if both are."""

    low: int | float = Field(description="smallest value")
    high: int | float = Field(description="largest value")
    log: bool = Field(default=False, description="search evenly over the logarithm")


def _kind_of(searched: object) -> str:
    if isinstance(searched, dict):
        return "Choices" if "choices" in searched else "Range"
    return type(searched).__name__


Searched = Annotated[
    Annotated[Choices, Tag("Choices")] | Annotated[Range, Tag("Range")],
    Discriminator(_kind_of),
]


class TuneConfig(Section):
    """What `tfft tune` searches; `tfft train` takes no notice of it."""

    trials: PositiveInt = Field(default=20, description="recipes that are tried")
    seed: int = Field(default=0, ge=0, lt=BELOW, description="seed of the search")
    prune: bool = Field(
        default=True,
        description="stop a trial whose validation metric is below the median of those before it "
        "at the same epoch",
    )
    space: dict[str, Searched] = Field(
        default_factory=dict,
        description="what is searched, by dotted path as in --set; empty: learning rate, depth, "
        "decay and augmentation of the last phase that trains blocks",
    )
