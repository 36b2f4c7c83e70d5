"""What an image looks like, and that it is measured once."""

import io
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

import tfft.data.looks as looking
from tfft.data.index import ImageIndex, index_of_files
from tfft.data.looks import looks_of
from tfft.images.looks import blur_effect, look_at


def picture(seed: int = 0, width: int = 120, height: int = 90) -> Image.Image:
    """Patches of colour with hard edges and some noise, as photos in focus have them."""
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 256, (9, 12, 3)).astype(np.uint8)
    sharp = Image.fromarray(coarse).resize((width, height), Image.Resampling.NEAREST)
    noise = generator.integers(-12, 13, (height, width, 3))
    return Image.fromarray((np.asarray(sharp) + noise).clip(0, 255).astype(np.uint8))


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def index_of(directory: Path, contents: list[bytes]) -> ImageIndex:
    directory.mkdir(exist_ok=True)
    files = [directory / f"{number}.png" for number in range(len(contents))]
    for file, content in zip(files, contents, strict=True):
        file.write_bytes(content)
    digests = [np.frombuffer(sha256(content).digest(), np.uint8) for content in contents]
    index = index_of_files(files, [file.name for file in files], [0] * len(files))
    return replace(index, digests=np.stack(digests))


def test_size_lightness_and_spread_by_hand():
    halves = np.zeros((40, 60), np.uint8)
    halves[:, 30:] = 204
    look = look_at(encoded(Image.fromarray(halves)))
    assert (look.height, look.width) == (40, 60)
    assert look.lightest == pytest.approx(0.8)
    assert look.spread == pytest.approx(0.4)


def test_the_upright_image_and_only_the_part_in_the_box_count():
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = encoded(picture(), "JPEG", exif=exif)
    assert (look_at(turned).height, look_at(turned).width) == (120, 90)
    part = look_at(turned, (0.0, 0.0, 0.5, 1.0))
    assert (part.height, part.width) == (60, 90)


def test_a_large_photo_is_measured_as_it_is_when_made_smaller():
    large = picture(width=1200, height=900).filter(ImageFilter.GaussianBlur(3))
    small = large.resize((256, 192), Image.Resampling.BOX)
    found, expected = (look_at(encoded(image, "JPEG", quality=95)) for image in (large, small))
    assert (found.height, found.width) == (900, 1200)
    assert found.blur == pytest.approx(expected.blur, abs=0.05)
    assert found.lightest == pytest.approx(expected.lightest, abs=0.02)


def test_blur_grows_with_the_blur():
    blurs = [
        look_at(encoded(picture().filter(ImageFilter.GaussianBlur(sigma)))).blur
        for sigma in (0, 1, 2, 4)
    ]
    assert blurs == sorted(blurs)
    assert blurs[0] < 0.5 < blurs[2] < blurs[3] <= 1


def test_the_blur_effect_by_hand():
    # Over one row: differences 0 or 1, of which a mean of nine leaves a ninth and nothing.
    step = np.tile(np.r_[np.zeros(20), np.ones(20)], (40, 1)).astype(np.float32)
    noise = np.tile(np.r_[np.zeros(20), 1, np.zeros(19)], (40, 1)).astype(np.float32)
    assert blur_effect(step) == pytest.approx(1 / 9)
    assert blur_effect(noise) == pytest.approx(0.0)
    ramp = np.tile(np.linspace(0, 1, 40), (40, 1)).astype(np.float32)
    assert blur_effect(ramp) == pytest.approx(1.0)


@pytest.mark.parametrize("luma", [np.full((30, 30), 0.5), np.eye(5)])
def test_of_even_and_very_small_images_no_blur_is_said(luma):
    assert blur_effect(luma.astype(np.float32)) == 0.0


def test_the_same_bytes_are_measured_once(tmp_path, monkeypatch):
    monkeypatch.setenv("TFFT_CACHE_DIR", str(tmp_path / "cache"))
    measured = []
    monkeypatch.setattr(looking, "look_at", lambda *given: (measured.append(1), look_at(*given))[1])
    contents = [encoded(picture(seed)) for seed in range(5)]
    first = looks_of(index_of(tmp_path / "a", [*contents, contents[0]]))
    assert len(measured) == 5
    reordered = looks_of(index_of(tmp_path / "a", contents[::-1]))
    assert len(measured) == 5
    np.testing.assert_array_equal(reordered.measures, first.measures[:5][::-1])
    np.testing.assert_array_equal(reordered.hashes, first.hashes[:5][::-1])
    np.testing.assert_array_equal(first.hashes[5], first.hashes[0])
    more = looks_of(index_of(tmp_path / "a", [*contents, encoded(picture(9))]))
    assert len(measured) == 6
    np.testing.assert_array_equal(more.measures[:5], first.measures[:5])


def test_damaged_looks_are_measured_again(tmp_path, monkeypatch):
    monkeypatch.setenv("TFFT_CACHE_DIR", str(tmp_path / "cache"))
    index = index_of(tmp_path / "a", [encoded(picture(seed)) for seed in range(3)])
    expected = looks_of(index)
    (kept,) = (tmp_path / "cache" / "scans").glob("looks-*.npz")
    kept.write_bytes(kept.read_bytes()[:200])
    np.testing.assert_array_equal(looks_of(index).measures, expected.measures)
