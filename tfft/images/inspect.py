"""Whether an encoded image can be read at all, and what it is."""

from dataclasses import dataclass

from tfft.images.decode import open_image
from tfft.images.exif import exif_orientation
from tfft.images.formats import announced_size, gif_frames, image_format


@dataclass(frozen=True)
class ImageFacts:
    """What a scan keeps of an image.

    Attributes:
        format: One of `tfft.images.formats.FORMATS`.
        height: Height of the upright image in pixels.
        width: Width of the upright image in pixels.
        orientation: EXIF orientation, 1..8.
    """

    format: str
    height: int
    width: int
    orientation: int


def inspect_image(encoded: bytes) -> ImageFacts:
    """Reads all of an image, so that nothing in it can fail later, and describes it.

    Every byte of a JPEG is decoded, but only to an eighth of its size, which shows just as well
    what is broken.

    Raises:
        DataError: The image cannot be read; the message says why.
    """
    opened = open_image(encoded, small=True)
    height, width = image_size(encoded)
    return ImageFacts(opened.format, height, width, opened.orientation)


def image_size(encoded: bytes) -> tuple[int, int]:
    """Returns height and width of the upright image from its header, without decoding it.

    Args:
        encoded: Bytes of an image that `inspect_image` accepts.
    """
    kind = image_format(encoded)
    if kind == "GIF":  # its first frame is laid on a canvas as large as its largest frame
        frames = gif_frames(encoded)
        return max(frame[3] for frame in frames), max(frame[2] for frame in frames)
    height, width = announced_size(encoded, kind)
    return (width, height) if exif_orientation(encoded) >= 5 else (height, width)
