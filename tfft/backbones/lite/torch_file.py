"""Reads the arrays of a legacy torch file without PyTorch and without running its code.

A file that `torch.save` wrote before PyTorch 1.6 is five pickles (magic number, protocol version,
facts about the system, the object, the keys of its storages) followed by the raw storages. A
pickle is a program for a small machine with a stack: it may name any Python function and have it
called, and build far more than it is long. The machine here knows the few steps that a dict of
tensors needs, and the few names, in whose place it puts harmless objects of its own.
"""

import io
import math
import pickletools
from collections.abc import Callable
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
        stream = io.BytesIO(content)
        if _Machine().run(stream) != _MAGIC_NUMBER or _Machine().run(stream) != _PROTOCOL_VERSION:
            raise ValueError("its head is not that of a legacy torch file")
        # Byte order and type sizes of the writer: it was little-endian, as is checked below.
        _Machine().run(stream)
        machine = _Machine(max_storage_bytes=len(content))
        tensors = machine.run(stream)
        _fill(machine.storages, _Machine().run(stream), content, stream.tell())
        if not isinstance(tensors, dict):
            raise ValueError("it does not hold a dict")
        strange = [name for name, value in tensors.items() if not isinstance(value, _Tensor)]
        if strange:
            raise ValueError(f"these are not tensors: {', '.join(strange[:5])}")
        return {name: tensor.array() for name, tensor in tensors.items()}
    except (ValueError, TypeError, LookupError, OverflowError) as error:
        raise BackboneError(f"this is not a torch file of plain tensors: {error}") from error


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


class _Machine:
    """Runs a pickle that builds numbers, texts, containers and, if they are allowed, tensors.

    Nothing that it builds is larger than the pickle: tuples within tuples hold no others, keys are
    texts, and what is remembered is remembered by its number, however large that is.

    Args:
        max_storage_bytes: Size that no storage may exceed, in bytes; 0: no storage is allowed.

    Attributes:
        storages: The storages that the pickle refers to, by their keys.
    """

    def __init__(self, max_storage_bytes: int = 0) -> None:
        self.storages: dict[str, _Storage] = {}
        self._max_storage_bytes = max_storage_bytes
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def run(self, stream: io.BytesIO) -> Any:
        """Runs one pickle, and returns what it built.

        Raises:
            ValueError: It has another step, asks for another name, or is damaged; so may a
                LookupError or a TypeError say.
        """
        for opcode, argument, _ in pickletools.genops(stream):
            if opcode.name in _VALUES:
                self._stack.append(argument)
            elif opcode.name in _MADE:
                self._stack.append(_MADE[opcode.name]())
            elif opcode.name in _STEPS:
                _STEPS[opcode.name](self, argument)
            elif opcode.name not in ("PROTO", "STOP"):
                raise ValueError(f"it has a step {opcode.name}, which is refused")
        return self._stack.pop()

    def pop(self) -> Any:
        return self._stack.pop()

    def since_mark(self) -> list[Any]:
        mark = self._marks.pop()
        items = self._stack[mark:]
        del self._stack[mark:]
        return items

    def mark(self, _: None) -> None:
        self._marks.append(len(self._stack))

    def remember(self, number: int) -> None:
        self._memo[number] = self._stack[-1]

    def recall(self, number: int) -> None:
        self._stack.append(self._memo[number])

    def make_tuple(self, length: int | None) -> None:
        if length is None:
            items = self.since_mark()
        else:
            items = [self._stack.pop() for _ in range(length)][::-1]
        inner = [item for item in items if isinstance(item, tuple)]
        if any(isinstance(part, tuple) for item in inner for part in item):
            raise ValueError("tuples within tuples within tuples are refused")
        self._stack.append(tuple(items))

    def set_items(self, pairs: list[Any]) -> None:
        target = self._stack[-1]
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            if not isinstance(target, dict) or not isinstance(key, str):
                raise ValueError("only dicts with texts as keys are read")
            target[key] = value

    def append(self, items: list[Any]) -> None:
        if not isinstance(self._stack[-1], list):
            raise ValueError("it appends to what is no list")
        self._stack[-1].extend(items)

    def find(self, name: str) -> None:
        module, _, name = name.partition(" ")
        found = _NAMES.get((module, name))
        if found is None:
            raise ValueError(f"it wants {module}.{name}, which is refused")
        self._stack.append(found)

    def call(self, _: None) -> None:
        arguments, function = self._stack.pop(), self._stack.pop()
        if not isinstance(function, _Function) or not isinstance(arguments, tuple):
            raise ValueError("a call of what is no function is refused")
        self._stack.append(function.function(*arguments))

    def refer(self, _: None) -> None:
        kind, storage_type, key, _, size, view = self._stack.pop()
        if kind != "storage" or not isinstance(storage_type, _StorageType) or view is not None:
            raise ValueError("a reference to what is no storage is refused")
        if not isinstance(size, int) or not 0 <= size * 4 <= self._max_storage_bytes:
            raise ValueError("a storage of more numbers is larger than the file")
        if not isinstance(key, str):
            raise ValueError("a storage without a name is refused")
        storage = self.storages.setdefault(key, _Storage(storage_type.dtype, size))
        self._stack.append(storage)


@dataclass(frozen=True)
class _Function:
    """A function that a pickle may call."""

    function: Callable[..., Any]


def _rebuild_tensor(
    storage: _Storage, offset: int, shape: tuple, strides: tuple, *_: object
) -> _Tensor:
    """Describes a tensor that lies in its storage; torch calls this `_rebuild_tensor_v2`."""
    numbers = (offset, *shape, *strides)
    if not isinstance(storage, _Storage) or not all(isinstance(n, int) for n in numbers):
        raise ValueError("a tensor without storage or sizes is refused")
    if min(numbers) < 0 or len(shape) != len(strides) or len(shape) > _MAX_DIMENSIONS:
        raise ValueError("a tensor of such a shape and strides is refused")
    last = offset + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
    if 0 in shape or last >= storage.size:
        raise ValueError(f"a tensor of shape {shape} does not lie in its storage")
    if math.prod(shape) > storage.size:
        raise ValueError(f"a tensor of shape {shape} repeats its storage: refused")
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


# Steps that put a value of the pickle on the stack, and those that put a new one there.
_VALUES = ("BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE", "BINSTRING", "SHORT_BINSTRING")
_MADE: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
}
_STEPS: dict[str, Callable[[_Machine, Any], None]] = {
    "MARK": _Machine.mark,
    **dict.fromkeys(("BINPUT", "LONG_BINPUT"), _Machine.remember),
    **dict.fromkeys(("BINGET", "LONG_BINGET"), _Machine.recall),
    "TUPLE": lambda machine, _: machine.make_tuple(None),
    "TUPLE1": lambda machine, _: machine.make_tuple(1),
    "TUPLE2": lambda machine, _: machine.make_tuple(2),
    "TUPLE3": lambda machine, _: machine.make_tuple(3),
    "SETITEM": lambda machine, _: machine.set_items([machine.pop(), machine.pop()][::-1]),
    "SETITEMS": lambda machine, _: machine.set_items(machine.since_mark()),
    "APPEND": lambda machine, _: machine.append([machine.pop()]),
    "APPENDS": lambda machine, _: machine.append(machine.since_mark()),
    "GLOBAL": _Machine.find,
    "REDUCE": _Machine.call,
    "BINPERSID": _Machine.refer,
    "BUILD": lambda machine, _: machine.pop(),  # attributes of an OrderedDict, which nobody reads
}
_NAMES: dict[tuple[str, str], _Function | _StorageType] = {
    ("collections", "OrderedDict"): _Function(lambda: {}),
    ("torch._utils", "_rebuild_tensor_v2"): _Function(_rebuild_tensor),
    **{("torch", name): kind for name, kind in _STORAGE_TYPES.items()},
}
