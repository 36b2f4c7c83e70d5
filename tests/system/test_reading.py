"""A file that a library cannot read is one error, which names the file."""

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tfft.errors import DataError, TfftError
from tfft.system.damage import reading
from tfft.system.files import read_arrays, read_json


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("no header\nat all"), ": no header."),
        (zipfile.BadZipFile("Bad CRC-32"), ": Bad CRC-32."),
        (OSError("signature not found"), ": signature not found."),
        (KeyError("vars"), "."),
        (ValueError("not opened:\n- as gz: no\n- as xz: no"), ": not opened."),
        (RecursionError("too deep"), "."),
        (AttributeError("'NoneType' object has no attribute 'shape'"), "."),
        (MemoryError(), "."),
    ],
)
def test_whatever_a_library_raises_names_the_file_and_what_to_do(error, said):
    kind = {"advice": "Make it again.", "error": DataError}
    with pytest.raises(DataError) as raised, reading("a.npz", "a file of arrays", **kind):
        raise error
    assert str(raised.value) == (
        f"a.npz is damaged, or is not a file of arrays{said} Make it again."
    )


def test_a_file_that_cannot_be_opened_is_not_called_damaged(tmp_path: Path):
    with pytest.raises(TfftError, match=r"^cannot read .*/none.json: No such file or directory$"):
        read_json(tmp_path / "none.json")
    with pytest.raises(TfftError, match=r"^cannot read .*: Is a directory$"):
        read_json(tmp_path)


def test_an_error_that_says_what_is_wrong_stays_as_it_is():
    with pytest.raises(DataError, match=r"^clear$"), reading("a", "a file"):
        raise DataError("clear")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"\xff{}",
        b"[" * 100_000,
        b'{"a": ' * 100_000,
        b"1" * 5_000,
        b"1" * 31,
        b"NaN",
        b"[-Infinity]",
        b"1e999",
        rb'"\ud800"',
    ],
)
def test_what_is_no_ordinary_json_is_one_short_message(text: bytes, tmp_path: Path):
    file = tmp_path / "file.json"
    file.write_bytes(text)
    with pytest.raises(TfftError, match=r"file.json is damaged, or is not a JSON file") as raised:
        read_json(file)
    assert len(str(raised.value)) < len(str(file)) + 250


def test_ordinary_json_is_read_as_it_is(tmp_path: Path):
    file = tmp_path / "file.json"
    file.write_text('{"a": [1, -2.5, 1e3, true, null, "\\u00fc\\ud83d\\ude00ü"]}', encoding="utf-8")
    assert read_json(file) == {"a": [1, -2.5, 1000.0, True, None, "ü😀ü"]}


def test_an_array_with_one_bit_changed_is_not_read(tmp_path: Path):
    file = tmp_path / "file.npz"
    np.savez(file, numbers=np.arange(100.0))
    content = bytearray(file.read_bytes())
    content[content.index(np.float64(50.0).tobytes())] ^= 1
    file.write_bytes(content)
    with pytest.raises(TfftError, match=r"file.npz is damaged"):
        read_arrays(file)


def test_arrays_that_are_compressed_are_not_read(tmp_path: Path):
    """They are written uncompressed; others could become far larger than their file."""
    np.savez_compressed(tmp_path / "file.npz", zeros=np.zeros(1_000_000))
    with pytest.raises(TfftError, match=r"file.npz is damaged, .*: it is compressed"):
        read_arrays(tmp_path / "file.npz")


def test_a_pipe_in_place_of_a_file_is_named_and_keeps_nobody_waiting(tmp_path: Path):
    os.mkfifo(tmp_path / "file.json")
    with pytest.raises(TfftError, match=r"^cannot read .*/file.json: a named pipe, not a file$"):
        read_json(tmp_path / "file.json")
    with pytest.raises(TfftError, match=r"/dev/zero: a device, not a file$"):
        read_json(Path("/dev/zero"))


def test_a_pipe_that_the_shell_made_is_read(tmp_path: Path):
    reader, writer = os.pipe()
    os.write(writer, b"[1]")
    os.close(writer)
    assert read_json(Path(f"/dev/fd/{reader}")) == [1]
    os.close(reader)
