"""Near-duplicates: planted ones are found, unlike pictures are not called alike."""

import io
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfft.data.index import ImageIndex, index_of_files
from tfft.data.near_copies import NEAR_COPY_BITS
from tfft.images.hashing import difference_hash
from tfft.reports.duplicates import find_duplicates, nearest
from tfft.system.progress import SILENT


def picture(seed: int, side: int = 120) -> Image.Image:
    """Soft patches of colour, as photos have them."""
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 12, 3)).astype(np.uint8)
    return Image.fromarray(coarse).resize((side * 4 // 3, side), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, **options) -> bytes:
    stream = io.BytesIO()
    image.save(stream, options.pop("format", "JPEG"), **options)
    return stream.getvalue()


def index_of(directory: Path, contents: list[bytes]) -> ImageIndex:
    directory.mkdir()
    files = [directory / f"{number}.img" for number in range(len(contents))]
    for file, content in zip(files, contents, strict=True):
        file.write_bytes(content)
    index = index_of_files(files, [file.name for file in files], [0] * len(files))
    digests = [np.frombuffer(sha256(content).digest(), np.uint8) for content in contents]
    return replace(index, digests=np.stack(digests))


def test_planted_duplicates_are_found_and_nothing_else(tmp_path):
    trained = [encoded(picture(seed), quality=95) for seed in range(30)]
    resized = encoded(picture(3).resize((93, 70)), quality=60)
    webp = encoded(picture(17), format="WEBP", quality=50)
    judged = [encoded(picture(100)), resized, trained[8], webp, encoded(picture(101))]
    found = find_duplicates(
        index_of(tmp_path / "trained", trained), index_of(tmp_path / "judged", judged), SILENT
    )
    assert (found.trained, found.judged, found.too_plain) == (30, 5, 0)
    by_judged = {pair.judged: pair for pair in found.pairs}
    assert {k: pair.trained for k, pair in by_judged.items()} == {1: 3, 2: 8, 3: 17}
    assert [k for k, pair in by_judged.items() if pair.identical] == [2]
    assert found.pairs[0].judged == 2


def test_a_photo_turned_by_its_exif_is_the_same_photo():
    upright = picture(5)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = encoded(upright.transpose(Image.Transpose.ROTATE_90), exif=exif, quality=95)
    pair = np.stack([difference_hash(turned), difference_hash(encoded(upright, quality=95))])
    ((_, bits),) = nearest(pair[:1], pair[1:])
    assert bits <= NEAR_COPY_BITS


def test_only_the_part_in_the_box_counts():
    whole = picture(5)
    part = whole.crop((80, 0, 160, 120))
    boxed = difference_hash(encoded(whole, quality=95), (0.0, 0.5, 1.0, 1.0))
    alone = difference_hash(encoded(part, quality=95))
    ((_, bits),) = nearest(boxed[None], alone[None])
    assert bits <= NEAR_COPY_BITS


@pytest.mark.parametrize("image", [Image.new("RGB", (64, 64), "grey"), picture(1).resize((8, 8))])
def test_even_and_tiny_pictures_say_too_little(image):
    assert difference_hash(encoded(image, format="PNG")) is None


def test_the_nearest_hash_and_its_bits_by_hand():
    others = np.array([[0, 0, 0, 0], [0b111, 0, 0, 1], [2**64 - 1, 0, 0, 0]], np.uint64)
    hashes = np.array([[0b110, 0, 0, 1], [2**64 - 2, 0, 1, 0]], np.uint64)
    assert list(nearest(hashes, others)) == [(1, 1), (2, 2)]


def test_where_no_picture_says_enough_nothing_is_claimed_about_looks(tmp_path):
    even = [encoded(Image.new("RGB", (64, 64), colour), format="PNG") for colour in ("grey", "red")]
    seen = index_of(tmp_path / "seen", [even[0]])
    plain = find_duplicates(seen, index_of(tmp_path / "plain", [even[1]]), SILENT)
    assert (plain.pairs, plain.too_plain, plain.by_looks) == ((), 2, False)
    telling = find_duplicates(seen, index_of(tmp_path / "telling", [encoded(picture(1))]), SILENT)
    assert (telling.too_plain, telling.by_looks) == (1, True)
