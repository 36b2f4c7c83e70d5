"""What every section of a recipe has in common."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Discriminator, Field

from tfft.system.names import NAME_PATTERN


class Section(BaseModel):
    """A part of a recipe: unknown keys are refused, values cannot be changed."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False
    )


def discriminator_or(key: str, default: str) -> Discriminator:
    """Returns what tells sections apart by `key`, which need not be written for `default`."""

    def tag_of(section: object) -> str:
        if isinstance(section, dict):
            return str(section.get(key, default))
        return str(getattr(section, key, default))

    return Discriminator(tag_of)


Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]
# No count of anything is larger than what libraries take.
BELOW = 2**31
PositiveInt = Annotated[int, Field(gt=0, lt=BELOW)]
PositiveFloat = Annotated[float, Field(gt=0.0)]
NonNegativeFloat = Annotated[float, Field(ge=0.0)]
# A name that becomes a directory, a head or a signature output.
Name = Annotated[str, Field(pattern=f"^{NAME_PATTERN}$")]
