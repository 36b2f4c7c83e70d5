"""Where the cache cannot be written, the work goes on without, and says once what to set."""

import errno
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import pytest

from tfft.errors import TfftError, TfftWarning
from tfft.system import caches
from tfft.system.caches import cache_place, optional_write
from tfft.system.paths import expanded


@pytest.fixture
def closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that nobody can write to: a file is in its way."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("TFFT_CACHE_DIR", str(tmp_path / "file" / "cache"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(caches, "_OWN", {})
    return tmp_path


def test_a_cache_that_can_be_written_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TFFT_CACHE_DIR", str(tmp_path / "cache"))
    assert cache_place("hub", "a") == tmp_path / "cache" / "hub" / "a"
    assert cache_place("hub") == tmp_path / "cache" / "hub"


def test_one_that_cannot_be_written_is_made_up_for_and_named_once_with_what_to_set(closed: Path):
    said = rf"cache {closed}/file/cache cannot be written to: .* Set TFFT_CACHE_DIR to"
    with pytest.warns(TfftWarning, match=said):
        place = cache_place("hub", "a")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert cache_place("scans").parent == place.parents[1]
    assert place.parents[2] == closed
    assert oct(place.parents[1].stat().st_mode)[-3:] == "700"


def test_what_is_in_a_cache_that_can_only_be_read_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "cache" / "hub" / "a").mkdir(parents=True)
    monkeypatch.setenv("TFFT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert cache_place("hub", "a") == tmp_path / "cache" / "hub" / "a"
    with pytest.warns(TfftWarning):
        assert not cache_place("hub", "b").is_relative_to(tmp_path)


def test_a_cache_in_a_folder_that_may_not_be_entered_is_made_up_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    stat = os.stat

    def refused(path, *others, **options):
        if str(path).startswith(str(tmp_path / "cache")):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return stat(path, *others, **options)

    monkeypatch.setenv("TFFT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(caches, "_OWN", {})
    monkeypatch.setattr(os, "stat", refused)
    with pytest.warns(TfftWarning, match="cannot be written to"):
        assert not cache_place("hub", "b").is_relative_to(tmp_path)


def test_without_a_temporary_directory_either_it_is_said_too(
    closed: Path, monkeypatch: pytest.MonkeyPatch
):
    def refuse(*_, **__):
        raise FileNotFoundError("No usable temporary directory")

    monkeypatch.setattr(tempfile, "gettempdir", refuse)
    with pytest.warns(TfftWarning, match=r"no temporary directory\. Set TFFT_CACHE_DIR"):
        assert cache_place("hub", "a") == closed / "file" / "cache" / "hub" / "a"


def test_what_cannot_be_kept_for_the_next_time_ends_nothing():
    with pytest.warns(TfftWarning, match=r"the disk is full\. The work goes on"), optional_write():
        raise TfftError("the disk is full.")


def test_a_made_up_cache_ends_with_its_process_and_one_of_a_killed_process_with_the_next(
    closed: Path,
):
    left = closed / f"tfft-cache-{os.getuid()}.tfft-killed"
    (left / "scans").mkdir(parents=True)
    code = "from tfft.system.caches import cache_place; p = cache_place('hub'); p.mkdir(); print(p)"
    environment = {**os.environ, "TMPDIR": str(closed)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True
    )
    assert Path(done.stdout.strip()).is_relative_to(closed)
    assert [path.name for path in closed.iterdir()] == ["file"]


def test_the_home_directory_is_meant_by_a_tilde_wherever_it_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TFFT_CACHE_DIR", "~/cache")
    assert cache_place("hub") == tmp_path / "cache" / "hub"
    assert expanded("~/photos") == tmp_path / "photos"
    assert expanded("~nobody-of-this-name/photos") == Path("~nobody-of-this-name/photos")
