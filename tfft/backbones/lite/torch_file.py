"""Reads the arrays of a legacy torch file without PyTorch and without running its code.

A file that `torch.save` wrote before PyTorch 1.6 is five pickles (magic number, protocol version,
facts about the system, the object, the keys of its storages) followed by the raw storages. A
pickle may name any Python function and have it called; this reader knows the few names that a dict
of tensors needs, puts harmless objects of its own in their place, and refuses every other name.
"""

import collections
import io
import math
import pickle
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfft.errors import BackboneError

_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
_PROTOCOL_VERSION = 1001
_MAX_DIMENSIONS = 8


@dataclass(frozen=True)
class _StorageType:
    dtype: np.dtype


@dataclass
class _Storage:
    """The numbers that tensors view; filled in after the object has been read."""

    dtype: np.dtype
    size: int
    values: np.ndarray | None = None


@dataclass(frozen=True)
class _Tensor:
    """A view of a storage; offset and strides are in numbers, not in bytes."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def array(self) -> np.ndarray:
        values = self.storage.values
        if values is None:
            raise ValueError("a tensor views a storage that the file lacks")
        strides = tuple(stride * values.itemsize for stride in self.strides)
        return np.lib.stride_tricks.as_strided(values[self.offset :], self.shape, strides)


_STORAGE_TYPES = {
    "FloatStorage": _StorageType(np.dtype("<f4")),
    "DoubleStorage": _StorageType(np.dtype("<f8")),
    "LongStorage": _StorageType(np.dtype("<i8")),
}


def read_torch_arrays(content: bytes) -> dict[str, np.ndarray]:
    """Returns the arrays of a legacy torch file that holds a dict of tensors.

    Args:
        content: Content of the whole file.

    Returns:
        Arrays by name, float32, float64 or int64, in torch's layout.

    Raises:
        BackboneError: The file does not have this form, or asks for anything but tensors.
    """
    try:
        return _read(content)
    except (
        pickle.UnpicklingError,
        EOFError,
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
        MemoryError,
        OverflowError,
    ) as error:
        raise BackboneError(f"this is not a torch file of plain tensors: {error}") from error


def _read(content: bytes) -> dict[str, np.ndarray]:
    stream = io.BytesIO(content)
    if _Reader(stream).load() != _MAGIC_NUMBER or _Reader(stream).load() != _PROTOCOL_VERSION:
        raise ValueError("its head is not that of a legacy torch file")
    # Byte order and type sizes of the writer: it was little-endian, as is checked below.
    _Reader(stream).load()
    reader = _Reader(stream, max_storage_bytes=len(content))
    tensors = reader.load()
    _fill(reader.storages, _Reader(stream).load(), content, stream.tell())
    if not isinstance(tensors, dict):
        raise ValueError("it does not hold a dict")
    strange = [name for name, value in tensors.items() if not isinstance(value, _Tensor)]
    if strange:
        raise ValueError(f"these are not tensors: {', '.join(map(str, strange[:5]))}")
    return {str(name): tensor.array() for name, tensor in tensors.items()}


def _fill(storages: dict[str, _Storage], keys: list[str], content: bytes, start: int) -> None:
    """Reads the raw storages: for each key the size as int64, then the numbers."""
    for key in keys:
        storage = storages[key]
        size = int.from_bytes(content[start : start + 8], "little")
        if size != storage.size:
            raise ValueError(f"storage {key} has {size} numbers instead of {storage.size}")
        start += 8
        storage.values = np.frombuffer(content, storage.dtype, storage.size, start)
        start += storage.values.nbytes
    if start != len(content) or set(keys) != set(storages):
        raise ValueError("its storages are not those that its tensors view")


class _Reader(pickle.Unpickler):
    """Unpickles numbers, strings and containers, and tensors where a bound on their size is given.

    Args:
        stream: Content of the file, at the start of a pickle.
        max_storage_bytes: Size that no storage may exceed, in bytes; 0: no storage is allowed.
    """

    def __init__(self, stream: io.BytesIO, max_storage_bytes: int = 0) -> None:
        super().__init__(stream, encoding="utf-8")
        self.storages: dict[str, _Storage] = {}
        self._max_storage_bytes = max_storage_bytes

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if module == "torch" and name in _STORAGE_TYPES:
            return _STORAGE_TYPES[name]
        raise pickle.UnpicklingError(f"it wants {module}.{name}, which is refused")

    def persistent_load(self, pid: Any) -> _Storage:
        kind, storage_type, key, _, size, view = pid
        if kind != "storage" or not isinstance(storage_type, _StorageType) or view is not None:
            raise pickle.UnpicklingError(f"a reference to {kind!r} is refused")
        if not isinstance(size, int) or not 0 <= size * 4 <= self._max_storage_bytes:
            raise pickle.UnpicklingError(f"a storage of {size!r} numbers is larger than the file")
        return self.storages.setdefault(str(key), _Storage(storage_type.dtype, size))


def _rebuild_tensor(
    storage: _Storage, offset: int, shape: tuple, strides: tuple, *_: object
) -> _Tensor:
    """Describes a tensor that lies in its storage; torch calls this `_rebuild_tensor_v2`."""
    numbers = (offset, *shape, *strides)
    if not isinstance(storage, _Storage) or not all(isinstance(n, int) for n in numbers):
        raise pickle.UnpicklingError("a tensor without storage or sizes is refused")
    if min(numbers) < 0 or len(shape) != len(strides) or len(shape) > _MAX_DIMENSIONS:
        raise pickle.UnpicklingError(f"a tensor of shape {shape}, strides {strides} is refused")
    last = offset + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
    if 0 in shape or last >= storage.size:
        raise pickle.UnpicklingError(f"a tensor of shape {shape} does not lie in its storage")
    if math.prod(shape) > storage.size:
        raise pickle.UnpicklingError(f"a tensor of shape {shape} repeats its storage: refused")
    return _Tensor(storage, offset, tuple(shape), tuple(strides))
