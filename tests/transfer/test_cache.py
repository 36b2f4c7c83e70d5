"""A store of rows that are whole or absent, used by several processes at once."""

import errno
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from small_disk import beside_small_disk

from tfft.cache.room import list_entries, remove_entries
from tfft.cache.segment import Content
from tfft.cache.store import StoredRows, completed_rows, open_rows, try_rows
from tfft.cache.tensors import TensorWriter
from tfft.errors import TfftError, TfftWarning
from tfft.system.files import cache_directory, read_arrays, write_arrays

ROOT = Path(__file__).resolve().parents[2]
_ROOMY = 1e9


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TFFT_CACHE_DIR", str(tmp_path))
    return cache_directory("activations")


def _content(weights: str = "a", dtype: str = "float32") -> Content:
    return Content({"weights": weights}, {"what": weights}, [(3,), ()], dtype)


def _keys(*numbers: int) -> np.ndarray:
    """Keys of examples, which sort in another order than their numbers."""
    digests = [hashlib.sha256(bytes([number])).digest() for number in numbers]
    return np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 32)


def _rows(
    *numbers: int,
    content: Content | None = None,
    max_bytes: float = _ROOMY,
    made: list | None = None,
) -> StoredRows:
    """The rows of examples, each of its number; `made` gets those that had to be made."""

    def fill(missing: np.ndarray, writers: Sequence[TensorWriter]) -> None:
        lacking = np.array(numbers, float)[missing]
        if made is not None:
            made.extend(lacking.astype(int).tolist())
        writers[0].append(lacking[:, None] + np.arange(3) / 10)
        writers[1].append(lacking)

    return completed_rows(content or _content(), _keys(*numbers), fill, max_bytes=max_bytes)


def _make(content: Content, max_bytes: float = _ROOMY) -> StoredRows:
    return _rows(0, 1, content=content, max_bytes=max_bytes)


def _made_of(*numbers: int, **options) -> list[int]:
    """Asks for rows, checks them, and returns the numbers of those that had to be made."""
    made: list[int] = []
    rows = _rows(*numbers, made=made, **options)
    np.testing.assert_array_equal(rows.tensors[1][:], numbers)
    np.testing.assert_allclose(rows.tensors[0][:][:, 2], np.array(numbers) + 0.2, rtol=1e-6)
    rows.close()
    return made


def _missing(content: Content) -> int:
    with closing(open_rows(content, _keys(0, 1))) as found:
        return len(found.missing)


def _segments(place: Path) -> list[Path]:
    return sorted(place.glob("[!.]*"))


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_what_was_written_is_read_in_any_order(dtype: str):
    _rows(0, 1, 2, content=_content(dtype=dtype)).close()
    rows = _rows(2, 1, 0, 1, content=_content(dtype=dtype))
    first, second = rows.tensors
    assert first.dtype == dtype
    assert first.shape == (4, 3)
    np.testing.assert_array_equal(second[:], [2, 1, 0, 1])
    np.testing.assert_array_equal(second[np.array([3, 0, 3])], [1, 2, 1])
    np.testing.assert_allclose(first[1:9], np.array([[1], [0], [1]]) + np.arange(3) / 10, atol=1e-3)
    rows.close()


def test_only_what_is_missing_is_made():
    assert _made_of(3, 1, 2) == [3, 1, 2]
    assert _made_of(2, 3) == []  # removed, and in another order
    assert _made_of(1, 4, 2, 5, 3) == [4, 5]  # added
    assert _made_of(5, 6, 6) == [6]  # equal examples share a row
    assert _made_of() == []


def test_another_identity_or_another_type_of_numbers_are_other_rows():
    _make(_content()).close()
    assert _missing(_content()) == 0
    assert _missing(_content("b")) == 2
    assert _missing(_content(dtype="float16")) == 2


def test_small_segments_go_into_the_next_one_and_large_ones_stay(place: Path):
    _rows(*range(100)).close()
    for number in range(100, 107):
        assert _made_of(number) == [number]
    assert sorted(entry.examples for entry in list_entries(place)) == [2, 5, 100]
    assert _made_of(*range(107)) == []


def test_rows_that_two_segments_have_are_merged_into_one(place: Path):
    """Two runs that lack the same in part both make it."""

    def fill(missing: np.ndarray, writers: Sequence[TensorWriter]) -> None:
        assert _made_of(2, 3, 4) == [2, 3, 4]
        writers[0].append(np.arange(1, 4)[:, None] + np.arange(3) / 10)
        writers[1].append(np.array([1, 2, 3]))

    completed_rows(_content(), _keys(1, 2, 3), fill, max_bytes=_ROOMY).close()
    assert [entry.examples for entry in list_entries(place)] == [3, 3]
    assert _made_of(1, 2, 3, 4, 5, 6) == [5, 6]
    assert _made_of(6, 5, 4, 3, 2, 1) == []
    assert [entry.examples for entry in list_entries(place)] == [6]


def test_a_segment_that_was_merged_while_it_was_read_is_removed_later(place: Path):
    reading = _rows(1)
    assert _made_of(2) == [2]
    assert len(_segments(place)) == 2
    np.testing.assert_array_equal(reading.tensors[1][:], [1])
    reading.close()
    assert _made_of(1, 2) == []
    assert [entry.examples for entry in list_entries(place)] == [2]


def test_nothing_is_merged_where_there_is_no_room_for_it(place: Path):
    assert _made_of(1, 2, 3) == [1, 2, 3]
    (segment,) = _segments(place)
    size = sum(file.stat().st_size for file in segment.iterdir())
    assert _made_of(4, 5, max_bytes=size + 40) == [4, 5]
    assert len(_segments(place)) == 2


def test_rows_that_are_not_needed_any_more_make_room_for_those_that_are(place: Path):
    """One segment has them all, and is in use by the very run that needs the room."""
    assert _made_of(*range(40)) == list(range(40))
    size = list_entries(place)[0].bytes
    needed = [0, 1, *range(50, 70)]
    assert _made_of(*needed, max_bytes=size + 100) == needed
    assert [entry.examples for entry in list_entries(place)] == [22]


def test_rows_are_found_by_their_keys_in_any_order():
    digests = np.random.default_rng(0).integers(0, 256, (20_000, 32), dtype=np.uint8)
    content = Content({"of": "many"}, {}, [()])

    def fill(missing: np.ndarray, writers: Sequence[TensorWriter]) -> None:
        writers[0].append(missing.astype(np.float32))

    completed_rows(content, digests, fill, max_bytes=_ROOMY).close()
    order = np.random.default_rng(1).permutation(len(digests))
    rows = completed_rows(content, digests[order], fill, max_bytes=_ROOMY)
    np.testing.assert_array_equal(rows.tensors[0][:], order)
    rows.close()


def _never(writers: Sequence[TensorWriter]) -> None:
    raise AssertionError("it was there already")


def test_numbers_too_large_for_float16_are_refused():
    with pytest.raises(TfftError, match=r"float16.*float32"):
        try_rows(
            _content(dtype="float16"),
            _keys(0),
            lambda writers: writers[0].append(np.full((1, 3), 1e5)),
            max_bytes=_ROOMY,
        )


class _Told:
    """Progress that keeps what it is told."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def message(self, text: str) -> None:
        self.messages.append(text)


def test_a_damaged_row_is_made_again_and_that_is_said(place: Path):
    _make(_content()).close()
    (segment,) = _segments(place)
    file = segment / "0.npy"
    content = bytearray(file.read_bytes())
    content[-1] ^= 0xFF
    file.write_bytes(content)
    told = _Told()
    with closing(open_rows(_content(), _keys(0, 1), told)) as found:
        assert len(found.missing) == 2
    assert told.messages == [f"a part of the cache is damaged and is computed again: {segment}"]
    assert not segment.exists()
    assert _made_of(0, 1) == [0, 1]


@pytest.mark.parametrize(
    "damage",
    [
        *("truncate", "remove", "description", "no description", "no rows", "rows", "keys"),
        *("other rows", "checksums"),
    ],
)
def test_an_incomplete_segment_counts_as_absent(place: Path, damage: str):
    _make(_content()).close()
    (segment,) = _segments(place)
    table = segment / "rows.npz"
    arrays = read_arrays(table)
    if damage == "truncate":
        os.truncate(segment / "1.npy", 130)
    elif damage == "remove":
        (segment / "0.npy").unlink()
    elif damage == "description":
        (segment / "entry.json").write_text("{")
    elif damage == "no description":
        (segment / "entry.json").unlink()
    elif damage == "no rows":
        table.unlink()
    elif damage == "rows":
        table.write_bytes(b"PK")
    else:
        changed = {
            "keys": {"keys": arrays["keys"][::-1]},
            "other rows": {"rows": arrays["rows"] + 1},
            "checksums": {"checksums": arrays["checksums"][:, :1]},
        }
        write_arrays(table, {**arrays, **changed[damage]})
    assert _missing(_content()) == 2
    assert _made_of(0, 1) == [0, 1]


def test_a_file_that_is_cut_off_while_it_is_read_is_an_error(place: Path):
    rows = _make(_content())
    os.truncate(_segments(place)[0] / "0.npy", 130)
    with pytest.raises(OSError, match="cut off"):
        rows.tensors[0][:]
    rows.close()


def test_an_interrupted_segment_leaves_nothing(place: Path):
    def interrupted(writers: Sequence[TensorWriter]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        try_rows(_content(), _keys(0), interrupted, max_bytes=_ROOMY)
    assert list(place.iterdir()) == []


def test_rows_that_are_missing_are_no_segment(place: Path):
    with pytest.raises(TfftError, match="not every example"):
        try_rows(_content(), _keys(0), lambda writers: None, max_bytes=_ROOMY)
    assert list(place.iterdir()) == []


def _record(place: Path, name: str) -> Path:
    (segment,) = place.glob(f"{_content(name).name}*")
    return segment / "entry.json"


def test_what_was_not_used_for_longest_makes_room(place: Path):
    for age, name in enumerate("abc"):
        _make(_content(name)).close()
        os.utime(_record(place, name), (time.time() - 90 + age,) * 2)
    assert _missing(_content("a")) == 0  # used again: b is the oldest now
    size = list_entries(place)[0].bytes
    _make(_content("d"), max_bytes=3 * size).close()
    assert {entry.about["what"] for entry in list_entries(place)} == {"a", "c", "d"}


def test_segments_in_use_stay_and_a_bound_that_they_fill_is_one_clear_error(place: Path):
    used = _make(_content("a"))
    size = list_entries(place)[0].bytes
    with pytest.raises(TfftError, match=r"cache is too small.*in use.*"):
        _make(_content("b"), max_bytes=size + 1)
    assert remove_entries(place, max_bytes=0) == []
    assert [entry.in_use for entry in list_entries(place)] == [True]
    used.close()
    _make(_content("b"), max_bytes=size + 1).close()
    assert [entry.about["what"] for entry in list_entries(place)] == ["b"]


def test_a_bound_smaller_than_the_rows_is_one_clear_error():
    with pytest.raises(TfftError, match=r"max_gb"):
        _make(_content(), max_bytes=10)


def test_where_the_cache_cannot_be_written_rows_are_made_elsewhere(tmp_path: Path):
    shutil.rmtree(tmp_path)
    tmp_path.write_text("not a directory")
    with pytest.warns(TfftWarning, match="Set TFFT_CACHE_DIR"):
        assert _made_of(0, 1) == [0, 1]
    assert _made_of(0, 1, 2) == [2]
    tmp_path.unlink()


def test_what_a_cache_that_can_only_be_read_lacks_is_made_elsewhere(
    place: Path, monkeypatch: pytest.MonkeyPatch
):
    _make(_content()).close()
    monkeypatch.setattr(os, "access", lambda *_: False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert _made_of(0, 1) == []
    with pytest.warns(TfftWarning, match="Set TFFT_CACHE_DIR"):
        assert _made_of(0, 1, 2) == [2]
    assert _made_of(0, 1, 2) == []
    assert len(_segments(place)) == 1


def test_segments_that_are_made_at_once_share_the_bound():
    def fill(missing: np.ndarray, writers: Sequence[TensorWriter]) -> None:
        with pytest.raises(TfftError, match="cache is too small"):
            _make(_content("b"), max_bytes=50)
        writers[0].append(np.zeros((2, 3)))
        writers[1].append(np.zeros(2))

    completed_rows(_content("a"), _keys(0, 1), fill, max_bytes=50).close()


# A process that makes rows one by one, a line of stdout for each, and says what it reads then.
_MAKER = """
import sys, time
import numpy as np
from tfft.cache.segment import Content
from tfft.cache.store import completed_rows

def fill(missing, writers):
    for row in missing:
        writers[0].append(np.full((1, 50_000), row))
        print(f"row {row}", flush=True)
        time.sleep(float(sys.argv[2]))

keys = np.zeros((int(sys.argv[1]), 32), np.uint8)
keys[:, 0] = np.arange(len(keys))
content = Content({"of": "processes"}, {}, [(50_000,)])
rows = completed_rows(content, keys, fill, max_bytes=1e9)
print("sum", int(rows.tensors[0][:].sum()), flush=True)
"""


def _maker(rows: int, seconds: float, **options) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", _MAKER, str(rows), str(seconds)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        **options,
    )


@pytest.fixture
def half_way() -> Iterator[subprocess.Popen]:
    """A process in the middle of making an entry."""
    process = _maker(8, 0.1)
    assert process.stdout is not None
    assert process.stdout.readline() == "row 0\n"
    yield process
    process.kill()
    process.communicate()


_SUM = f"sum {sum(range(8)) * 50_000}"


def test_of_two_processes_that_lack_the_same_one_makes_it_and_the_other_waits(
    half_way: subprocess.Popen, place: Path
):
    second, _ = _maker(8, 0).communicate(timeout=60)
    first, _ = half_way.communicate(timeout=60)
    assert first.splitlines()[-1] == _SUM
    assert second.splitlines() == [_SUM]
    assert len(list(place.iterdir())) == 1


def _first_byte(numbers: Sequence[int]) -> np.ndarray:
    keys = np.zeros((len(numbers), 32), np.uint8)
    keys[:, 0] = numbers
    return keys


_OF_PROCESSES = Content({"of": "processes"}, {}, [(50_000,)])


def test_what_is_only_wanted_along_the_way_is_left_to_the_process_that_makes_it(
    half_way: subprocess.Popen,
):
    keys = _first_byte(range(8))
    assert not try_rows(_OF_PROCESSES, keys, _never, max_bytes=_ROOMY)
    half_way.communicate(timeout=60)
    assert try_rows(_OF_PROCESSES, keys, _never, max_bytes=_ROOMY)


def test_of_two_processes_that_lack_the_same_in_part_none_waits(
    half_way: subprocess.Popen, place: Path
):
    both, _ = _maker(9, 0).communicate(timeout=60)
    assert both.splitlines()[-1] == f"sum {sum(range(9)) * 50_000}"
    assert half_way.poll() is None
    first, _ = half_way.communicate(timeout=60)
    assert first.splitlines()[-1] == _SUM
    with closing(open_rows(_OF_PROCESSES, _first_byte(range(9)))) as found:
        assert not len(found.missing)


def test_what_a_killed_process_left_is_removed_and_made_again(
    half_way: subprocess.Popen, place: Path
):
    waiting = _maker(8, 0)
    time.sleep(0.5)
    half_way.send_signal(signal.SIGKILL)
    half_way.wait()
    after, _ = waiting.communicate(timeout=60)
    assert after.splitlines() == [*(f"row {row}" for row in range(8)), _SUM]
    assert len(list(place.iterdir())) == 1


def test_what_killed_processes_left_makes_room_for_other_entries(
    half_way: subprocess.Popen, place: Path
):
    half_way.send_signal(signal.SIGKILL)
    half_way.wait()
    assert [path.name[0] for path in place.iterdir()] == ["."]
    _make(_content()).close()
    assert [path.name[:33] for path in place.iterdir()] == [_content().name]


def test_a_full_disk_is_one_clear_error_and_leaves_nothing(tmp_path: Path):
    disk = tmp_path / "disk"
    # Other files take the room that the disk had when the entry was begun.
    other = f"os.system('head -c 1500000 /dev/zero >> {disk}/other 2> {tmp_path}/full')"
    program = _MAKER.replace("time.sleep(float(sys.argv[2]))", other).replace("sys,", "os, sys,")
    assert other in program
    (tmp_path / "maker.py").write_text(program)
    done = beside_small_disk(
        disk,
        f"cd {disk}; mkdir activations; "
        f"TFFT_CACHE_DIR={disk} {sys.executable} {tmp_path}/maker.py 5 0; ls -A activations",
        PYTHONPATH=str(ROOT),
    )
    assert done.stderr.splitlines()[-1].startswith("tfft.errors.TfftError: the disk is full")
    assert all(line.startswith("row") for line in done.stdout.splitlines())


def test_a_process_killed_while_it_merges_loses_no_row(place: Path):
    for number in range(4):
        rows = completed_rows(
            _OF_PROCESSES,
            _first_byte([number]),
            lambda missing, writers, number=number: writers[0].append(np.full((1, 50_000), number)),
            max_bytes=_ROOMY,
        )
        rows.close()
    before = _segments(place)
    # All that is there is copied before the first new row, after which it is killed.
    process = _maker(8, 60)
    assert process.stdout is not None
    assert process.stdout.readline() == "row 4\n"
    process.kill()
    process.communicate()
    assert _segments(place) == before
    again, _ = _maker(8, 0).communicate(timeout=60)
    assert again.splitlines() == [*(f"row {row}" for row in range(4, 8)), _SUM]
    assert [entry.examples for entry in list_entries(place)] == [8]


@pytest.mark.parametrize("name", ["entry.json", "0.npy"])
def test_a_damaged_segment_that_cannot_be_removed_is_one_clear_error(
    place: Path, monkeypatch: pytest.MonkeyPatch, name: str
):
    _make(_content()).close()
    file = _segments(place)[0] / name
    file.write_bytes(file.read_bytes()[:-1] + b"!")

    def refused(self: Path, target: Path) -> Path:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    monkeypatch.setattr(Path, "rename", refused)
    with pytest.raises(TfftError, match=r"damaged and cannot be removed: .* or set TFFT_CACHE_DIR"):
        _make(_content())


@pytest.mark.parametrize("shapes", [[(3,), (1,)], [(3,)], [(3,), (), ()], [(4,), ()]])
def test_a_segment_of_other_tensors_than_were_asked_for_counts_as_absent(shapes):
    """Its name is that of what is asked for: someone else wrote it."""
    _make(_content()).close()
    assert _missing(Content(_content().identity, {}, shapes)) == 2


def test_a_segment_of_another_type_of_numbers_counts_as_absent(place: Path):
    _make(_content()).close()
    (segment,) = _segments(place)
    asked = _content(dtype="float16")
    segment.rename(place / segment.name.replace(_content().name, asked.name))
    assert _missing(asked) == 2


@pytest.mark.parametrize(
    "kind", ["a tensor is a link", "the rows are a link", "the segment is a link"]
)
def test_nothing_outside_of_a_segment_is_read(place: Path, tmp_path: Path, kind: str):
    _make(_content()).close()
    (segment,) = _segments(place)
    elsewhere = tmp_path / "elsewhere"
    linked = {"a tensor is a link": "0.npy", "the rows are a link": "rows.npz"}.get(kind, ".")
    (segment / linked).rename(elsewhere)
    (segment / linked).symlink_to(elsewhere)
    assert _missing(_content()) == 2
    assert elsewhere.exists()
    assert not segment.exists()


@pytest.mark.parametrize("name", ["entry.json", "rows.npz", "0.npy"])
def test_a_pipe_in_place_of_a_file_is_not_waited_for(place: Path, name: str):
    _make(_content()).close()
    file = _segments(place)[0] / name
    file.unlink()
    os.mkfifo(file)
    assert len(list_entries(place)) == 1
    assert _missing(_content()) == 2


def test_a_foreign_record_cannot_have_anything_else_removed(place: Path):
    """A segment names those that it replaces; only ones of the same content are removed."""
    _make(_content("other")).close()
    other = _record(place, "other").parent
    _make(_content()).close()
    record = _record(place, "a")
    values = json.loads(record.read_text())
    del values["crc32"]
    record.write_text(json.dumps({**values, "replaces": [other.name, "../..", ""]}))
    assert _missing(_content()) == 0
    assert other.exists()
