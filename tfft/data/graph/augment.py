"""Augmentation as presets: pure functions of an image and a seed, without hidden state.

Every preset takes the seed of one image in one epoch, so the pictures that a training step sees
depend on (seed, epoch, image) alone, whatever the number of threads.
"""

from dataclasses import replace

from tfft.system.tensorflow import tf

from tfft.data.graph.decode import (
    box_pixels,
    decode_upright,
    in_channels,
    is_upright_jpeg,
    part_around,
    resize_exact,
    visible_part,
)
from tfft.data.graph.rand_augment import rand_augmented
from tfft.images.channels import has_alpha
from tfft.images.spec import PixelSpec

# Random-resized-crop (Szegedy et al. 2015), with the area of field practice for fine-tuning.
_CROP_AREA = (0.35, 1.0)
_CROP_ASPECT = (3 / 4, 4 / 3)
# Side of the square in which parts are drawn that are shaped as their image is.
_SQUARE = 4096

_BRIGHTNESS = 0.2 * 255
_CONTRAST = _SATURATION = (0.8, 1.25)


def augmented_view(
    encoded: tf.Tensor,
    spec: PixelSpec,
    box: tf.Tensor | None,
    augmentation: str,
    seed: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Decodes one image and returns one augmented view of it.

    Args:
        encoded: string scalar, the bytes of the image file.
        spec: The pixels wanted. Random crops replace its crop and its `resize`: a random part is
            stretched to the output, or letterboxed where `spec` is.
        box: float32 [4], the part that counts as the image; None for all of it.
        augmentation: A name of `tfft.config.data.Augmentation`.
        seed: int32 [2], seed of this view.

    Returns:
        Pixels float32 [spec.height, spec.width, spec.channels] in 0..255, and which part of the
        upright image they show, float32 [4], (ymin, xmin, ymax, xmax) as shares; of a mirrored one,
        xmin and xmax are exchanged.
    """
    if augmentation == "none":
        return exact_view(encoded, spec, box)
    if augmentation == "flip":
        return _flipped(*exact_view(encoded, spec, box), seed)
    if augmentation not in ("random_crop", "random_crop_color", "rand_augment"):
        raise ValueError(f"no such augmentation. Received: {augmentation}")
    pixels, part = _flipped(*_random_crop(encoded, spec, box, seed), seed)
    if augmentation == "rand_augment":
        pixels = rand_augmented(pixels, seed)
    elif augmentation == "random_crop_color":
        pixels = _recoloured(pixels, seed)
    return in_channels(pixels, spec.channels), part


def exact_view(
    encoded: tf.Tensor, spec: PixelSpec, box: tf.Tensor | None
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the pixels of evaluation and the part of the image that they show."""
    image = decode_upright(encoded, has_alpha(spec.channels))
    pixels = in_channels(resize_exact(image, spec, box), spec.channels)
    return pixels, visible_part(tf.shape(image), spec, box)


def boxes_in_part(boxes: tf.Tensor, part: tf.Tensor) -> tf.Tensor:
    """Returns boxes float32 [..., 4] as shares of a part, as `tfft.images.geometry` does."""
    low, high = tf.split(part, 2)
    corners = (tf.stack(tf.split(boxes, 2, axis=-1)) - low) / (high - low)
    first = tf.clip_by_value(tf.reduce_min(corners, axis=0), 0.0, 1.0)
    last = tf.clip_by_value(tf.reduce_max(corners, axis=0), 0.0, 1.0)
    seen = tf.reduce_all(last > first, axis=-1, keepdims=True)
    return tf.where(seen, tf.concat([first, last], axis=-1), float("nan"))


def _random_crop(
    encoded: tf.Tensor, spec: PixelSpec, box: tf.Tensor | None, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Decodes a random part of an image, and nothing else of a JPEG that is not rotated."""
    whole = replace(spec, fit="letterbox" if spec.fit == "letterbox" else "stretch", resize=None)

    def from_jpeg() -> tuple[tf.Tensor, tf.Tensor]:
        shape = tf.io.extract_jpeg_shape(encoded)
        window = _random_window(shape, spec, box, seed)
        pixels = tf.io.decode_and_crop_jpeg(
            encoded, window, channels=3, dct_method="INTEGER_ACCURATE"
        )
        if has_alpha(spec.channels):  # a JPEG is opaque
            pixels = tf.pad(pixels, [[0, 0], [0, 0], [0, 1]], constant_values=255)
        return pixels, _seen(window, shape, whole)

    def from_any() -> tuple[tf.Tensor, tf.Tensor]:
        image = decode_upright(encoded, has_alpha(spec.channels))
        window = _random_window(tf.shape(image), spec, box, seed)
        top, left, height, width = tf.unstack(window)
        part = image[top : top + height, left : left + width]
        return part, _seen(window, tf.shape(image), whole)

    pixels, part = tf.cond(is_upright_jpeg(encoded), from_jpeg, from_any)
    shape = [None, None, 4 if has_alpha(spec.channels) else 3]
    return resize_exact(tf.ensure_shape(pixels, shape), whole), part


def _seen(window: tf.Tensor, shape: tf.Tensor, spec: PixelSpec) -> tf.Tensor:
    """Returns which part of an image a view of (top, left, height, width) in pixels shows."""
    top, left, height, width = tf.unstack(window)
    return part_around(shape, (top, left, top + height, left + width), spec)


def _random_window(
    shape: tf.Tensor, spec: PixelSpec, box: tf.Tensor | None, seed: tf.Tensor
) -> tf.Tensor:
    """Returns (top, left, height, width), int32 [4], of a random part of the image or its box.

    Its aspect ratio lies around that of the output, or, where it will be letterboxed, around that
    of the image: the views are filled about as much as the images of evaluation.
    """
    if box is None:
        top, left, bottom, right = 0, 0, shape[0], shape[1]
    else:
        top, left, bottom, right = box_pixels(shape, box)
    sides = tf.stack([bottom - top, right - left])
    is_letterbox = spec.fit == "letterbox"
    ratio = 1.0 if is_letterbox else spec.width / spec.height
    begin, size, _ = tf.image.stateless_sample_distorted_bounding_box(
        [_SQUARE, _SQUARE, 3] if is_letterbox else tf.concat([sides, [3]], axis=0),
        tf.zeros([1, 0, 4]),
        seed=_part_of(seed, 0),
        min_object_covered=0.0,
        aspect_ratio_range=[bound * ratio for bound in _CROP_ASPECT],
        area_range=_CROP_AREA,
        use_image_if_no_bounding_boxes=True,
    )
    begin, size = begin[:2], size[:2]
    if is_letterbox:
        begin, size = _scaled(begin, sides), tf.maximum(_scaled(size, sides), 1)
    return tf.concat([begin + tf.stack([top, left]), size], axis=0)


def _scaled(lengths: tf.Tensor, sides: tf.Tensor) -> tf.Tensor:
    """Returns lengths in a square of `_SQUARE` pixels as lengths along sides, int32 [2] each."""
    scaled = tf.cast(lengths, tf.int64) * tf.cast(sides, tf.int64) // _SQUARE
    return tf.cast(scaled, tf.int32)


def _flipped(pixels: tf.Tensor, part: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Mirrors half of the views."""
    chance = tf.random.stateless_uniform([], _part_of(seed, 1))
    mirrored = tf.gather(part, [0, 3, 2, 1])
    return tf.cond(chance < 0.5, lambda: (pixels[:, ::-1], mirrored), lambda: (pixels, part))


def _recoloured(pixels: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Changes brightness, contrast and saturation, in this order."""
    brightness = tf.random.stateless_uniform([], _part_of(seed, 2), -_BRIGHTNESS, _BRIGHTNESS)
    contrast = tf.random.stateless_uniform([], _part_of(seed, 3), *_CONTRAST)
    saturation = tf.random.stateless_uniform([], _part_of(seed, 4), *_SATURATION)
    pixels = tf.clip_by_value(pixels + brightness, 0.0, 255.0)
    mean = tf.reduce_mean(pixels, axis=[0, 1], keepdims=True)
    pixels = tf.clip_by_value((pixels - mean) * contrast + mean, 0.0, 255.0)
    grey = tf.image.rgb_to_grayscale(pixels)
    return tf.clip_by_value((pixels - grey) * saturation + grey, 0.0, 255.0)


def _part_of(seed: tf.Tensor, number: int) -> tf.Tensor:
    return tf.random.experimental.stateless_fold_in(seed, number)
