"""The description that every saved model carries, so that it can be used without its run."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from tfft.errors import ModelFileError
from tfft.images.spec import PixelSpec

FILE_NAME = "tfft.json"
# Keys of the `data` section with paths on the machine that trained.
PLACES = ("path", "data_dir", "archives")


@dataclass(frozen=True)
class HeadInfo:
    """One output of a model.

    Attributes:
        kind: ``classification``, ``multi_label``, ``regression`` or ``box``.
        class_names: Class names in the order of the logits; empty where there are no classes.
        target: Name in the data of the value that is predicted.
        temperature: Number by which the logits of a classification are divided before softmax.
    """

    kind: str
    class_names: tuple[str, ...]
    target: str
    temperature: float = 1.0


@dataclass(frozen=True)
class ModelInfo:
    """A saved model's own description.

    Attributes:
        name: Name of the export or run.
        pixels: How encoded images become its input, float32 [batch, height, width, 3], 0..255.
        heads: Its outputs by name.
        backbone: Name of its backbone.
        licence: Licence of the backbone's weights, as their source states it.
        data: The resolved `data` section of the recipe; in exports without its `PLACES`.
        tfft_version: Version of tfft that wrote the description.
        created: Time of writing, ISO 8601, UTC.
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
        """The temperature of each head."""
        return {name: head.temperature for name, head in self.heads.items()}

    def at_temperatures(self, temperatures: Mapping[str, float]) -> "ModelInfo":
        """Returns the description with other temperatures; a head that is not named gets 1."""
        heads = {
            name: replace(head, temperature=temperatures.get(name, 1.0))
            for name, head in self.heads.items()
        }
        return replace(self, heads=heads)

    def without_places(self) -> "ModelInfo":
        """Returns the description for others, without paths of the machine that trained."""
        data = self.data and {k: None if k in PLACES else v for k, v in self.data.items()}
        return replace(self, data=data)

    @classmethod
    def from_json(cls, values: Mapping[str, Any], source: str) -> "ModelInfo":
        """Returns the description from the JSON values that `to_json` returned.

        Args:
            values: JSON values.
            source: File that they come from, for the error message.

        Raises:
            ModelFileError: A key is missing or has a wrong value.
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
