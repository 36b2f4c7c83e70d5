"""Which pixels a model sees: the one definition that evaluation, prediction and serving share."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from tfft.images.channels import check_channels

Fit = Literal["crop", "stretch"]
Interpolation = Literal["bilinear", "bicubic"]
Box = tuple[float, float, float, float]
"""(ymin, xmin, ymax, xmax) as shares of the upright image's height and width, as in TFDS."""


@dataclass(frozen=True)
class PixelSpec:
    """How a decoded image becomes float32 [height, width, channels] with values in 0..255.

    The image is turned upright (EXIF), cut to its box if it has one, and resized with antialias:
    ``fit="crop"`` keeps the aspect ratio, brings the shorter side to `resize` pixels (None: as few
    as cover the output) and cuts the centre; ``fit="stretch"`` brings each side to its size.
    Bicubic is Keys' kernel with a = -0.5; what it overshoots is clipped to 0..255. Channels are 1
    (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGB, alpha).

    Raises:
        ValueError: A size is not positive, `resize` cannot cover the output, or there is no such
            number of `channels`.
    """

    height: int
    width: int
    fit: Fit = "crop"
    resize: int | None = None
    interpolation: Interpolation = "bilinear"
    channels: int = 3

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise ValueError(
                f"an image size is positive. Received: height={self.height}, width={self.width}"
            )
        check_channels(self.channels)
        if self.fit == "stretch" and self.resize is not None:
            raise ValueError(
                f"resize belongs to fit='crop' and not to 'stretch'. Received: resize={self.resize}"
            )
        if self.resize is not None and self.resize < max(self.height, self.width):
            raise ValueError(
                f"resize must be at least the output's longer side, "
                f"{max(self.height, self.width)}. Received: resize={self.resize}"
            )

    def to_json(self) -> dict[str, Any]:
        """Returns the fields as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "PixelSpec":
        """Builds the spec that `to_json` described."""
        return cls(**values)
