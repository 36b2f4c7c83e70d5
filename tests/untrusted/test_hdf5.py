"""An HDF5 file holds arrays and nothing else, in itself, of no more than its own size."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from untrusted.hostile_weights import (
    announcing_it_compressed,
    announcing_more_than_memory,
    another_compression,
    bounded_memory,
    complex_numbers,
    endless_attribute,
    in_a_chunk_larger_than_memory,
    in_another_file,
    in_endless_other_file,
    link_of_its_group,
    link_to_another_file,
    link_within,
    put_together_from_others,
    records,
    spoil,
    texts,
)

from tfft.errors import ModelFileError
from tfft.untrusted.hdf5 import check_hdf5, longest_text


@pytest.fixture
def path(tmp_path) -> Path:
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file["layer/vars/0"] = np.ones((3, 4), np.float32)
        file["layer/vars/1"] = np.ones(4, np.float16)
        file["layer"].attrs["name"] = "layer"
    return tmp_path / "w.h5"


def check(path: Path) -> dict[str, tuple[int, ...]]:
    with h5py.File(path) as file:
        found = check_hdf5(file, "w.h5", longest_text(path))
        return {name: array.shape for name, array in found.items()}


def test_the_arrays_of_a_sound_file_are_found(path):
    assert check(path) == {"layer/vars/0": (3, 4), "layer/vars/1": (4,)}


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (in_another_file, "layer/vars/0 is not read: its values lie in other files"),
        (in_endless_other_file, "layer/vars/0 is not read: its values lie in other files"),
        (put_together_from_others, "its values lie in other files"),
        (link_to_another_file, "layer/vars/0 is a link, which may lead to another file"),
        (link_of_its_group, "layer/vars is a link"),
        (link_within, "layer/vars/0 is a link"),
        (announcing_more_than_memory, "it announces arrays of 160.0 GB"),
        (announcing_it_compressed, "it announces arrays of 160.0 GB"),
        (in_a_chunk_larger_than_memory, r"it announces arrays of 0\.2 GB"),
        (complex_numbers, "layer/vars/0 holds no numbers, but complex64"),
        (texts, "layer/vars/0 holds no numbers"),
        (records, "layer/vars/0 holds no numbers"),
        (another_compression, "compressed in a way that no weights are"),
        (endless_attribute, "layer/vars/0 has an attribute that no weights file has: dtype"),
    ],
)
def test_what_no_weights_file_has_is_refused_before_it_is_read(path, fault, message):
    spoil(path, "layer/vars/0", fault)
    with bounded_memory(), pytest.raises(ModelFileError, match=message):
        check(path)


def test_a_group_within_itself_is_looked_through_once(path):
    with h5py.File(path, "a") as file:
        file["layer/again"] = file["layer"]
        file["layer/vars/root"] = file["/"]
    assert set(check(path)) == {"layer/vars/0", "layer/vars/1"}


def test_a_list_of_names_is_no_fault_where_its_texts_are_bounded(path):
    with h5py.File(path, "a") as file:
        file.attrs["layer_names"] = [f"layer_{number}" for number in range(1000)]
    assert 0 < longest_text(path) < 100_000
    assert len(check(path)) == 2
    with h5py.File(path) as file, pytest.raises(ModelFileError, match="no weights file has"):
        check_hdf5(file, "w.h5")


def test_compressed_weights_are_read(path):
    with h5py.File(path, "a") as file:
        file.create_dataset("zeros", data=np.zeros(10_000), compression="gzip", shuffle=True)
    assert check(path)["zeros"] == (10_000,)
