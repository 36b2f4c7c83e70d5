"""A .keras file is an archive of what Keras writes, no more, and of no more than its size."""

import json
import shutil
import zipfile
from pathlib import Path

from tfft.system.tensorflow import keras

import numpy as np
import pytest
from untrusted.hostile_weights import (
    announcing_it_compressed,
    bounded_memory,
    complex_numbers,
    in_another_file,
    infinite,
    link_of_its_group,
    not_a_number,
    replace_member,
    say_less,
    spoil,
)

from tfft.backbones.keras_models.keras_file import load_keras_file
from tfft.errors import ModelFileError

WEIGHTS = "model.weights.h5"


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    x = keras.Input((4,))
    model = keras.Model(x, keras.layers.Dense(3, name="dense")(x))
    model.save(tmp_path_factory.mktemp("sound") / "model.keras")
    return tmp_path_factory.getbasetemp() / "sound0" / "model.keras"


@pytest.fixture
def path(sound, tmp_path) -> Path:
    return shutil.copyfile(sound, tmp_path / "model.keras")


def refused(path: Path, message: str) -> None:
    with bounded_memory(), pytest.raises(ModelFileError, match=message):
        load_keras_file(path)


def test_a_sound_file_loads_also_if_somebody_compressed_it(path):
    expected = load_keras_file(path).get_weights()
    replace_member(path, "metadata.json", b"{}", zipfile.ZIP_DEFLATED)
    for mine, theirs in zip(load_keras_file(path).get_weights(), expected, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize(
    "name",
    [
        *("../outside", "/tmp/outside", "assets/../../outside", "assets\\..\\outside"),
        *("model.weights.npz", "model.weights.json", "module.py"),
    ],
)
def test_other_files_than_keras_writes_are_refused(path, name):
    replace_member(path, name, b"x")
    refused(path, "Keras writes no file")


def test_a_file_that_becomes_far_larger_is_refused(path):
    replace_member(path, "assets/zeros", bytes(32 << 20), zipfile.ZIP_DEFLATED)
    refused(path, r"assets/zeros would become 0\.0 GB")


def test_a_file_that_becomes_larger_than_it_says_is_refused(path):
    replace_member(path, "metadata.json", bytes(64 << 20), zipfile.ZIP_DEFLATED)
    say_less(path, "metadata.json", 100)
    refused(path, "metadata.json in it is not as long as it says")


@pytest.mark.parametrize("kind", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_file_that_could_only_be_unpacked_in_one_go_is_refused(path, kind):
    replace_member(path, "metadata.json", b"{}", kind)
    refused(path, "is compressed in an unusual way, or encrypted")


def test_files_that_share_their_bytes_are_refused(path):
    """So a small archive could become a large one without compression."""
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("assets/0", bytes(10_000))
        for number in range(1, 20):
            shared = zipfile.ZipInfo(f"assets/{number}")
            first = archive.getinfo("assets/0")
            shared.compress_size = shared.file_size = first.file_size
            shared.CRC, shared.header_offset = first.CRC, first.header_offset
            archive.filelist.append(shared)
            archive.NameToInfo[shared.filename] = shared
        archive._didModify = True
    refused(path, "share the same bytes")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_files_of_a_name_are_refused(path):
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("config.json", "{}")
    refused(path, "two of a name")


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (in_another_file, f"{WEIGHTS}: .* is not read: its values lie in other files"),
        (link_of_its_group, "is a link, which may lead to another file"),
        (announcing_it_compressed, r"announces arrays of 160\.0 GB"),
        (complex_numbers, "holds no numbers, but complex64"),
        (not_a_number, "values that are not finite, or too large for float32, in dense/kernel"),
        (infinite, "values that are not finite"),
    ],
)
@pytest.mark.parametrize(
    "kind", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "compressed"]
)
def test_its_weights_are_looked_through_before_they_are_read(path, tmp_path, fault, message, kind):
    with zipfile.ZipFile(path) as archive:
        archive.extract(WEIGHTS, tmp_path)
    spoil(tmp_path / WEIGHTS, "layers/dense/vars/0", fault)
    replace_member(path, WEIGHTS, (tmp_path / WEIGHTS).read_bytes(), kind)
    refused(path, message)


@pytest.mark.parametrize(
    "layer", ["Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"]
)
def test_layers_that_hold_code_are_refused_by_name(path, layer):
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"))
    config["config"]["layers"].append(
        {"class_name": layer, "module": "keras.layers", "config": {"name": "evil", "filepath": "/"}}
    )
    replace_member(path, "config.json", json.dumps(config).encode())
    refused(path, f"has {layer} layers, which hold Python code or load .* not loaded: evil")
