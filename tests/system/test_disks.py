"""A full disk, also one that a library meets on its own, is one message."""

import errno
import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from tfft.errors import TfftError
from tfft.system import disks
from tfft.system.disks import full_disk, require_temporary_room
from tfft.system.files import explained_os_errors, write_text

_NO_SPACE = os.strerror(errno.ENOSPC)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, _NO_SPACE),
        OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)),
        OSError(f"Can't write data (file write failed: errno = 28, error message = '{_NO_SPACE}')"),
        RuntimeError(f"models/1/variables.data; {_NO_SPACE} [Op:MergeV2Checkpoints]"),
        sqlite3.OperationalError("database or disk is full"),
    ],
    ids=["system", "quota", "HDF5", "TensorFlow", "SQLite"],
)
def test_however_a_library_tells_of_it(error: Exception, tmp_path: Path):
    said = rf"^the disk is full: cannot write {tmp_path}/1\. Free some space and run again\.$"
    with pytest.raises(TfftError, match=said), explained_os_errors(tmp_path / "1"):
        raise error


def test_what_tells_of_something_else_stays_what_it_is(tmp_path: Path):
    with pytest.raises(ZeroDivisionError), explained_os_errors(tmp_path):
        raise ZeroDivisionError
    with pytest.raises(TfftError, match=r"^refused$"), explained_os_errors(tmp_path):
        raise TfftError("refused")
    assert full_disk(ZeroDivisionError()) == ""
    assert full_disk(PermissionError(errno.EACCES, "")) == ""


def test_the_temporary_directory_is_named_where_it_is_what_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    temporary = Path(disks.tempfile.gettempdir())
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(
        shutil, "disk_usage", lambda p: usage._replace(free=0 if p == temporary else 10**9)
    )
    said = pytest.raises(TfftError, match=f"temporary directory {temporary} is full.*TMPDIR")
    with said, explained_os_errors(tmp_path / "1"):
        raise OSError(errno.ENOSPC, _NO_SPACE)
    with pytest.raises(TfftError, match=r"too full: 5\.0 MB are needed.*TMPDIR"):
        require_temporary_room(5_000_000)


def test_a_file_larger_than_allowed_is_not_written_and_the_one_before_it_stays(tmp_path: Path):
    resource = pytest.importorskip("resource")
    write_text(tmp_path / "file", "before")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(TfftError, match=r"cannot write .*file: File too large"):
            write_text(tmp_path / "file", "x" * 2000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["before"]


def test_a_disk_that_can_only_be_read_is_not_a_matter_of_permissions(tmp_path: Path):
    said = r"nothing can be written on its disk\. Choose another place\.$"
    with pytest.raises(TfftError, match=said), explained_os_errors(tmp_path / "1"):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))
