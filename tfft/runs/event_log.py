"""The log that TensorBoard reads, written without TensorFlow: scalars by step.

An event file is a row of records (length, checksum, data, checksum), and the data of each are an
``Event`` of Protocol Buffers. Neither the `tensorboard` package, which nothing else needs, nor
TensorFlow, which takes seconds to start, has to be imported for that.

Source: `tensorflow/core/lib/io/record_writer.h`, `tensorflow/core/util/event.proto` and
`tensorflow/core/framework/summary.proto` of TensorFlow 2.21.
"""

import os
import socket
import struct
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from itertools import count
from pathlib import Path

from tfft.system.files import explained_os_errors

# Types of fields on the wire.
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_CASTAGNOLI = 0x82F63B78
_NUMBERS = count()


class EventLog:
    """Appends scalars to an event file in a directory, which it makes.

    Args:
        directory: Directory of the log; a process that goes on with it adds a file of its own.

    Raises:
        TfftError: The file cannot be written.
    """

    def __init__(self, directory: Path) -> None:
        now, host = time.time(), socket.gethostname()
        name = f"events.out.tfevents.{int(now):010d}.{host}.{os.getpid()}.{next(_NUMBERS)}.v2"
        self._file = directory / name
        with explained_os_errors(directory):
            directory.mkdir(parents=True, exist_ok=True)
            self._stream = self._file.open("ab")
        self._append(_double(1, now) + _bytes(3, b"brain.Event:2"))

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Writes the values of a step by their names, float32 each.

        Raises:
            TfftError: The file cannot be written.
        """
        found = (_bytes(1, name.encode()) + _float(2, value) for name, value in values.items())
        summary = b"".join(_bytes(1, value) for value in found)
        self._append(_double(1, time.time()) + _integer(2, step) + _bytes(5, summary))

    def close(self) -> None:
        """Closes the file; that it could not be written was said when a step was."""
        with suppress(OSError):
            self._stream.close()

    def _append(self, event: bytes) -> None:
        length = struct.pack("<Q", len(event))
        with explained_os_errors(self._file):
            self._stream.write(length + _masked_crc32c(length) + event + _masked_crc32c(event))
            self._stream.flush()


def _double(field: int, value: float) -> bytes:
    return _varint(field << 3 | _FIXED64) + struct.pack("<d", value)


def _float(field: int, value: float) -> bytes:
    return _varint(field << 3 | _FIXED32) + struct.pack("<f", value)


def _integer(field: int, value: int) -> bytes:
    return _varint(field << 3 | _VARINT) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | _BYTES) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    digits = bytearray()
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*digits, value])


def _masked_crc32c(data: bytes) -> bytes:
    table, crc = _crc_table(), 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


@cache
def _crc_table() -> tuple[int, ...]:
    """CRC-32C of each byte."""
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (_CASTAGNOLI if byte & 1 else 0)  # noqa: PLW2901
        table.append(byte)
    return tuple(table)
