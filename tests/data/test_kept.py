"""What is kept of a source or a scan is recalled only if it is about these images.

A cache may be shared: whoever can write there may have written what is found.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from tfft.data.dataset import Source
from tfft.data.index import index_of_files
from tfft.data.scan import scan_images
from tfft.data.sources.kept import keep_source, kept_source
from tfft.system.caches import cache_place
from tfft.system.files import read_arrays, write_arrays


@pytest.fixture
def source(pictures: Path) -> Source:
    files = sorted(pictures.glob("red/*"))[:4]
    index = index_of_files(files, [file.name for file in files], [0, 0, 1, 1])
    splits = np.array(["train", "train", "test", "test"])
    return Source("reds", index, splits, ("a", "b"), notes=("a note",))


def test_a_kept_source_is_recalled(source: Source, tmp_path: Path):
    keep_source(tmp_path / "kept.npz", source)
    kept = kept_source(tmp_path / "kept.npz")
    assert kept is not None
    assert (kept.name, kept.class_names, kept.notes) == ("reds", ("a", "b"), ("a note",))
    assert [kept.index.read(i) for i in range(4)] == [source.index.read(i) for i in range(4)]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("file_ids", np.array([0, 1, 2, 4], np.int32)),
        ("file_ids", np.array([0, 1, 2, -1], np.int32)),
        ("file_ids", np.zeros(4)),
        ("offsets", np.full(4, 1 << 40)),
        ("lengths", np.full(3, 1)),
        ("splits", np.array([["train"] * 4])),
        ("target_label", np.array([0, 0, 1, 2])),
        ("target_label", np.array(["a"] * 4)),
        ("class_names", ["a", 3]),
        ("class_names", "ab"),
        ("ids", ["x"] * 4),
        ("files", 3),
        ("files", ["/nowhere"] * 4),
        ("notes", None),
        ("licence", []),
    ],
)
def test_a_kept_source_that_is_of_other_images_counts_as_none(source, name, value, tmp_path):
    path = tmp_path / "kept.npz"
    keep_source(path, source)
    arrays = read_arrays(path)
    if isinstance(value, np.ndarray):
        arrays[name] = value
    else:
        described = json.loads(arrays["described"].tobytes()) | {name: value}
        arrays["described"] = np.frombuffer(json.dumps(described).encode(), np.uint8)
    write_arrays(path, arrays)
    assert kept_source(path) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("formats", np.full(4, 77, np.uint8)),
        ("formats", np.zeros(4)),
        ("digests", np.zeros((4, 32))),
        ("digests", np.zeros((3, 32), np.uint8)),
        ("places", np.zeros((4, 32))),
        ("places", np.zeros((3, 32), np.uint8)),
        ("places", np.arange(128, 0, -1, np.uint8).reshape(4, 32)),
        ("texts", np.frombuffer(b"[[0, 0, 0, 0], []]", np.uint8)),
        ("texts", np.frombuffer(b'[["", "", "", ""], []]', np.uint8)),
        ("texts", np.frombuffer(b"[" * 100_000, np.uint8)),
    ],
)
def test_a_kept_scan_that_is_of_other_images_is_made_again(
    source, name, value, tmp_path, monkeypatch
):
    monkeypatch.setenv("TFFT_CACHE_DIR", str(tmp_path))
    first = scan_images(source.index)
    (kept,) = cache_place("scans").iterdir()
    write_arrays(kept, {**read_arrays(kept), name: value})
    again = scan_images(source.index)
    assert again.reasons == first.reasons
    np.testing.assert_array_equal(again.digests, first.digests)
    np.testing.assert_array_equal(again.formats, first.formats)
