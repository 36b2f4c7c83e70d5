"""Looks through an HDF5 file before an array of it is read.

The format can do more than hold arrays: a data set may lie in any other file of the machine or be
put together from several, links lead to other files, and a few bytes can announce an array larger
than all memory.
"""

import math
import mmap
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py

from tfft.errors import ModelFileError

_MAX_OBJECTS = 100_000
_MAX_ATTRIBUTE_BYTES = 64 << 20
_MAX_TEXT_BYTES = 1 << 30
# Weights do not become much smaller by compression; what announces far more is no weights file.
_MAX_EXPANSION = 20
_FREE_BYTES = 16 << 20
_FILTERS = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32}
_NUMBERS = "biuf"
# The head of a collection of texts, and its size.
_TEXTS = re.compile(rb"GCOL\x01\0\0\0(.{8})", re.DOTALL)
_SIZES = (8, 8)  # bytes of an address and of a length, in every file that HDF5 writes


def longest_text(path: Path) -> int:
    """Returns a bound on the bytes of a text of variable length in an HDF5 file.

    Such texts lie in collections, which say how long they are.
    """
    if path.stat().st_size == 0:
        return 0
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        sizes = [int.from_bytes(size, "little") for size in _TEXTS.findall(content)]
    return max(sizes, default=0)


def check_hdf5(
    file: h5py.File, what: str, most_bytes_of_text: int | None = None
) -> dict[str, h5py.Dataset]:
    """Checks everything in an HDF5 file but the values of its arrays.

    Args:
        file: The open file.
        what: Name of the file in messages.
        most_bytes_of_text: What `longest_text` returned for the file; None: the file may have no
            lists of such texts, as those of Keras 3 have none.

    Returns:
        The data sets by their paths, without a leading slash. Each holds numbers or truth values
        (bfloat16 as its two bytes), within the file, of a size in proportion to that of the file.

    Raises:
        ModelFileError: A data set lies in another file, has a type or a filter that no weights
            have, or announces too much; or a link is not a plain one.
    """
    if file.id.get_create_plist().get_sizes() != _SIZES:
        raise ModelFileError(f"{what} is not read: HDF5 does not write files of this form")
    items = dict(_items(file, what))
    found = {path: item for path, item in items.items() if isinstance(item, h5py.Dataset)}
    for path, item in found.items():
        _check_data_set(item, f"{what}: {path}")
    announced = sum(_announced_bytes(item) for item in found.values())
    size = file.id.get_filesize()
    if announced > _MAX_EXPANSION * size + _FREE_BYTES:
        raise ModelFileError(
            f"{what} is not read: it announces arrays of {announced / 1e9:,.1f} GB and has "
            f"{size / 1e9:,.3f} GB"
        )
    for path, item in items.items():
        _check_attributes(item, f"{what}: {path or '/'}", most_bytes_of_text)
    return found


def _items(file: h5py.File, what: str) -> Iterator[tuple[str, Any]]:
    """Yields the groups and data sets with their paths; a group with several names only once."""
    pending: list[tuple[str, h5py.Group]] = [("", file)]
    seen: set[int] = set()
    count = 0
    while pending:
        path, group = pending.pop()
        address = h5py.h5o.get_info(group.id).addr
        if address in seen:
            continue
        seen.add(address)
        yield path, group
        for name in group:
            place = f"{path}/{name}".lstrip("/")
            count += 1
            if count > _MAX_OBJECTS:
                raise ModelFileError(f"{what} is not read: it has more than {_MAX_OBJECTS} arrays")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise ModelFileError(
                    f"{what} is not read: {place} is a link, which may lead to another file"
                )
            item: Any = group[name]
            if isinstance(item, h5py.Group):
                pending.append((place, item))
            else:
                yield place, item


def _check_attributes(item: Any, place: str, most_bytes_of_text: int | None) -> None:
    for number in range(h5py.h5a.get_num_attrs(item.id)):
        attribute = h5py.h5a.open(item.id, index=number)
        kind = attribute.get_type()
        is_variable = isinstance(kind, h5py.h5t.TypeVlenID) or (
            isinstance(kind, h5py.h5t.TypeStringID) and kind.is_variable_str()
        )
        count = math.prod(attribute.shape)
        # They may all be one text, referred to many times.
        is_list = is_variable and count > 1
        is_long = is_list and (
            most_bytes_of_text is None or count * most_bytes_of_text > _MAX_TEXT_BYTES
        )
        if is_long or count * kind.get_size() > _MAX_ATTRIBUTE_BYTES:
            raise ModelFileError(
                f"{place} has an attribute that no weights file has: "
                f"{attribute.name.decode('utf-8', 'replace')}"
            )


def _announced_bytes(item: h5py.Dataset) -> int:
    """Returns what an array takes when it is read: HDF5 unpacks whole chunks, however large."""
    longest = map(max, item.shape, item.chunks or item.shape)
    return math.prod(longest) * item.dtype.itemsize


def _check_data_set(item: h5py.Dataset, place: str) -> None:
    layout = item.id.get_create_plist()
    if layout.get_external_count() or item.is_virtual:
        raise ModelFileError(f"{place} is not read: its values lie in other files")
    filters = {layout.get_filter(number)[0] for number in range(layout.get_nfilters())}
    if filters - _FILTERS:
        raise ModelFileError(f"{place} is not read: it is compressed in a way that no weights are")
    is_bfloat16 = item.dtype.kind == "V" and item.dtype.itemsize == 2 and not item.dtype.names
    if item.shape is None or not (is_bfloat16 or item.dtype.kind in _NUMBERS):
        raise ModelFileError(f"{place} holds no numbers, but {item.dtype}")
