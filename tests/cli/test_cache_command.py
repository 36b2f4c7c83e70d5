"""`tfft cache`, on entries that were made here."""

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tfft.cache.converted import Conversion, converted_directory, keep_conversion
from tfft.cache.segment import Content
from tfft.cache.store import completed_rows
from tfft.cache.tensors import TensorWriter


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with features of two backbones, of today and of 40 days ago."""
    monkeypatch.setenv("TFFT_CACHE_DIR", str(tmp_path / "cache"))
    place = tmp_path / "cache" / "activations"
    for name, days in (("new", 0), ("old", 40)):
        made = make_features(name, 1000)
        used = time.time() - days * 86_400
        for segment in place.glob(f"{made.name}*"):
            os.utime(segment / "entry.json", (used, used))
    return place


def make_features(backbone: str, count: int, first: int = 0) -> Content:
    about = {"what": "features", "backbone": backbone, "weights": "imagenet, 5eed", "view": ""}
    about["inputs"] = "image 8 x 8 x 3, fit crop"
    content = Content({"of": backbone}, about, [(250,)])
    keys = np.zeros((count, 32), np.uint8)
    keys[:, :4] = np.arange(first, first + count, dtype=">u4")[:, None].view(np.uint8)

    def fill(missing: np.ndarray, writers: Sequence[TensorWriter]) -> None:
        writers[0].append(np.zeros((len(missing), 250)))

    completed_rows(content, keys, fill, max_bytes=1e9).close()
    return content


def test_the_list_says_what_was_computed_from_what(tfft, cache):
    make_features("old", 100, first=1000)
    make_features("old", 1, first=2000)
    done = tfft("cache", "list")
    lines = [line.split() for line in done.stdout.splitlines()]
    described = ["imagenet,", "5eed", "image", "8", "x", "8", "x", "3,", "fit", "crop"]
    assert [line[:15] for line in lines[2:4]] == [
        ["features", "old", *described, "1,101", "1.2", "MB"],
        ["features", "new", *described, "1,000", "1.0", "MB"],
    ]
    assert done.stdout.splitlines()[-1] == f"4 entries, 2.2 MB in {cache}"


def test_the_list_as_json(tfft, cache):
    entries = json.loads(tfft("cache", "list", "--json").stdout)
    assert [entry["backbone"] for entry in entries] == ["new", "old"]
    assert [entry["examples"] for entry in entries] == [1000, 1000]
    assert Path(entries[0]["path"]).parent == cache
    assert not entries[0]["in_use"]


def test_an_entry_of_an_older_format_is_listed_and_removed(tfft, cache):
    older = cache / ("ab" * 32)
    older.mkdir()
    (older / "0.npy").write_bytes(b"numbers")
    view = {"augmentation": "flip", "seed": 0, "number": 1}
    about = {"what": "features", "backbone": "Small", "recipe": "r", "images": 5, "view": view}
    record = {"format": 1, "identity": {}, "about": about, "tensors": [{"crc32": 1}]}
    (older / "entry.json").write_text(json.dumps(record))
    assert "older format, not used" in " ".join(tfft("cache", "list").stdout.split())
    tfft("cache", "clean", "--all")
    assert not older.exists()


def test_an_empty_cache(tfft, tmp_path, monkeypatch):
    monkeypatch.setenv("TFFT_CACHE_DIR", str(tmp_path))
    assert tfft("cache", "list").stdout.startswith("0 entries, 0.0 kB in ")


@pytest.mark.parametrize(
    ("options", "left"),
    [
        (["--older-than", "30d"], ["new"]),
        (["--older-than", "8w"], ["new", "old"]),
        (["--max-gb", "0.0015"], ["new"]),
        (["--all"], []),
    ],
)
def test_cleaning_removes_what_is_asked_for(tfft, cache, options: list[str], left: list[str]):
    done = tfft("cache", "clean", *options)
    assert done.stdout.endswith(f"left: {len(left)}\n")
    entries = json.loads(tfft("cache", "list", "--json").stdout)
    assert [entry["backbone"] for entry in entries] == left


@pytest.mark.parametrize("options", [[], ["--older-than", "soon"]])
def test_cleaning_says_what_it_needs_to_know(tfft, cache, options: list[str]):
    done = tfft("cache", "clean", *options)
    assert done.returncode == 2
    assert "--older-than" in done.stderr
    assert len(list(cache.iterdir())) == 2


def test_converted_models_are_listed_and_go_last(tfft, cache):
    about = {"what": "converted model", "backbone": "Small", "recipe": "colours"}
    keep_conversion("ab" * 32, Conversion(bytes(600_000), ("label",)), about)
    first = tfft("cache", "list").stdout.splitlines()[2].split()
    assert first[:4] == ["converted", "model", "Small", "600.3"]
    assert (
        len(json.loads(tfft("cache", "clean", "--max-gb", "0.0007", "--json").stdout)["removed"])
        == 2
    )
    assert [entry.name for entry in converted_directory().iterdir()] == ["ab" * 32]
    tfft("cache", "clean", "--all")
    assert not any(converted_directory().iterdir())
