"""Versions that are exported at once have numbers of their own."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from tfft.errors import TfftError, TfftWarning
from tfft.exports import export as exporting
from tfft.exports import versions
from tfft.exports.versions import claimed_version


def test_exports_at_the_same_time_claim_versions_of_their_own(tmp_path: Path):
    with ExitStack() as stack:
        claims = [stack.enter_context(claimed_version(tmp_path, [tmp_path])) for _ in range(3)]
        assert claims == [1, 2, 3]
        (tmp_path / "2").mkdir()
    assert [path.name for path in tmp_path.iterdir()] == ["2"]
    with claimed_version(tmp_path, [tmp_path]) as number:
        assert number == 3


def test_a_version_that_was_written_since_they_were_listed_is_not_claimed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "1").mkdir()
    monkeypatch.setattr(versions, "next_version", lambda _: 1)
    with claimed_version(tmp_path, [tmp_path]) as number:
        assert number == 2


def test_what_killed_exports_left_goes_whatever_its_version(tmp_path: Path):
    for left in (".3.tfft-claim", ".4.tfft-x/variables"):
        (tmp_path / left).mkdir(parents=True)
    with claimed_version(tmp_path, [tmp_path]) as number:
        assert number == 1
        assert [path.name for path in tmp_path.iterdir()] == [".1.tfft-claim"]


def test_an_export_that_fails_leaves_no_directory(tmp_path: Path):
    with pytest.raises(TfftError), claimed_version(tmp_path / "name", [tmp_path / "name"]):
        raise TfftError("refused")
    assert list(tmp_path.iterdir()) == []


def test_an_export_of_a_run_that_can_only_be_read_stays_and_it_is_said(
    small_keras, small_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def refuse(*_, **__):
        raise TfftError("no permission to write run.json")

    monkeypatch.setattr(exporting, "record_export", refuse)
    files = {"float32": tmp_path / "tflite" / "1" / "colours_float32.tflite"}
    with pytest.warns(
        TfftWarning, match=r"tflite: in place, but not recorded in the run\. no permission"
    ):
        exporting._note(small_run, tmp_path, "1", small_keras.info, files)
    assert (tmp_path / "local" / "1.json").is_file()
