"""Weights files as a stranger could write them, made by changing one array of a sound file."""

import io
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

# Far more than small files need, far less than what they announce.
MOST_BYTES = 48 << 20
HUGE = (200_000, 200_000)

Fault = Callable[[h5py.File, str], None]


def _replace(file: h5py.File, place: str, **options) -> h5py.Dataset:
    old = file[place]
    described = {"shape": old.shape, "dtype": old.dtype, **options}
    del file[place]
    return file.create_dataset(place, **described)


def in_another_file(file: h5py.File, place: str) -> None:
    size = file[place].size * file[place].dtype.itemsize
    _replace(file, place, external=[("/etc/passwd", 0, size)])


def in_endless_other_file(file: h5py.File, place: str) -> None:
    _replace(file, place, external=[("/dev/zero", 0, h5py.h5f.UNLIMITED)])


def put_together_from_others(file: h5py.File, place: str) -> None:
    shape, dtype = file[place].shape, file[place].dtype
    layout = h5py.VirtualLayout(shape=shape, dtype=dtype)
    layout[...] = h5py.VirtualSource("/tmp/other.h5", "secret", shape=shape)
    del file[place]
    file.create_virtual_dataset(place, layout)


def link_to_another_file(file: h5py.File, place: str) -> None:
    del file[place]
    file[place] = h5py.ExternalLink("/tmp/other.h5", "/secret")


def link_of_its_group(file: h5py.File, place: str) -> None:
    group = place.rpartition("/")[0]
    del file[group]
    file[group] = h5py.ExternalLink("/tmp/other.h5", "/secret")


def link_within(file: h5py.File, place: str) -> None:
    file.move(place, f"{place}_moved")
    file[place] = h5py.SoftLink(f"/{place}_moved")


def announcing_more_than_memory(file: h5py.File, place: str) -> None:
    _replace(file, place, shape=HUGE)


def announcing_it_compressed(file: h5py.File, place: str) -> None:
    _replace(file, place, shape=HUGE, chunks=(1000, 1000), compression="gzip")


def in_a_chunk_larger_than_memory(file: h5py.File, place: str) -> None:
    """HDF5 unpacks the whole chunk for the few values that there are."""
    chunks = (*file[place].shape[:-1], 1 << 24)
    _replace(file, place, maxshape=(None,) * len(chunks), chunks=chunks, compression="gzip")


def _filled(value: float) -> Fault:
    def fault(file: h5py.File, place: str) -> None:
        values: Any = file[place]
        values[...] = value

    return fault


not_a_number, infinite = _filled(np.nan), _filled(-np.inf)


def too_large(file: h5py.File, place: str) -> None:
    _replace(file, place, dtype="f8")[...] = 1e300


def complex_numbers(file: h5py.File, place: str) -> None:
    _replace(file, place, dtype="c8")


def whole_numbers(file: h5py.File, place: str) -> None:
    _replace(file, place, dtype="i4")


def texts(file: h5py.File, place: str) -> None:
    _replace(file, place, dtype=h5py.string_dtype())


def records(file: h5py.File, place: str) -> None:
    _replace(file, place, dtype=np.dtype([("a", "f4"), ("b", "f4")]))


def another_shape(file: h5py.File, place: str) -> None:
    _replace(file, place, shape=(*file[place].shape, 2))


def another_compression(file: h5py.File, place: str) -> None:
    _replace(file, place, compression="lzf", chunks=True)


def endless_attribute(file: h5py.File, place: str) -> None:
    """Long texts, of which a file could also refer to one many times."""
    names = ["x" * 5_000_000, *[""] * 999]
    file[place].attrs.create("dtype", names, dtype=h5py.string_dtype())


FAULTS: tuple[Fault, ...] = (
    *(in_another_file, in_endless_other_file, put_together_from_others, link_to_another_file),
    *(link_of_its_group, link_within, announcing_more_than_memory, announcing_it_compressed),
    in_a_chunk_larger_than_memory,
    *(not_a_number, infinite, too_large, complex_numbers, whole_numbers, texts, records),
    *(another_shape, another_compression, endless_attribute),
)


def weights_in(path: Path) -> list[str]:
    """The paths of all arrays of an HDF5 file."""
    found: list[str] = []
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None
        )
    return found


def spoil(path: Path, place: str, fault: Fault) -> None:
    with h5py.File(path, "a") as file:
        fault(file, place)


def npy(array: np.ndarray, shape: tuple[int, ...] | None = None) -> bytes:
    """The file of an array, with another shape in its header if one is given."""
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, allow_pickle=True)
    if shape is None:
        return stream.getvalue()
    stream = io.BytesIO()
    header = {"descr": array.dtype.str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue() + array.tobytes()


def replace_member(path: Path, member: str, content: bytes, kind: int = zipfile.ZIP_STORED) -> None:
    """Replaces or adds a file in a zip archive, all of which is compressed as `kind` says."""
    with zipfile.ZipFile(path) as archive:
        others = {n: archive.read(n) for n in archive.namelist() if n != member}
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, old in {**others, member: content}.items():
            archive.writestr(name, old)


def say_less(path: Path, member: str, length: int) -> None:
    """Makes a zip archive announce that a file is as long as this, with the checksum of so much."""
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo(member)
        checksum = zlib.crc32(archive.read(member)[:length])
    content = bytearray(path.read_bytes())
    entry = content.rindex(member.encode()) - 46
    for place in (info.header_offset + 14, entry + 16):
        content[place : place + 4] = checksum.to_bytes(4, "little")
        content[place + 8 : place + 12] = length.to_bytes(4, "little")
    path.write_bytes(content)


@contextmanager
def bounded_memory() -> Iterator[None]:
    """Fails if what runs inside asks for more memory than `MOST_BYTES` at a time."""
    tracemalloc.start()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < MOST_BYTES, f"{peak:,} bytes"
