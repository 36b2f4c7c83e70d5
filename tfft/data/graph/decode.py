"""From encoded bytes to pixels in a TensorFlow graph: what `tfft.images` does without it.

Nothing but graph operations, so it runs inside tf.data and inside an exported SavedModel. Decoded
values are equal to those of `tfft.images.decode_image`, pixels within 0.01 of 255 levels.
"""

from collections.abc import Sequence
from typing import Any

from tfft.system.tensorflow import tf

from tfft.data.graph.bmp import decode_bmp
from tfft.data.graph.exif import exif_orientation, turned_upright
from tfft.data.graph.gif import decode_gif
from tfft.data.graph.traced import traced_once
from tfft.images.channels import LUMA, has_alpha
from tfft.images.spec import PixelSpec

# Keys' cubic kernel has a = -0.5, as Pillow's; tf.image's "bicubic" means the same kernel.
_KERNELS = {"bilinear": "triangle", "bicubic": "keyscubic"}


def decode_exact(encoded: tf.Tensor, spec: PixelSpec, box: tf.Tensor | None = None) -> tf.Tensor:
    """Decodes one image and returns the pixels that `spec` asks for.

    Args:
        encoded: string scalar, the bytes of a JPEG, PNG, GIF, BMP or WebP image.
        spec: The pixels wanted.
        box: float32 [4], the part (ymin, xmin, ymax, xmax) to cut out, as shares of the upright
            image; None for all of it.

    Returns:
        float32 [spec.height, spec.width, spec.channels] in 0..255.

    Raises:
        tf.errors.InvalidArgumentError: When run, on bytes that are no such image.
    """
    image = decode_upright(encoded, has_alpha(spec.channels))
    return in_channels(resize_exact(image, spec, box), spec.channels)


def decode_upright(encoded: tf.Tensor, alpha: bool = False) -> tf.Tensor:
    """Decodes one image to uint8 [height, width, 3], RGB, EXIF orientation applied.

    With `alpha` there is a fourth channel, as of `tfft.images.decode.decode_image`.
    """
    return _decode_with_alpha(encoded) if alpha else _decode_colours(encoded)


@traced_once
def _decode_colours(encoded: tf.Tensor) -> tf.Tensor:
    image = tf.cond(
        _is_jpeg(encoded), lambda: _decode_jpeg(encoded), lambda: _decode_other(encoded)
    )
    return tf.ensure_shape(image, [None, None, 3])


@traced_once
def _decode_with_alpha(encoded: tf.Tensor) -> tf.Tensor:
    image = _decode_colours(encoded)
    return tf.concat([image, _decode_alpha(encoded, tf.shape(image))], axis=-1)


def in_channels(pixels: tf.Tensor, channels: int) -> tf.Tensor:
    """Returns pixels float32 [h, w, channels] as `tfft.images.channels.in_channels` does."""
    if channels in (3, 4):
        return pixels
    colours, alpha = pixels[:, :, :3], pixels[:, :, 3:]
    return tf.concat([tf.tensordot(colours, tf.constant(LUMA[:, None]), 1), alpha], axis=-1)


def resize_exact(image: tf.Tensor, spec: PixelSpec, box: tf.Tensor | None = None) -> tf.Tensor:
    """Cuts, resizes and fills a decoded image as `tfft.images.pixels.to_pixels` does.

    Args:
        image: uint8 or float32 [height, width, c], upright.
        spec: The pixels wanted.
        box: As in `decode_exact`.

    Returns:
        float32 [spec.height, spec.width, c] in 0..255.
    """
    if box is not None:
        top, left, bottom, right = box_pixels(tf.shape(image), box)
        image = image[top:bottom, left:right]
    size = tf.shape(image)[:2]
    resized, corner = _output_window(size[0], size[1], spec)
    is_letterbox = spec.fit == "letterbox"
    # What of the resized image is seen, and where it begins there.
    seen = tf.cast(resized, tf.int32) if is_letterbox else tf.constant([spec.height, spec.width])
    begin = tf.zeros_like(corner) if is_letterbox else corner

    def resized_image() -> tf.Tensor:
        return tf.raw_ops.ScaleAndTranslate(
            images=image[None],
            size=seen,
            scale=tf.cast(resized, tf.float32) / tf.cast(size, tf.float32),
            translation=-tf.cast(begin, tf.float32),
            kernel_type=_KERNELS[spec.interpolation],
            antialias=True,
        )[0]

    # Every kernel gives back the pixels of an image that has the size already; it takes its time.
    has_size = tf.reduce_all((resized == tf.cast(size, tf.int64)) & (size == seen))
    pixels = tf.cond(has_size, lambda: tf.cast(image, tf.float32), resized_image)
    pixels = tf.clip_by_value(pixels, 0.0, 255.0)
    if is_letterbox:
        pixels = _laid_on_fill(pixels, -tf.cast(corner, tf.int32), spec)
    return tf.ensure_shape(pixels, [spec.height, spec.width, image.shape[-1]])


def _laid_on_fill(pixels: tf.Tensor, corner: tf.Tensor, spec: PixelSpec) -> tf.Tensor:
    """Lays a smaller image [h, w, c] on the colour of `spec`, its first pixel at `corner`."""
    after = tf.constant([spec.height, spec.width]) - tf.shape(pixels)[:2] - corner
    around = tf.pad(tf.stack([corner, after], axis=1), [[0, 1], [0, 0]])
    ground = tf.pad(tf.zeros_like(pixels[:, :, :1]), around, constant_values=1.0)
    colour = tf.constant((*spec.fill, 0)[: pixels.shape[-1]], tf.float32)
    return tf.pad(pixels, around) + ground * colour


def visible_part(shape: tf.Tensor, spec: PixelSpec, box: tf.Tensor | None = None) -> tf.Tensor:
    """Returns which part of an image `resize_exact` shows, as `tfft.images.geometry` does.

    Args:
        shape: int32 [2 or more], height and width of the upright image.
        spec: The pixels wanted.
        box: As in `decode_exact`.

    Returns:
        float32 [4], (ymin, xmin, ymax, xmax) as shares of the upright image; outside of 0..1 where
        more than the image is shown.
    """
    edges = (0, 0, shape[0], shape[1]) if box is None else box_pixels(shape, box)
    return part_around(shape, edges, spec)


def part_around(shape: tf.Tensor, edges: Sequence[Any], spec: PixelSpec) -> tf.Tensor:
    """Returns what `visible_part` does, for the edges (top, left, bottom, right) of a cut."""
    height, width = shape[0], shape[1]
    top, left, bottom, right = edges
    resized, corner = _output_window(bottom - top, right - left, spec)
    low = tf.cast(corner, tf.float32) / tf.cast(resized, tf.float32)
    end_corner = corner + tf.constant([spec.height, spec.width], tf.int64)
    high = tf.cast(end_corner, tf.float32) / tf.cast(resized, tf.float32)
    begin, end = tf.stack([top, left]), tf.stack([bottom, right])
    begin, span = tf.cast(begin, tf.float32), tf.cast(end - begin, tf.float32)
    sides = tf.cast(tf.stack([height, width]), tf.float32)
    return tf.concat([(begin + low * span) / sides, (begin + high * span) / sides], axis=0)


def box_pixels(
    shape: tf.Tensor, box: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns (top, left, bottom, right), int32, by the rule of `tfft.images.geometry`."""
    height, width = shape[0], shape[1]
    sides = tf.cast(tf.stack([height, width, height, width]), tf.float32)
    edges = tf.cast(tf.floor(box * sides + 0.5), tf.int32)
    top = tf.clip_by_value(edges[0], 0, height - 1)
    left = tf.clip_by_value(edges[1], 0, width - 1)
    bottom = tf.minimum(tf.maximum(edges[2], top + 1), height)
    right = tf.minimum(tf.maximum(edges[3], left + 1), width)
    return top, left, bottom, right


@traced_once
def is_upright_jpeg(encoded: tf.Tensor) -> tf.Tensor:
    """Returns whether an encoded image is a JPEG that needs no turning, bool scalar."""
    return tf.cond(
        _is_jpeg(encoded), lambda: exif_orientation(encoded) == 1, lambda: tf.constant(False)
    )


def _is_jpeg(encoded: tf.Tensor) -> tf.Tensor:
    return tf.strings.substr(encoded, 0, 3) == b"\xff\xd8\xff"


def _decode_jpeg(encoded: tf.Tensor) -> tf.Tensor:
    image = tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE")
    return turned_upright(image, exif_orientation(encoded))


def _decode_other(encoded: tf.Tensor) -> tf.Tensor:
    is_bmp = tf.strings.substr(encoded, 0, 2) == b"BM"
    return tf.cond(is_bmp, lambda: decode_bmp(encoded), lambda: _decode_web_format(encoded))


def _decode_web_format(encoded: tf.Tensor) -> tf.Tensor:
    start = tf.strings.substr(encoded, 0, 4)
    return tf.case(
        [
            (start == b"RIFF", lambda: _decode_webp(encoded)[:, :, :3]),
            (start == b"GIF8", lambda: decode_gif(encoded)),
        ],
        default=lambda: tf.io.decode_png(encoded, channels=3),
    )


def _decode_webp(encoded: tf.Tensor) -> tf.Tensor:
    """Decodes a still WebP image to uint8 [height, width, 3], or 4 where it has alpha."""
    header = tf.io.decode_raw(tf.strings.substr(encoded, 0, 21), tf.uint8)
    is_extended = tf.strings.substr(encoded, 12, 4) == b"VP8X"
    is_animated = is_extended & (tf.bitwise.bitwise_and(header[20], 2) == 2)
    # TensorFlow 2.21 corrupts memory on an animated WebP: it is given nothing, and refuses that.
    encoded = tf.where(is_animated, tf.constant(b"", tf.string), encoded)
    # As `tfft.images.webp` has it: the padding of the last chunk may be missing.
    is_odd = tf.strings.length(encoded) % 2 == 1
    encoded = tf.where(is_odd, tf.strings.join([encoded, b"\0"]), encoded)
    return tf.io.decode_image(encoded, expand_animations=False)


def _decode_alpha(encoded: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
    """Returns how opaque each pixel is, uint8 [height, width, 1]."""
    is_png = tf.strings.substr(encoded, 0, 4) == b"\x89PNG"
    # Of samples of fewer than 8 bits TensorFlow 2.21 gives an alpha that is not scaled to 255.
    for bits in (b"\x01", b"\x02", b"\x04"):
        is_png &= tf.strings.substr(encoded, 24, 1) != bits
    is_webp = tf.strings.substr(encoded, 0, 4) == b"RIFF"
    opaque = tf.fill([shape[0], shape[1], 1], tf.constant(255, tf.uint8))

    def of_webp() -> tf.Tensor:
        decoded = _decode_webp(encoded)
        return tf.cond(tf.shape(decoded)[-1] == 4, lambda: decoded[:, :, 3:], lambda: opaque)

    alpha = tf.cond(
        is_png,
        lambda: tf.io.decode_png(encoded, channels=4)[..., 3:],
        lambda: tf.cond(is_webp, of_webp, lambda: opaque),
    )
    return tf.ensure_shape(alpha, [None, None, 1])


def _output_window(
    height: tf.Tensor, width: tf.Tensor, spec: PixelSpec
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the size to resize to and the window's corner, int64 [2] each (rows, columns).

    By the rule of `tfft.images.geometry.output_window`.
    """
    if spec.fit == "stretch":
        return tf.constant([spec.height, spec.width], tf.int64), tf.zeros([2], tf.int64)
    height, width = tf.cast(height, tf.int64), tf.cast(width, tf.int64)
    lead_height, lead_width = spec.height, spec.width
    least_height, least_width = spec.height, spec.width
    if spec.fit == "letterbox":
        height_leads = spec.height * width <= spec.width * height
        least_height = least_width = 1
    elif spec.resize is not None:
        height_leads = height <= width
        lead_height = lead_width = spec.resize
    else:
        height_leads = spec.height * width >= spec.width * height
    following_width = tf.maximum(_rounded_ratio(width * lead_height, height), least_width)
    following_height = tf.maximum(_rounded_ratio(height * lead_width, width), least_height)
    resized = tf.where(
        height_leads,
        tf.stack([tf.constant(lead_height, tf.int64), following_width]),
        tf.stack([following_height, tf.constant(lead_width, tf.int64)]),
    )
    outside = resized - tf.constant([spec.height, spec.width], tf.int64)
    return resized, tf.truncatediv(outside, 2)


def _rounded_ratio(numerator: tf.Tensor, denominator: tf.Tensor) -> tf.Tensor:
    return (2 * numerator + denominator) // (2 * denominator)
