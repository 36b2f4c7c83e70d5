"""What every saved model says of itself, so that it can be used without the run that made it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from tfft.errors import ModelFileError
from tfft.images.spec import PixelSpec

FILE_NAME = "tfft.json"
# What of the data section says where files lie on the machine that trained.
PLACES = ("path", "data_dir", "archives")


@dataclass(frozen=True)
class HeadInfo:
    """One output of a model.

    Attributes:
        kind: ``classification``, ``multi_label``, ``regression`` or ``box``.
        class_names: by index of the logit; empty where there are no classes.
        target: what the data call the thing that is predicted.
        temperature: what the logits of a classification are divided by before the softmax.
    """

    kind: str
    class_names: tuple[str, ...]
    target: str
    temperature: float = 1.0


@dataclass(frozen=True)
class ModelInfo:
    """A saved model's own description.

    Attributes:
        name: of the export.
        pixels: how encoded images become its input, float32 [batch, height, width, 3], 0..255.
        heads: its outputs by name.
        backbone: name in the catalog.
        licence: of the backbone's weights, as their source states it.
        data: the resolved `data` section of the recipe; in exports without its `PLACES`.
        tfft_version: that wrote it.
        created: ISO 8601, UTC.
    """

    name: str
    pixels: PixelSpec
    heads: dict[str, HeadInfo]
    backbone: str
    licence: str | None
    data: dict[str, Any] | None
    tfft_version: str
    created: str

    def to_json(self) -> dict[str, Any]:
        """Returns the description as JSON values."""
        return asdict(self)

    @property
    def temperatures(self) -> dict[str, float]:
        """What the logits of each head are divided by."""
        return {name: head.temperature for name, head in self.heads.items()}

    def at_temperatures(self, temperatures: Mapping[str, float]) -> "ModelInfo":
        """Returns the description with these temperatures of its heads; 1 where none is given."""
        heads = {
            name: replace(head, temperature=temperatures.get(name, 1.0))
            for name, head in self.heads.items()
        }
        return replace(self, heads=heads)

    def without_places(self) -> "ModelInfo":
        """Returns the description for strangers: without paths of the machine that trained."""
        data = self.data and {k: None if k in PLACES else v for k, v in self.data.items()}
        return replace(self, data=data)

    @classmethod
    def from_json(cls, values: Mapping[str, Any], source: str) -> "ModelInfo":
        """Reads what `to_json` returned.

        Args:
            values: JSON values.
            source: the file that they are from, for the error.

        Raises:
            ModelFileError: A part is missing or not what it should be.
        """
        try:
            heads = {
                name: HeadInfo(
                    head["kind"],
                    tuple(head["class_names"]),
                    head["target"],
                    float(head.get("temperature", 1.0)),
                )
                for name, head in values["heads"].items()
            }
            pixels = PixelSpec.from_json(values["pixels"])
            return cls(**{**values, "heads": heads, "pixels": pixels})
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ModelFileError(f"{source} does not describe a model of tfft: {error}") from error
