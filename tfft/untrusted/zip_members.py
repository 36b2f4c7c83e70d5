"""Members of a stranger's zip archive, which become no larger than the archive says.

`zipfile` compares the size that is announced only with what it has unpacked already: a kilobyte may
take gigabytes of memory before it is refused.
"""

import io
import zipfile
import zlib
from typing import Any

_LOCAL_HEADER_BYTES = 30
_ENCRYPTED = 0x1
_PIECE_BYTES = 1 << 20
# Others unpack what they are given in one go, however much it becomes.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def check_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """Checks that a member is as long as it says, in little memory.

    Raises:
        ValueError: It is not, or is encrypted or compressed otherwise than by deflate.
        zlib.error: It is damaged.
    """
    if member.compress_type not in _METHODS or member.flag_bits & _ENCRYPTED:
        raise ValueError(f"{member.filename} in it is compressed in an unusual way, or encrypted")
    length = member.compress_size
    if member.compress_type == zipfile.ZIP_DEFLATED:
        length = _unpacked_length(raw_member(archive, member), member.file_size)
    if length != member.file_size:
        raise ValueError(f"{member.filename} in it is not as long as it says")


def raw_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> "Part":
    """Returns the bytes of a member as they lie in the archive, which must be an open file."""
    file: Any = archive.fp
    archive.open(member).close()  # compares the two headers of the member
    file.seek(member.header_offset)
    header = file.read(_LOCAL_HEADER_BYTES)
    lengths = int.from_bytes(header[26:28], "little"), int.from_bytes(header[28:30], "little")
    start = member.header_offset + _LOCAL_HEADER_BYTES + sum(lengths)
    return Part(file, start, member.compress_size)


def _unpacked_length(raw: "Part", most: int) -> int:
    """Returns how long deflated bytes become; a number above `most` if that is more than `most`."""
    unpacker, length = zlib.decompressobj(-zlib.MAX_WBITS), 0
    while not unpacker.eof and length <= most:
        packed = unpacker.unconsumed_tail or raw.read(_PIECE_BYTES)
        unpacked = unpacker.decompress(packed, _PIECE_BYTES)
        if not packed and not unpacked:
            break
        length += len(unpacked)
    return length


class Part(io.RawIOBase):
    """A part of a file, as a file of its own that can only be read.

    Args:
        file: The file.
        start: Place of the part's first byte.
        length: Number of its bytes.
    """

    def __init__(self, file: Any, start: int, length: int) -> None:
        super().__init__()
        self._file, self._start, self._length, self._place = file, start, length, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._length}[whence]
        self._place = origin + offset
        return self._place

    def tell(self) -> int:
        return self._place

    def readinto(self, buffer: Any) -> int:
        wanted = max(min(len(buffer), self._length - self._place), 0)
        self._file.seek(self._start + self._place)
        content = self._file.read(wanted)
        buffer[: len(content)] = content
        self._place += len(content)
        return len(content)
