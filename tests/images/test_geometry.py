"""Boxes in an image and in the part of it that is seen."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfft.images.geometry import boxes_in_image, boxes_in_part, visible_part
from tfft.images.pixels import to_pixels
from tfft.images.spec import PixelSpec

_MISSING = [float("nan")] * 4


def _array(*boxes: list[float]) -> np.ndarray:
    return np.array(boxes, np.float32)


@st.composite
def boxes_and_parts(draw) -> tuple[np.ndarray, np.ndarray]:
    """A box and the part of the image around it, upright or mirrored, float32 [4] each."""
    rows, columns = (
        sorted(draw(st.lists(st.integers(0, 1000), min_size=4, max_size=4, unique=True)))
        for _ in range(2)
    )
    part = [rows[0], columns[0], rows[3], columns[3]]
    if draw(st.booleans()):
        part = [part[0], part[3], part[2], part[1]]
    return (
        np.array([rows[1], columns[1], rows[2], columns[2]], np.float32) / 1000,
        np.array(part, np.float32) / 1000,
    )


def test_by_hand():
    parts = _array([0, 0, 1, 1], [0, 0, 0.5, 0.5], [0.25, 0.5, 0.75, 1.0], [0, 1, 1, 0])
    boxes = np.tile(_array([0.25, 0.5, 0.5, 0.75]), (4, 1))
    expected = _array([0.25, 0.5, 0.5, 0.75], _MISSING, [0, 0, 0.5, 0.5], [0.25, 0.25, 0.5, 0.5])
    np.testing.assert_array_equal(boxes_in_part(boxes, parts), expected)


def test_a_box_is_cut_at_the_edges_of_the_part():
    (box,) = boxes_in_part(_array([0.1, 0.1, 0.9, 0.5]), _array([0.25, 0.25, 0.75, 0.75]))
    np.testing.assert_array_equal(box, [0, 0, 1, 0.5])


def test_a_missing_box_stays_missing():
    assert np.isnan(boxes_in_part(_array(_MISSING), _array([0, 0, 1, 1]))).all()


@settings(max_examples=60)
@given(boxes_and_parts())
def test_into_the_part_and_back_is_nothing(case: tuple[np.ndarray, np.ndarray]):
    box, part = case
    seen = boxes_in_part(box, part)
    assert (seen >= 0).all() and (seen <= 1).all()
    back = boxes_in_image(seen, part)
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, box, atol=2e-6)


@pytest.mark.parametrize(
    ("height", "width", "spec", "cut", "expected"),
    [
        (100, 200, PixelSpec(50, 50), None, [0, 0.25, 1, 0.75]),
        (200, 100, PixelSpec(50, 50, resize=100), None, [0.375, 0.25, 0.625, 0.75]),
        (100, 200, PixelSpec(50, 50, fit="stretch"), None, [0, 0, 1, 1]),
        (100, 200, PixelSpec(5, 5, fit="stretch"), (0.1, 0.2, 0.6, 0.8), [0.1, 0.2, 0.6, 0.8]),
        (100, 200, PixelSpec(50, 50), (0, 0, 0.5, 0.5), [0, 0.125, 0.5, 0.375]),
        (100, 200, PixelSpec(50, 50, fit="letterbox"), None, [-0.48, 0, 1.52, 1]),
    ],
)
def test_what_is_seen_by_hand(height: int, width: int, spec: PixelSpec, cut, expected):
    np.testing.assert_allclose(visible_part(height, width, spec, cut), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("spec", "cut"),
    [
        (PixelSpec(40, 40), None),
        (PixelSpec(40, 60, resize=75), None),
        (PixelSpec(64, 48, fit="stretch"), None),
        (PixelSpec(40, 40, resize=50), (0.1, 0.2, 0.95, 0.9)),
        (PixelSpec(40, 60, fit="letterbox", fill=(0, 0, 0)), None),
    ],
)
@pytest.mark.parametrize("size", [(120, 200), (210, 130)])
def test_a_box_is_where_its_pixels_are(spec: PixelSpec, cut, size: tuple[int, int]):
    """A white rectangle on black: its edges in the pixels are those of the box."""
    height, width = size
    box = np.array([0.3, 0.4, 0.6, 0.7], np.float32)
    image = np.zeros((height, width, 3), np.uint8)
    top, left, bottom, right = np.rint(box * [height, width, height, width]).astype(int)
    image[top:bottom, left:right] = 255
    pixels = to_pixels(image, spec, cut)[..., 0]
    rows, columns = pixels.max(axis=1) > 127, pixels.max(axis=0) > 127
    found = [
        *(rows.argmax(), columns.argmax()),
        *(len(rows) - rows[::-1].argmax(), len(columns) - columns[::-1].argmax()),
    ]
    seen = boxes_in_part(box, visible_part(height, width, spec, cut))
    expected = seen * [spec.height, spec.width, spec.height, spec.width]
    np.testing.assert_allclose(found, expected, atol=1.0)
