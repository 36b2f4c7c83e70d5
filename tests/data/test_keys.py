"""What an image is known by in the cache: its content, and which part of it counts."""

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from tfft.data.index import ImageIndex, index_of_files


@pytest.fixture
def index(tmp_path: Path) -> ImageIndex:
    files = [tmp_path / name for name in ("a", "b", "copy of a", "c", "a again")]
    contents = [b"first", b"second", b"first", b"third", b"first"]
    for file, content in zip(files, contents, strict=True):
        file.write_bytes(content)
    digests = b"".join(sha256(content).digest() for content in contents)
    found = index_of_files(files, [file.name for file in files], np.zeros(5))
    return replace(found, digests=np.frombuffer(digests, np.uint8).reshape(-1, 32))


def test_equal_images_have_equal_keys_whatever_their_names_and_labels(index: ImageIndex):
    keys = index.keys()
    assert keys.shape == (5, 32)
    assert len(np.unique(keys, axis=0)) == 3
    np.testing.assert_array_equal(keys[[0, 0]], keys[[2, 4]])
    relabelled = replace(index, targets={"label": np.ones(5, np.int64)}, ids=tuple("12345"))
    np.testing.assert_array_equal(relabelled.keys(), keys)
    order = np.array([3, 0, 1])
    np.testing.assert_array_equal(index.take(order).keys(), keys[order])


def test_another_part_of_an_image_is_another_key(index: ImageIndex):
    boxes = np.tile(np.array([0.0, 0.0, 0.5, 0.5], np.float32), (5, 1))
    boxes[2, 3] = 0.6
    keys = replace(index, boxes=boxes).keys()
    assert len(np.unique(np.concatenate([keys, index.keys()]), axis=0)) == 4 + 3
    np.testing.assert_array_equal(keys[0], keys[4])


def test_copies_are_told_apart_in_views_and_keep_their_views_beside_others(index: ImageIndex):
    keys = index.view_keys()
    assert len(np.unique(keys, axis=0)) == 5
    np.testing.assert_array_equal(keys[[0, 1, 3]], index.keys()[[0, 1, 3]])
    np.testing.assert_array_equal(index.take([3, 4, 0]).view_keys(), keys[[3, 0, 2]])


def test_without_digests_a_file_that_has_changed_is_another_image(index: ImageIndex):
    unscanned = replace(index, digests=None)
    before = unscanned.keys()
    assert len(np.unique(before, axis=0)) == 5
    Path(index.files[1]).write_bytes(b"changed")
    after = index_of_files([Path(file) for file in index.files], index.ids, np.zeros(5)).keys()
    assert (before != after).any(axis=1).tolist() == [False, True, False, False, False]
