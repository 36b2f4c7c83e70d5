"""`tfft cache`, on entries that were made here."""

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest

from tfft.cache.converted import Conversion, converted_directory, keep_conversion
from tfft.cache.store import Content, make_entry


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with an entry of today and one of 40 days ago."""
    monkeypatch.setenv("TFFT_CACHE_DIR", str(tmp_path / "cache"))
    for name, days in (("new", 0), ("old", 40)):
        about = {"what": "features", "backbone": "Small", "recipe": name}
        about |= {"split": "train", "images": 1000, "view": None}
        content = Content({"of": name}, about, [(1000, 250)])
        make_entry(content, lambda w: w[0].append(np.zeros((1000, 250))), max_bytes=1e9).close()
        used = time.time() - days * 86_400
        os.utime(tmp_path / "cache" / "activations" / content.key / "entry.json", (used, used))
    return tmp_path / "cache" / "activations"


def test_the_list_says_what_each_entry_is_and_the_sum(tfft, cache):
    done = tfft("cache", "list")
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [line[:5] for line in lines[2:4]] == [
        ["features", "Small", "1,000", "train", "new"],
        ["features", "Small", "1,000", "train", "old"],
    ]
    assert done.stdout.splitlines()[-1] == f"2 entries, 2.0 MB in {cache}"


def test_the_list_as_json(tfft, cache):
    entries = json.loads(tfft("cache", "list", "--json").stdout)
    assert [entry["recipe"] for entry in entries] == ["new", "old"]
    assert Path(entries[0]["path"]).parent == cache
    assert not entries[0]["in_use"]


def test_an_empty_cache(tfft, tmp_path, monkeypatch):
    monkeypatch.setenv("TFFT_CACHE_DIR", str(tmp_path))
    assert tfft("cache", "list").stdout.startswith("0 entries, 0.0 MB in ")


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
    assert [entry["recipe"] for entry in entries] == left


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
    assert first[:5] == ["converted", "model", "Small", "colours", "0.6"]
    assert (
        len(json.loads(tfft("cache", "clean", "--max-gb", "0.0007", "--json").stdout)["removed"])
        == 2
    )
    assert [entry.name for entry in converted_directory().iterdir()] == ["ab" * 32]
    tfft("cache", "clean", "--all")
    assert not any(converted_directory().iterdir())
