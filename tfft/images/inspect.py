"""Whether an encoded image can be read at all, and what it is."""

from dataclasses import dataclass

from tfft.images.decode import open_image


@dataclass(frozen=True)
class ImageFacts:
    """What a scan keeps of an image; height and width are those of the upright image."""

    format: str
    height: int
    width: int
    orientation: int


def inspect_image(encoded: bytes) -> ImageFacts:
    """Decodes an image fully, so that nothing in it can fail later, and describes it.

    Raises:
        DataError: It cannot be read, with the reason.
    """
    opened = open_image(encoded)
    width, height = opened.image.size
    if opened.orientation >= 5:
        width, height = height, width
    return ImageFacts(opened.format, height, width, opened.orientation)
