"""A store of tensors that are whole or absent, used by several processes at once."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from tfft.cache.room import list_entries, remove_entries
from tfft.cache.store import Content, Entry, make_entry, open_entry, try_entry
from tfft.cache.tensors import TensorWriter
from tfft.errors import TfftError, TfftWarning
from tfft.system.files import cache_directory

ROOT = Path(__file__).resolve().parents[2]
_ROOMY = 1e9


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TFFT_CACHE_DIR", str(tmp_path))
    return cache_directory("activations")


def _content(weights: str = "a", dtype: str = "float32") -> Content:
    return Content({"weights": weights}, {"what": weights}, [(2, 3), (2,)], dtype)


def _fill(writers: Sequence[TensorWriter]) -> None:
    for row in range(2):
        writers[0].append(np.arange(3 * row, 3 * row + 3).reshape(1, 3))
    writers[1].append(np.array([7.0, 8.0]))


def _make(content: Content, max_bytes: float = _ROOMY) -> Entry:
    return make_entry(content, _fill, max_bytes=max_bytes)


def _never(writers: Sequence[TensorWriter]) -> None:
    raise AssertionError("it was there already")


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_what_was_written_is_read_in_any_order(dtype: str):
    _make(_content(dtype=dtype)).close()
    entry = make_entry(_content(dtype=dtype), _never, max_bytes=_ROOMY)
    first, second = entry.tensors
    assert first.dtype == dtype
    np.testing.assert_array_equal(first[:], [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(first[np.array([1, 0, 1])], [[3, 4, 5], [0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(second[1:9], [8])
    entry.close()


def test_another_identity_or_another_type_of_numbers_is_another_entry():
    _make(_content()).close()
    assert open_entry(_content("b")) is None
    assert open_entry(_content(dtype="float16")) is None


def test_numbers_too_large_for_float16_are_refused():
    def fill(writers: Sequence[TensorWriter]) -> None:
        writers[0].append(np.full((2, 3), 1e5))

    with pytest.raises(TfftError, match=r"float16.*float32"):
        make_entry(_content(dtype="float16"), fill, max_bytes=_ROOMY)


def test_a_damaged_entry_counts_as_absent_and_can_be_made_again(place: Path):
    _make(_content()).close()
    file = place / _content().key / "0.npy"
    content = bytearray(file.read_bytes())
    content[-1] ^= 0xFF
    file.write_bytes(content)
    assert open_entry(_content()) is None
    entry = _make(_content())
    assert entry.tensors[0][1:2][0, 2] == 5
    entry.close()


@pytest.mark.parametrize("damage", ["truncate", "remove", "description", "no description"])
def test_an_incomplete_entry_counts_as_absent(place: Path, damage: str):
    _make(_content()).close()
    directory = place / _content().key
    if damage == "truncate":
        os.truncate(directory / "1.npy", 130)
    elif damage == "remove":
        (directory / "0.npy").unlink()
    elif damage == "description":
        (directory / "entry.json").write_text("{")
    else:
        (directory / "entry.json").unlink()
    assert open_entry(_content()) is None
    _make(_content()).close()


def test_a_file_that_is_cut_off_while_it_is_read_is_an_error(place: Path):
    entry = _make(_content())
    os.truncate(place / _content().key / "0.npy", 130)
    with pytest.raises(OSError, match="cut off"):
        entry.tensors[0][:]
    entry.close()


def test_an_interrupted_entry_leaves_nothing(place: Path):
    def interrupted(writers: Sequence[TensorWriter]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_entry(_content(), interrupted, max_bytes=_ROOMY)
    assert list(place.iterdir()) == []


def test_rows_that_are_missing_are_no_entry(place: Path):
    with pytest.raises(TfftError, match="not every image"):
        make_entry(_content(), lambda writers: None, max_bytes=_ROOMY)
    assert list(place.iterdir()) == []


def test_what_was_not_used_for_longest_makes_room(place: Path):
    for age, name in enumerate("abc"):
        _make(_content(name)).close()
        os.utime(place / _content(name).key / "entry.json", (time.time() - 90 + age,) * 2)
    entry = open_entry(_content("a"))  # used again: b is the oldest now
    assert entry is not None
    entry.close()
    size = list_entries(place)[0].bytes
    _make(_content("d"), max_bytes=3 * size).close()
    assert {entry.about["what"] for entry in list_entries(place)} == {"a", "c", "d"}


def test_entries_in_use_stay_and_a_bound_that_they_fill_is_one_clear_error(place: Path):
    used = _make(_content("a"))
    size = list_entries(place)[0].bytes
    with pytest.raises(TfftError, match=r"cache is too small.*in use.*"):
        _make(_content("b"), max_bytes=size + 1)
    assert remove_entries(place, max_bytes=0) == []
    assert [entry.in_use for entry in list_entries(place)] == [True]
    used.close()
    _make(_content("b"), max_bytes=size + 1).close()
    assert [entry.about["what"] for entry in list_entries(place)] == ["b"]


def test_a_bound_smaller_than_the_entry_is_one_clear_error():
    with pytest.raises(TfftError, match=r"max_gb"):
        _make(_content(), max_bytes=10)


def test_where_the_cache_cannot_be_written_an_entry_is_made_elsewhere(tmp_path: Path):
    shutil.rmtree(tmp_path)
    tmp_path.write_text("not a directory")
    with pytest.warns(TfftWarning, match="Set TFFT_CACHE_DIR"):
        entry = _make(_content())
    assert len(entry.tensors) == len(_content().shapes)
    entry.close()
    tmp_path.unlink()


def test_entries_that_are_made_at_once_share_the_bound():
    def fill(writers: Sequence[TensorWriter]) -> None:
        with pytest.raises(TfftError, match="cache is too small"):
            _make(_content("b"), max_bytes=50)
        _fill(writers)

    make_entry(_content("a"), fill, max_bytes=50).close()


# A process that makes the entry row by row, a byte of stdout for each, and says what it reads then.
_MAKER = """
import sys, time
import numpy as np
from tfft.cache.store import Content, make_entry

def fill(writers):
    for row in range(int(sys.argv[1])):
        writers[0].append(np.full((1, 50_000), row))
        print(f"row {row}", flush=True)
        time.sleep(float(sys.argv[2]))

content = Content({"of": "processes"}, {}, [(int(sys.argv[1]), 50_000)])
entry = make_entry(content, fill, max_bytes=1e9)
print("sum", int(entry.tensors[0][:].sum()), flush=True)
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
    process = _maker(20, 0.1)
    assert process.stdout is not None
    assert process.stdout.readline() == "row 0\n"
    yield process
    process.kill()
    process.communicate()


_SUM = f"sum {sum(range(20)) * 50_000}"


def test_of_two_processes_one_makes_the_entry_and_the_other_waits_for_it(
    half_way: subprocess.Popen, place: Path
):
    second, _ = _maker(20, 0).communicate(timeout=60)
    first, _ = half_way.communicate(timeout=60)
    assert first.splitlines()[-1] == _SUM
    assert second.splitlines() == [_SUM]
    assert len(list(place.iterdir())) == 1


def test_an_entry_that_is_only_wanted_along_the_way_is_left_to_the_process_that_makes_it(
    half_way: subprocess.Popen,
):
    half_made = Content({"of": "processes"}, {}, [(20, 50_000)])
    assert try_entry(half_made, _never, max_bytes=_ROOMY) is None
    half_way.communicate(timeout=60)
    entry = try_entry(half_made, _never, max_bytes=_ROOMY)
    assert entry is not None
    entry.close()


def test_what_a_killed_process_left_is_removed_and_made_again(
    half_way: subprocess.Popen, place: Path
):
    waiting = _maker(20, 0)
    time.sleep(0.5)
    half_way.send_signal(signal.SIGKILL)
    half_way.wait()
    after, _ = waiting.communicate(timeout=60)
    assert after.splitlines() == [*(f"row {row}" for row in range(20)), _SUM]
    assert len(list(place.iterdir())) == 1


def test_what_killed_processes_left_makes_room_for_other_entries(
    half_way: subprocess.Popen, place: Path
):
    half_way.send_signal(signal.SIGKILL)
    half_way.wait()
    assert [path.name[0] for path in place.iterdir()] == ["."]
    _make(_content()).close()
    assert [path.name for path in place.iterdir()] == [_content().key]


def test_a_full_disk_is_one_clear_error_and_leaves_nothing(tmp_path: Path):
    disk = tmp_path / "disk"
    disk.mkdir()
    # Other files take the room that the disk had when the entry was begun.
    other = f"os.system('head -c 1500000 /dev/zero >> {disk}/other 2> {tmp_path}/full')"
    program = _MAKER.replace("time.sleep(float(sys.argv[2]))", other).replace("sys,", "os, sys,")
    assert other in program
    (tmp_path / "maker.py").write_text(program)
    script = (
        f"mount -t tmpfs -o size=3m tmpfs {disk} || exit; cd {disk}; mkdir activations; "
        f"TFFT_CACHE_DIR={disk} {sys.executable} {tmp_path}/maker.py 5 0; ls -A activations"
    )
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    if not done.stdout:
        pytest.skip(f"a small file system cannot be mounted here: {done.stderr}")
    assert done.stderr.splitlines()[-1].startswith("tfft.errors.TfftError: the disk is full")
    assert all(line.startswith("row") for line in done.stdout.splitlines())


def test_a_damaged_entry_that_cannot_be_removed_is_one_clear_error(
    place: Path, monkeypatch: pytest.MonkeyPatch
):
    _make(_content()).close()
    (place / _content().key / "entry.json").write_text("{")

    def refused(self: Path, target: Path) -> Path:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    monkeypatch.setattr(Path, "rename", refused)
    with pytest.raises(TfftError, match=r"damaged and cannot be removed: .* or set TFFT_CACHE_DIR"):
        _make(_content())


@pytest.mark.parametrize("shapes", [[(2, 3), (2, 1)], [(1, 3), (2,)], [(2, 3)], [(3, 2), (2,)]])
def test_an_entry_of_other_tensors_than_were_asked_for_counts_as_absent(shapes):
    """Its name is that of what is asked for: someone else wrote it."""
    _make(_content()).close()
    assert open_entry(Content(_content().identity, {}, shapes)) is None


def test_an_entry_of_another_type_of_numbers_counts_as_absent(place: Path):
    _make(_content()).close()
    asked = _content(dtype="float16")
    (place / _content().key).rename(place / asked.key)
    assert open_entry(asked) is None


@pytest.mark.parametrize("kind", ["named in the record", "linked", "the entry is a link"])
def test_nothing_outside_of_an_entry_is_read(place: Path, tmp_path: Path, kind: str):
    _make(_content()).close()
    entry, elsewhere = place / _content().key, tmp_path / "elsewhere"
    if kind == "the entry is a link":
        entry.rename(elsewhere)
        entry.symlink_to(elsewhere)
    else:
        (entry / "0.npy").rename(elsewhere)
        record = json.loads((entry / "entry.json").read_text())
        del record["crc32"]
        record["tensors"][0]["file"] = str(elsewhere)
        (entry / "entry.json").write_text(json.dumps(record))
        if kind == "linked":
            (entry / "0.npy").symlink_to(elsewhere)
    assert open_entry(_content()) is None
    assert elsewhere.exists()
    assert not entry.exists()


def test_a_pipe_in_place_of_a_record_is_not_waited_for(place: Path):
    _make(_content()).close()
    record = place / _content().key / "entry.json"
    record.unlink()
    os.mkfifo(record)
    assert list_entries(place)[0].about == {}
    assert open_entry(_content()) is None
