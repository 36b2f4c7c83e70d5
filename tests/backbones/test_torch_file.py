"""A torch file is read as data: whatever it wants called, nothing is."""

import io
import os
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from untrusted.hostile_weights import bounded_memory

from tfft.backbones.lite.torch_file import read_torch_arrays
from tfft.errors import BackboneError

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C


class Global:
    """Pickles as a reference to a global name that this process need not have."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name


class Call:
    """Pickles as the call of a global."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.function, self.arguments = function, arguments


class Storage:
    """Pickles as a reference to a storage."""

    def __init__(self, key: str, size: int, kind: str = "FloatStorage") -> None:
        self.key, self.size, self.kind = key, size, kind


class Writer(pickle._Pickler):
    """Writes pickles as torch does, and such as it never would."""

    def persistent_id(self, obj: Any) -> Any:
        if isinstance(obj, Storage):
            return ("storage", Global("torch", obj.kind), obj.key, "cpu", obj.size, None)
        return None

    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        if isinstance(obj, Global):
            self.write(pickle.GLOBAL + f"{obj.module}\n{obj.name}\n".encode())
        elif isinstance(obj, Call):
            self.save(obj.function)
            self.save(obj.arguments)
            self.write(pickle.REDUCE)
        else:
            super().save(obj, save_persistent_id)


def tensor(storage: Storage, offset: int, shape: tuple, strides: tuple) -> Call:
    rebuild = Global("torch._utils", "_rebuild_tensor_v2")
    return Call(rebuild, storage, offset, shape, strides, False, OrderedDict())


def torch_file(content: Any, storages: dict[str, np.ndarray] | None = None) -> bytes:
    storages = storages or {}
    stream = io.BytesIO()
    for part in (MAGIC_NUMBER, 1001, {"little_endian": True}, content, list(storages)):
        Writer(stream, protocol=2).dump(part)
    for values in storages.values():
        stream.write(len(values).to_bytes(8, "little") + values.tobytes())
    return stream.getvalue()


def test_tensors_are_views_of_their_storages():
    numbers = np.arange(12, dtype="<f4")
    storage = Storage("0", 12)
    content = torch_file(
        OrderedDict(
            whole=tensor(storage, 0, (3, 4), (4, 1)),
            transposed=tensor(storage, 0, (4, 3), (1, 4)),
            part=tensor(storage, 5, (2,), (1,)),
            count=tensor(Storage("1", 1, "LongStorage"), 0, (), ()),
        ),
        {"0": numbers, "1": np.array([7], "<i8")},
    )
    arrays = read_torch_arrays(content)
    np.testing.assert_array_equal(arrays["whole"], numbers.reshape(3, 4))
    np.testing.assert_array_equal(arrays["transposed"], numbers.reshape(3, 4).T)
    np.testing.assert_array_equal(arrays["part"], [5, 6])
    assert arrays["count"] == 7


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("posix", "system"),
        ("builtins", "eval"),
        ("builtins", "getattr"),
        ("torch", "load"),
        ("torch.storage", "_load_from_bytes"),
        ("collections", "namedtuple"),
        ("tfft.backbones.lite.torch_file", "os"),
    ],
)
def test_every_other_name_is_refused_and_not_called(module: str, name: str, tmp_path: Path):
    mark = tmp_path / "called"
    content = torch_file({"a": Call(Global(module, name), f"touch {mark}")})
    with pytest.raises(BackboneError, match=f"it wants {module}.{name}, which is refused"):
        read_torch_arrays(content)
    assert not mark.exists()


def test_a_name_in_the_head_is_refused_too(tmp_path: Path):
    mark = tmp_path / "called"
    stream = io.BytesIO()
    Writer(stream, protocol=2).dump(Call(Global("os", "system"), f"touch {mark}"))
    with pytest.raises(BackboneError, match=r"os\.system, which is refused"):
        read_torch_arrays(stream.getvalue())
    assert not mark.exists()


def test_python_s_own_pickles_of_calls_are_refused():
    class Evil:
        def __reduce__(self) -> tuple:
            return (os.system, ("true",))

    with pytest.raises(BackboneError, match="which is refused"):
        read_torch_arrays(pickle.dumps(Evil()))


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [
        (0, (5,), (1,)),
        (3, (2,), (1,)),
        (0, (2, 2), (3, 1)),
        (-1, (2,), (1,)),
        (0, (2,), (-1,)),
        (0, (2, 2), (1,)),
        (0, (1000, 1000), (0, 0)),
        (0, (1,) * 9, (1,) * 9),
        (0, ("4",), (1,)),
    ],
)
def test_a_tensor_outside_of_its_storage_is_refused(offset: int, shape: tuple, strides: tuple):
    content = torch_file(
        {"a": tensor(Storage("0", 4), offset, shape, strides)}, {"0": np.zeros(4, "<f4")}
    )
    with pytest.raises(BackboneError, match="this is not a torch file of plain tensors"):
        read_torch_arrays(content)


def test_a_storage_larger_than_the_file_is_refused_before_it_is_made():
    content = torch_file({"a": tensor(Storage("0", 1 << 40), 0, (1 << 40,), (1,))})
    with pytest.raises(BackboneError, match="is larger than the file"):
        read_torch_arrays(content)


def test_a_file_that_ends_early_is_refused():
    content = torch_file(
        {"a": tensor(Storage("0", 4), 0, (4,), (1,))}, {"0": np.zeros(4, dtype="<f4")}
    )
    for length in (0, 3, 40, len(content) // 2, len(content) - 1):
        with pytest.raises(BackboneError, match="this is not a torch file of plain tensors"):
            read_torch_arrays(content[:length])
    with pytest.raises(BackboneError, match="its storages are not those"):
        read_torch_arrays(content + b"\0")


def test_anything_but_a_dict_of_tensors_is_refused():
    with pytest.raises(BackboneError, match="does not hold a dict"):
        read_torch_arrays(torch_file([1, 2]))
    with pytest.raises(BackboneError, match="these are not tensors: a"):
        read_torch_arrays(torch_file({"a": 1}))


def test_a_number_to_remember_by_takes_no_memory():
    """Python's own reader makes a table of that size: here of 2 GB."""
    remember = pickle.LONG_BINPUT + (1 << 27).to_bytes(4, "little")
    content = torch_file({"a": tensor(Storage("0", 1), 0, (1,), (1,))}, {"0": np.ones(1, "<f4")})
    opened = content.index(pickle.EMPTY_DICT, content.index(b"little_endian")) + 1
    with bounded_memory():
        arrays = read_torch_arrays(content[:opened] + remember + content[opened:])
    np.testing.assert_array_equal(arrays["a"], [1])


@pytest.mark.parametrize("end", [b"K\x01s", b"s", b""], ids=["key", "value", "nothing"])
def test_what_holds_itself_many_times_is_not_built(end):
    """Hashed or printed, tuples in tuples would take a time and memory of two to their number."""
    twice = [b"h%ch%c\x86q%c" % (n, n, n + 1) for n in range(200)]
    stream = io.BytesIO()
    for part in (MAGIC_NUMBER, 1001, {}):
        Writer(stream, protocol=2).dump(part)
    stream.write(b"\x80\x02}" + b"K\x01K\x02\x86q\x00" + b"".join(twice) + end + b".")
    with bounded_memory(), pytest.raises(BackboneError, match="tuples within tuples"):
        read_torch_arrays(stream.getvalue())
