"""A store of arrays that are whole or absent."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tfft.errors import TfftError
from tfft.system.places import cache_directory
from tfft.transfer.cache import entry_key, load_entry, store_entry


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TFFT_CACHE_DIR", str(tmp_path))


def _fill(arrays: Sequence[np.ndarray]) -> None:
    arrays[0][:] = np.arange(6).reshape(2, 3)
    arrays[1][:] = 7


def _store(identity: dict) -> str:
    key = entry_key(identity)
    store_entry(key, identity, [(2, 3), (4,)], _fill)
    return key


def test_what_was_stored_is_loaded():
    key = _store({"weights": "a"})
    first, second = load_entry(key)
    np.testing.assert_array_equal(first, [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(second, [7, 7, 7, 7])
    assert isinstance(first, np.memmap)


def test_another_identity_is_another_entry():
    _store({"weights": "a"})
    assert load_entry(entry_key({"weights": "b"})) is None


def test_a_damaged_entry_counts_as_absent_and_can_be_made_again():
    key = _store({"weights": "a"})
    file = cache_directory("features") / key / "0.npy"
    content = bytearray(file.read_bytes())
    content[-1] ^= 0xFF
    file.write_bytes(content)
    assert load_entry(key) is None
    _store({"weights": "a"})
    assert load_entry(key)[0][1, 2] == 5


@pytest.mark.parametrize("damage", ["truncate", "remove", "description"])
def test_an_incomplete_entry_counts_as_absent(damage: str):
    key = _store({"weights": "a"})
    directory = cache_directory("features") / key
    if damage == "truncate":
        (directory / "1.npy").write_bytes(b"\x93NUMPY")
    elif damage == "remove":
        (directory / "0.npy").unlink()
    else:
        (directory / "entry.json").write_text("{")
    assert load_entry(key) is None


def test_an_interrupted_entry_leaves_nothing():
    def interrupted(arrays: Sequence[np.ndarray]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store_entry(entry_key({}), {}, [(2,)], interrupted)
    assert list(cache_directory("features").iterdir()) == []


def test_two_runs_that_make_the_same_entry_both_succeed():
    identity = {"weights": "a"}

    def meanwhile_another_run_stores_it(arrays: Sequence[np.ndarray]) -> None:
        _store(identity)
        _fill(arrays)

    key = entry_key(identity)
    arrays = store_entry(key, identity, [(2, 3), (4,)], meanwhile_another_run_stores_it)
    np.testing.assert_array_equal(arrays[0], [[0, 1, 2], [3, 4, 5]])
    assert [path.name for path in cache_directory("features").iterdir()] == [key]


def test_a_cache_that_cannot_be_written_is_one_clear_error(tmp_path: Path):
    shutil.rmtree(tmp_path)
    tmp_path.write_text("not a directory")
    with pytest.raises(TfftError, match="cannot write"):
        _store({"weights": "a"})
