"""Where examples lie in TFRecord files, so that images can be read without a copy of the set.

A record is its length (8 bytes, little-endian), a checksum of the length (4), the content and a
checksum of the content (4). Source: TensorFlow, "TFRecord and tf.train.Example".
"""

import mmap
import struct
from pathlib import Path

from tfft.errors import DataError

_HEADER = 12
_FOOTER = 4


class RecordFile:
    """A TFRecord file in which the place of an image's bytes can be looked up."""

    def __init__(self, path: Path) -> None:
        """Opens the file and finds where its records begin.

        Raises:
            DataError: The file is empty or ends within a record.
        """
        self._path = path
        with path.open("rb") as file:
            if not path.stat().st_size:
                raise DataError(f"{path} is empty: prepare the set again")
            self._content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._records: list[tuple[int, int]] = []
        position = 0
        while position < len(self._content):
            header = self._content[position : position + 8]
            length = struct.unpack("<Q", header)[0] if len(header) == 8 else len(self._content)
            start = position + _HEADER
            position = start + length + _FOOTER
            if position > len(self._content):
                raise DataError(f"{path} ends within a record: prepare the set again")
            self._records.append((start, start + length))

    def offset_of(self, encoded: bytes, record: int) -> int:
        """Returns where in the file `encoded` begins.

        Args:
            encoded: Bytes to look for.
            record: Number of the record that they lie in, counted from 0.

        Raises:
            DataError: They do not lie in that record.
        """
        if record >= len(self._records):
            raise DataError(f"{self._path} has lost records: prepare the set again")
        found = self._content.find(encoded, *self._records[record])
        if found < 0:
            raise DataError(f"{self._path} changed while it was read: run again")
        return found

    def close(self) -> None:
        """Closes the file."""
        self._content.close()
