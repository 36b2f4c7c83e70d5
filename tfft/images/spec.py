"""Which pixels a model sees: the one definition that evaluation, prediction and serving share."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from tfft.images.channels import check_channels

Fit = Literal["crop", "stretch", "letterbox"]
Interpolation = Literal["bilinear", "bicubic"]
Box = tuple[float, float, float, float]
"""(ymin, xmin, ymax, xmax) as shares of the upright image's height and width, as in TFDS."""
Colour = tuple[int, int, int]
"""Red, green and blue, 0..255."""
# Half of the range: near zero for the backbone after most preprocessing.
GREY: Colour = (128, 128, 128)


@dataclass(frozen=True)
class PixelSpec:
    """How a decoded image becomes float32 [height, width, channels] with values in 0..255.

    The image is turned upright (EXIF), cut to its box if it has one, and resized with antialias:
    ``fit="crop"`` keeps the aspect ratio, brings the shorter side to `resize` pixels (None: as few
    as cover the output) and cuts the centre; ``fit="stretch"`` brings each side to its size;
    ``fit="letterbox"`` keeps the aspect ratio, makes the image as large as fits the output, and
    lays it in the middle of the colour `fill`; where an odd number of rows or columns is left, the
    one more is below or on the right. In an alpha channel what is filled is transparent (0).

    Bicubic is Keys' kernel with a = -0.5; what it overshoots is clipped to 0..255. Channels are 1
    (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGB, alpha).

    Raises:
        ValueError: A size is not positive, `resize` cannot cover the output, `resize` or `fill`
            belongs to another `fit`, or there is no such number of `channels`.
    """

    height: int
    width: int
    fit: Fit = "crop"
    resize: int | None = None
    interpolation: Interpolation = "bilinear"
    channels: int = 3
    fill: Colour = GREY

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise ValueError(
                f"an image size is positive. Received: height={self.height}, width={self.width}"
            )
        check_channels(self.channels)
        if self.fit != "crop" and self.resize is not None:
            raise ValueError(
                f"resize belongs to fit='crop' and not to {self.fit!r}. "
                f"Received: resize={self.resize}"
            )
        if self.fit != "letterbox" and self.fill != GREY:
            raise ValueError(
                f"fill belongs to fit='letterbox' and not to {self.fit!r}. "
                f"Received: fill={self.fill}"
            )
        if not all(0 <= level <= 255 for level in self.fill):
            raise ValueError(f"levels of a colour are 0..255. Received: fill={self.fill}")
        if self.resize is not None and self.resize < max(self.height, self.width):
            raise ValueError(
                f"resize must be at least the output's longer side, "
                f"{max(self.height, self.width)}. Received: resize={self.resize}"
            )

    def to_json(self) -> dict[str, Any]:
        """Returns the fields as JSON values; `fill` only where there is something to fill."""
        values = asdict(self) | {"fill": list(self.fill)}
        if self.fit != "letterbox":
            del values["fill"]
        return values

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "PixelSpec":
        """Builds the spec that `to_json` described."""
        return cls(**{**values, "fill": tuple(values.get("fill", GREY))})
