"""Pictures with structure, encoded in every kind that users have."""

import io
from pathlib import Path

import numpy as np
from PIL import Image


def picture(height: int = 151, width: int = 203) -> Image.Image:
    """A picture with edges, gradients and fine lines: what resizing and JPEG find hard."""
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float64)
    red = 127 + 120 * np.sin(rows / 9) * np.cos(columns / 5)
    green = 255 * ((rows // 16 + columns // 16) % 2)
    blue = 255 * columns / width
    disc = (rows - height / 3) ** 2 + (columns - width / 4) ** 2 < (height / 5) ** 2
    image = np.stack([red, green, blue], axis=-1)
    image[disc] = (250, 240, 10)
    return Image.fromarray(image.astype(np.uint8))


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def rotated_photo(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(picture(), "JPEG", exif=exif)


def pictures_of_every_kind() -> dict[str, bytes]:
    image = picture()
    grey = image.convert("L")
    palette = image.quantize(64)
    alpha = image.copy()
    alpha.putalpha(Image.fromarray((np.arange(151 * 203) % 256).astype(np.uint8).reshape(151, 203)))
    deep = np.asarray(grey).astype(np.uint16) * 251 + np.arange(203, dtype=np.uint16)
    turned = [palette.rotate(90), palette.rotate(180)]
    kinds = {
        "JPEG": encoded(image, "JPEG"),
        "JPEG, progressive": encoded(image, "JPEG", progressive=True, quality=40),
        "JPEG, full chroma": encoded(image, "JPEG", subsampling=0),
        "JPEG, grey": encoded(grey, "JPEG"),
        "JPEG, CMYK": encoded(image.convert("CMYK"), "JPEG"),
        "JPEG, CMYK without Adobe's marker": _without_adobe(encoded(image.convert("CMYK"), "JPEG")),
        "PNG": encoded(image, "PNG"),
        "PNG, grey": encoded(grey, "PNG"),
        "PNG, 16-bit": encoded(Image.fromarray(deep), "PNG"),
        "PNG, 1-bit": encoded(image.convert("1"), "PNG"),
        "PNG, alpha": encoded(alpha, "PNG"),
        "PNG, grey and alpha": encoded(alpha.convert("LA"), "PNG"),
        "PNG, palette": encoded(palette, "PNG"),
        "PNG, palette of 16": encoded(image.quantize(16), "PNG", bits=4),
        "PNG, palette and alpha": encoded(alpha.quantize(64), "PNG"),
        "PNG, transparent colour": encoded(grey, "PNG", transparency=3),
        "GIF": encoded(palette, "GIF"),
        "GIF, transparent": encoded(palette, "GIF", transparency=5),
        "GIF, animated": encoded(palette, "GIF", save_all=True, append_images=turned),
        "WebP": encoded(image, "WEBP"),
        "WebP, lossless": encoded(image, "WEBP", lossless=True),
        "WebP, alpha": encoded(alpha, "WEBP"),
        "BMP": encoded(image, "BMP"),
        "BMP, alpha": encoded(alpha, "BMP"),
        "BMP, palette": encoded(palette, "BMP"),
        "BMP, grey": encoded(grey, "BMP"),
        "BMP, 1-bit": encoded(image.convert("1"), "BMP"),
    }
    for orientation in range(1, 9):
        kinds[f"JPEG, orientation {orientation}"] = rotated_photo(orientation)
    return kinds


def _without_adobe(jpeg: bytes) -> bytes:
    start = jpeg.index(b"\xff\xee\x00\x0eAdobe")
    return jpeg[:start] + jpeg[start + 16 :]


def write_photo_folder(root: Path) -> Path:
    """Writes three classes with eight, five and one JPEG files."""
    for name, count in (("cat", 8), ("dog", 5), ("owl", 1)):
        (root / name).mkdir()
        for number in range(count):
            size = 40 + 3 * number + len(name) + ord(name[0]) % 7
            (root / name / f"{number}.jpg").write_bytes(encoded(picture(size, 50), "JPEG"))
    return root
