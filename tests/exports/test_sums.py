"""The sums of an export: what `sha256sum` reads, and what damage they show."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tfft.errors import TfftError
from tfft.exports.sums import FILE_NAME, computed_sums, recorded_sums, whole_sums, write_sums


@pytest.fixture
def whole(tmp_path) -> Path:
    (tmp_path / "variables").mkdir()
    (tmp_path / "saved_model.pb").write_bytes(bytes(8192))
    (tmp_path / "variables" / "größe").write_bytes(b"1")
    write_sums(tmp_path)
    return tmp_path


@pytest.mark.parametrize("form", ["savedmodel", "tflite"])
def test_sha256sum_reads_those_of_every_form_of_an_export(exported, form):
    directory = exported.savedmodel if form == "savedmodel" else exported.tflite["float32"].parent
    listed = recorded_sums(directory)
    assert listed is not None and set(listed) == set(computed_sums(directory))
    if program := shutil.which("sha256sum"):
        command = [program, "--check", "--strict", "--quiet", FILE_NAME]
        assert subprocess.run(command, cwd=directory, check=False).returncode == 0


def test_what_is_whole_passes_and_without_sums_is_taken_as_it_is(whole):
    sums = whole_sums(whole)
    assert list(sums) == ["saved_model.pb", "variables/größe"]
    (whole / FILE_NAME).unlink()
    assert recorded_sums(whole) is None
    assert whole_sums(whole) == sums


def test_four_kilobytes_overwritten_are_named(whole):
    with (whole / "saved_model.pb").open("r+b") as stream:
        stream.write(b"x" * 4096)
    with pytest.raises(TfftError, match=r"saved_model\.pb has not the SHA-256 that .* damaged"):
        whole_sums(whole)


def test_a_missing_file_is_named(whole):
    (whole / "variables" / "größe").unlink()
    with pytest.raises(TfftError, match="has no variables/größe, which is in its SHA256SUMS"):
        whole_sums(whole)


def test_a_list_that_lost_its_end_is_not_taken_for_whole(whole):
    lines = (whole / FILE_NAME).read_text().splitlines(keepends=True)
    (whole / FILE_NAME).write_text("".join(lines[:-1]))
    with pytest.raises(TfftError, match="größe is not in SHA256SUMS: the list was cut off, or"):
        whole_sums(whole)
    for content in ("", "".join(lines)[:-20], "junk\n"):
        (whole / FILE_NAME).write_text(content)
        with pytest.raises(TfftError, match="SHA256SUMS"):
            whole_sums(whole)
