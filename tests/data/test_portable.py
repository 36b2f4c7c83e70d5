"""TIFF and AVIF files are decoded where they are read, and everything behind sees the same."""

import io
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from sample_pictures import encoded as encoded_by_pillow
from sample_pictures import picture

from tfft.config.data import ImageFolderData
from tfft.data.graph.pipeline import evaluation_batches, training_batches
from tfft.data.graph.tolerant import decode_tolerant
from tfft.data.index import ImageIndex, index_of_files
from tfft.data.load import load_data
from tfft.errors import DataError, UnreadableImagesError
from tfft.images.decode import decode_image
from tfft.images.hashing import difference_hash
from tfft.images.looks import look_at
from tfft.images.pixels import encoded_batch_to_pixels
from tfft.images.portable import portable
from tfft.images.spec import PixelSpec
from tfft.runtime.signatures import sendable
from tfft.runtime.tensorflow_pixels import TensorflowPixels

_SPEC = PixelSpec(40, 56, fit="letterbox")


def _turned_tiff() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded_by_pillow(picture(), "TIFF", exif=exif, compression="tiff_lzw")


_FILES = {
    "a.tif": encoded_by_pillow(picture(), "TIFF"),
    "b.tiff": _turned_tiff(),
    "c.avif": encoded_by_pillow(picture(90, 120), "AVIF"),
    "d.png": encoded_by_pillow(picture(70, 60), "PNG"),
    "e.jpg": encoded_by_pillow(picture(), "JPEG"),
}


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> ImageIndex:
    root = tmp_path_factory.mktemp("files")
    for name, content in _FILES.items():
        (root / name).write_bytes(content)
    return index_of_files([root / name for name in _FILES], list(_FILES), [0, 1, 0, 1, 0])


def test_what_tensorflow_does_not_read_becomes_png_with_the_same_pixels():
    for name in ("a.tif", "b.tiff", "c.avif"):
        sent = portable(_FILES[name])
        assert Image.open(io.BytesIO(sent)).format == "PNG"
        np.testing.assert_array_equal(decode_image(sent), decode_image(_FILES[name]))
    transparent = picture().copy()
    transparent.putalpha(77)
    sent = portable(encoded_by_pillow(transparent, "TIFF"))
    assert (decode_image(sent, alpha=True)[..., 3] == 77).all()


@pytest.mark.parametrize("kind", ["d.png", "e.jpg", "nothing", "two bytes", "text"])
def test_all_else_stays_as_it_is(kind):
    content = {"nothing": b"", "two bytes": b"II", "text": b"text", **_FILES}[kind]
    assert portable(content) is content


@pytest.mark.slow
def test_evaluation_training_and_prediction_see_the_same_pixels(index):
    expected = encoded_batch_to_pixels(list(_FILES.values()), _SPEC)
    (batch,) = evaluation_batches(index, _SPEC, 8)
    np.testing.assert_allclose(batch["inputs"], expected, atol=0.01)
    (batch,) = training_batches(
        index,
        _SPEC,
        8,
        order=lambda _: np.arange(len(index)),
        augmentation="none",
        seed=0,
        epochs=range(1),
    )
    np.testing.assert_allclose(batch["inputs"], expected, atol=0.01)
    predicted = TensorflowPixels(_SPEC)(list(_FILES.values()), None)
    np.testing.assert_allclose(predicted, expected, atol=0.01)


@pytest.mark.slow
def test_a_server_that_is_sent_such_a_file_as_it_is_cannot_read_it():
    for name, content in _FILES.items():
        _, is_readable = decode_tolerant(tf.constant(content), _SPEC)
        assert bool(is_readable) == (name in ("d.png", "e.jpg")), name


def test_a_client_names_those_that_it_cannot_decode():
    with pytest.raises(UnreadableImagesError) as caught:
        sendable([_FILES["a.tif"], b"II*\0" + bytes(20), _FILES["c.avif"][:90], b"text"])
    assert list(caught.value.reasons) == [1, 2]


def test_a_broken_one_is_a_bad_image_for_tensorflow_s_predictors_too():
    with pytest.raises(DataError, match="a broken TIFF image: the file is truncated"):
        TensorflowPixels(_SPEC)([_FILES["a.tif"][:3000]], None)


def test_a_check_reads_them_and_names_those_that_are_damaged(tmp_path: Path):
    for name, content in _FILES.items():
        (tmp_path / name[0]).mkdir(exist_ok=True)
        (tmp_path / "a" / name).write_bytes(content)
        (tmp_path / "b").mkdir(exist_ok=True)
        (tmp_path / "b" / f"other-{name}").write_bytes(
            encoded_by_pillow(picture(50, 40 + len(name)), "TIFF")
        )
    for empty in ("c", "d", "e"):
        (tmp_path / empty).rmdir()
    config = ImageFolderData(
        kind="image_folder", path=tmp_path, test_fraction=0, validation_fraction=0
    )
    data = load_data(config)
    assert sum(data.counts.values()) == 10
    (tmp_path / "a" / "cut.tif").write_bytes(_FILES["a.tif"][:5000])
    (tmp_path / "a" / "cut.avif").write_bytes(_FILES["c.avif"][:-300])
    with pytest.raises(DataError) as caught:
        load_data(config)
    assert "a/cut.tif: a broken TIFF image: the file is truncated" in str(caught.value)
    assert "a/cut.avif: a broken AVIF image: " in str(caught.value)


def test_copies_in_other_formats_are_found_and_looks_measured():
    hashes = [difference_hash(_FILES[name]) for name in ("a.tif", "e.jpg")]
    bits = np.unpackbits((hashes[0] ^ hashes[1]).view(np.uint8)).sum()
    assert bits <= 20  # of 256
    looks = [look_at(_FILES[name]) for name in ("a.tif", "e.jpg")]
    assert (looks[0].height, looks[0].width) == (looks[1].height, looks[1].width)
    assert looks[0].spread == pytest.approx(looks[1].spread, abs=0.01)
