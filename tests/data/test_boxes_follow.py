"""Boxes stay on what they are around, whatever is done to the pixels."""

import io
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfft.data.examples import exact_targets
from tfft.data.graph.augment import augmented_view, boxes_in_part
from tfft.data.graph.decode import visible_part
from tfft.data.graph.pipeline import evaluation_batches, training_batches
from tfft.data.index import ImageIndex, index_of_files
from tfft.images import geometry
from tfft.images.spec import PixelSpec

_SPECS = {
    "crop": PixelSpec(64, 64),
    "resize": PixelSpec(48, 64, resize=80),
    "stretch": PixelSpec(64, 56, fit="stretch"),
    "letterbox": PixelSpec(64, 80, fit="letterbox", fill=(0, 0, 0)),
}
_BOX = np.array([0.3, 0.5, 0.7, 0.75], np.float32)
_WHITE = 128


def _picture(height: int, width: int, box: np.ndarray = _BOX) -> Image.Image:
    """A white rectangle on black, at a box in shares."""
    pixels = np.zeros((height, width, 3), np.uint8)
    top, left, bottom, right = np.rint(box * [height, width, height, width]).astype(int)
    pixels[top:bottom, left:right] = 255
    return Image.fromarray(pixels)


def _encoded(image: Image.Image, kind: str, **options) -> bytes:
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()


def _box_of_pixels(pixels: np.ndarray) -> np.ndarray:
    """The box around what is white, in pixels; NaN if nothing is."""
    white = pixels[..., 0] > _WHITE
    if not white.any():
        return np.full(4, np.nan)
    (rows,), (columns,) = np.nonzero(white.any(axis=1)), np.nonzero(white.any(axis=0))
    return np.array([rows[0], columns[0], rows[-1] + 1, columns[-1] + 1], float)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> ImageIndex:
    """Pictures of all shapes, one turned by EXIF, with boxes around their rectangles."""
    root = tmp_path_factory.mktemp("pictures")
    boxes = np.random.default_rng(0).uniform([0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1], (9, 4))
    boxes = boxes.astype(np.float32)
    files = []
    for number, box in enumerate(boxes):
        height, width = 60 + 17 * number, 190 - 13 * number
        image, options = _picture(height, width, box), {}
        if number == 4:
            image = image.transpose(Image.Transpose.ROTATE_90)
            options["exif"] = Image.Exif()
            options["exif"][0x0112] = 6
        files.append(root / f"{number}.{'png' if number % 3 else 'jpg'}")
        if number == 4:
            files[-1] = root / "4.jpg"
        files[-1].write_bytes(
            _encoded(image, "PNG" if files[-1].suffix == ".png" else "JPEG", **options)
        )
    boxes[8] = np.nan
    others = {"box": boxes, "age": np.arange(9, dtype=np.float32)[:, None]}
    return index_of_files(files, [f.name for f in files], [0, 1, 2] * 3, others, ("box",))


def test_the_part_in_a_graph_is_the_part_without_one():
    generator = np.random.default_rng(0)
    for spec in _SPECS.values():
        in_graph = tf.function(lambda shape, spec=spec: visible_part(shape, spec))
        cut_in_graph = tf.function(lambda shape, cut, spec=spec: visible_part(shape, spec, cut))
        for height, width in generator.integers(1, 3000, (30, 2)):
            shape = tf.constant([height, width], tf.int32)
            expected = geometry.visible_part(int(height), int(width), spec)
            np.testing.assert_allclose(in_graph(shape), expected, atol=1e-6)
            cut = np.sort(generator.random((2, 2)), axis=0).reshape(4).astype(np.float32)
            expected = geometry.visible_part(int(height), int(width), spec, cut)
            np.testing.assert_allclose(cut_in_graph(shape, cut), expected, atol=1e-6)


def test_boxes_in_a_part_in_a_graph_are_those_without_one():
    generator = np.random.default_rng(0)
    corners = generator.random((2, 200, 2, 2))
    boxes, parts = np.sort(corners, axis=2).reshape(2, 200, 4).astype(np.float32)
    parts[::2] = parts[::2][:, [0, 3, 2, 1]]
    boxes[::17] = np.nan
    expected = geometry.boxes_in_part(boxes, parts)
    assert 10 < np.isnan(expected).all(axis=1).sum() < 190
    for box, part, other in zip(boxes, parts, expected, strict=True):
        np.testing.assert_allclose(boxes_in_part(box, part), other, atol=1e-6)


@cache
def _view_of(augmentation: str) -> Callable[..., tuple[tf.Tensor, tf.Tensor]]:
    """Encoded image, box and seed to pixels and the box in them, compiled as pipelines are."""

    @tf.function(input_signature=[_spec([], tf.string), _spec([4]), _spec([2], tf.int32)])
    def view(encoded: tf.Tensor, box: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        pixels, part = augmented_view(encoded, _SPECS["crop"], None, augmentation, seed)
        return pixels, boxes_in_part(box, part)

    return view


def _spec(shape: list[int], dtype: tf.DType = tf.float32) -> tf.TensorSpec:
    return tf.TensorSpec(shape, dtype)


@pytest.mark.parametrize(
    ("augmentation", "places"), [("none", 1), ("flip", 2), ("random_crop", 30)]
)
@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_box_is_where_its_rectangle_is_in_every_view(augmentation: str, places: int, kind: str):
    encoded, view = _encoded(_picture(160, 240), kind), _view_of(augmentation)
    found_at = set()
    for number in range(30):
        pixels, box = view(encoded, _BOX, [7, number])
        np.testing.assert_allclose(_box_of_pixels(pixels.numpy()), box.numpy() * 64, atol=1.3)
        found_at.add(tuple(box.numpy().tolist()))
    assert len(found_at) == places


def test_a_rectangle_that_a_crop_leaves_out_has_no_box():
    box = np.array([0, 0, 0.12, 0.1], np.float32)
    encoded, view = _encoded(_picture(160, 240, box), "PNG"), _view_of("random_crop")
    missing = []
    for number in range(60):
        pixels, seen = (tensor.numpy() for tensor in view(encoded, box, [1, number]))
        found = _box_of_pixels(pixels)
        missing.append(np.isnan(seen).any())
        if np.isnan(found).any():  # a sliver that resizing wipes out may still have a box
            assert np.isnan(seen).all() or np.min((seen[2:] - seen[:2]) * 64) < 1
        else:
            np.testing.assert_allclose(found, seen * 64, atol=1.3)
    assert 5 < sum(missing) < 55


@pytest.mark.parametrize(
    ("kind", "cut"), [("crop", False), ("resize", True), ("stretch", True), ("letterbox", False)]
)
def test_targets_of_evaluation_are_those_of_its_batches(index: ImageIndex, kind: str, cut: bool):
    spec = _SPECS[kind]
    if cut:
        part = np.tile(np.array([0.1, 0.2, 0.8, 0.9], np.float32), (len(index), 1))
        index = replace(index, boxes=part)
    batches = list(evaluation_batches(index, spec, 4))
    targets = exact_targets(index, spec)
    assert targets.keys() == {"label", "age", "box"}
    for name, values in targets.items():
        found = np.concatenate([batch["targets"][name] for batch in batches])
        np.testing.assert_allclose(found, values, atol=1e-6, err_msg=name)
    assert np.isnan(targets["box"][8]).all()
    images = np.concatenate([batch["inputs"] for batch in batches])
    sides = [spec.height, spec.width, spec.height, spec.width]
    for image, box in zip(images[:8], targets["box"][:8], strict=True):
        np.testing.assert_allclose(_box_of_pixels(image), box * sides, atol=1.3)


@pytest.mark.slow
def test_boxes_of_a_training_epoch_are_on_its_own_views(index: ImageIndex):
    (batch,) = training_batches(
        index,
        _SPECS["crop"],
        16,
        order=lambda _: np.array([0, 1, 1, 4, 8, 4, 4]),
        augmentation="random_crop",
        seed=0,
        epochs=range(3, 4),
    )
    for image, box in zip(batch["inputs"].numpy(), batch["targets"]["box"].numpy(), strict=True):
        # A sliver at the rim that resizing wipes out has a box all the same.
        if np.isfinite(box).all() and np.min((box[2:] - box[:2]) * 64) > 1:
            np.testing.assert_allclose(_box_of_pixels(image), box * 64, atol=1.3)
    assert np.isnan(batch["targets"]["box"].numpy()[4]).all()
    ages = batch["targets"]["age"].numpy()[:, 0]
    assert ages.tolist() == [0, 1, 1, 4, 8, 4, 4]
