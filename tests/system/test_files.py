"""Directories that are whole or absent, also when a process is killed while it fills one."""

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tfft.errors import TfftError
from tfft.system.files import atomic_directory, lock_or_none, remove_abandoned

_FILLING = """
import sys, time
from pathlib import Path
from tfft.system.files import atomic_directory
with atomic_directory(Path(sys.argv[1])) as directory:
    (directory / "half").write_text("written")
    print("filling", flush=True)
    sys.stdin.read()
"""


def _filling(path: Path) -> subprocess.Popen:
    command = [sys.executable, "-c", _FILLING, str(path)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"filling\n"
    return process


def _end(process: subprocess.Popen) -> int:
    with process:
        pass  # closes its input and waits
    return process.returncode


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path: Path):
    killed = _filling(tmp_path / "1")
    killed.send_signal(signal.SIGKILL)
    assert _end(killed) == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".1.tfft-")
    with atomic_directory(tmp_path / "1") as directory:
        assert list(tmp_path.iterdir()) == [directory]
        (directory / "file").touch()
    assert [path.name for path in tmp_path.rglob("*")] == ["1", "file"]


def test_what_another_process_is_filling_stays(tmp_path: Path):
    other = _filling(tmp_path / "1")
    with pytest.raises(KeyError), atomic_directory(tmp_path / "1"):
        raise KeyError
    assert _end(other) == 0
    assert (tmp_path / "1" / "half").read_text() == "written"


def test_a_file_that_cannot_be_read_is_not_taken_for_what_is_written(tmp_path: Path):
    missing = tmp_path / "photos" / "a.jpg"
    said = pytest.raises(TfftError, match=f"cannot open {missing}: No such file")
    with said, atomic_directory(tmp_path / "models" / "1"):
        missing.read_bytes()
    assert list((tmp_path / "models").iterdir()) == []


def test_a_directory_of_a_like_name_stays(tmp_path: Path):
    kept = {tmp_path / ".1.kept", tmp_path / ".10.tfft-kept"}
    for directory in kept:
        directory.mkdir()
    with atomic_directory(tmp_path / "1"):
        pass
    assert set(tmp_path.iterdir()) == {*kept, tmp_path / "1"}


def test_a_directory_is_never_replaced(tmp_path: Path):
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "old").touch()
    with pytest.raises(TfftError, match="exists already"), atomic_directory(tmp_path / "1"):
        pass
    assert [path.name for path in tmp_path.rglob("*")] == ["1", "old"]


def test_what_cannot_be_removed_is_not_left_locked(tmp_path, monkeypatch):
    left = tmp_path / ".model.keras.tfft-abandoned"
    left.touch()

    def refused(path, missing_ok=False):
        raise PermissionError

    monkeypatch.setattr(Path, "unlink", refused)
    remove_abandoned(tmp_path)
    lock = lock_or_none(left, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert lock is not None
    os.close(lock)
