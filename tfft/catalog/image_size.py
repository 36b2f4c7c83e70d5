"""The size of the images that a model takes, as people write it: 224, or (192, 256)."""

ImageSize = int | tuple[int, int]
"""Height and width in pixels: one number where they are equal, else (height, width)."""


def image_size(height: int, width: int) -> ImageSize:
    """Returns a height and a width as they are written."""
    return height if height == width else (height, width)


def sides(size: ImageSize) -> tuple[int, int]:
    """Returns the height and the width of a size."""
    if isinstance(size, int):
        return size, size
    height, width = size
    return height, width


def sides_text(size: ImageSize) -> str:
    """Returns a size for people: ``224``, or height and width, ``192 x 256``."""
    return " x ".join(map(str, dict.fromkeys(sides(size))))
