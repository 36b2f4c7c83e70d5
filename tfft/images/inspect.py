"""Whether an encoded image can be read at all, and what it is."""

from dataclasses import dataclass

from tfft.images.decode import check_image
from tfft.images.formats import announced_orientation, announced_size, image_format


@dataclass(frozen=True)
class ImageFacts:
    """What a scan keeps of an image.

    Attributes:
        format: One of `tfft.images.formats.FORMATS`.
        height: Height of the upright image in pixels.
        width: Width of the upright image in pixels.
        orientation: How it is turned, as an EXIF orientation, 1..8.
        corruption: What in the image data is corrupt although they can be decoded; "" if nothing
            is.
    """

    format: str
    height: int
    width: int
    orientation: int
    corruption: str = ""


def inspect_image(encoded: bytes) -> ImageFacts:
    """Reads all of an image, so that nothing in it can fail later, and describes it.

    Raises:
        DataError: The image cannot be read; the message says why.
    """
    kind, corruption = check_image(encoded)
    height, width = image_size(encoded)
    return ImageFacts(kind, height, width, announced_orientation(encoded, kind), corruption)


def image_size(encoded: bytes) -> tuple[int, int]:
    """Returns height and width of the upright image from its header, without decoding it.

    Args:
        encoded: Bytes of an image that `inspect_image` accepts.
    """
    kind = image_format(encoded)
    height, width = announced_size(encoded, kind)
    return (width, height) if announced_orientation(encoded, kind) >= 5 else (height, width)
