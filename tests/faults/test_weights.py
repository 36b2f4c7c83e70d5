"""Weights that lie elsewhere, announce too much or are no numbers: refused, and never believed."""

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

from tfft.system.tensorflow import keras

import h5py
import numpy as np
import pytest
from keras import layers
from tally import tally
from untrusted.hostile_weights import (
    FAULTS,
    HUGE,
    bounded_memory,
    npy,
    replace_member,
    say_less,
    spoil,
    weights_in,
    whole_numbers,
)

from tfft.backbones.keras_models.keras_file import load_keras_file
from tfft.backbones.weights_loading import load_weights_file
from tfft.errors import TfftError

pytestmark = pytest.mark.slow
_SAMPLE = 11


def model() -> keras.Model:
    images = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, name="conv")(images)
    x = layers.BatchNormalization(name="norm")(x)
    return keras.Model(images, layers.Conv2D(2, 1, name="last")(x), name="small")


def save_keras_2(path: Path) -> None:
    with h5py.File(path, "w") as file:
        kept = [layer for layer in model().layers if layer.weights]
        file.attrs["layer_names"] = [layer.name.encode() for layer in kept]
        for layer in kept:
            group = file.create_group(layer.name)
            weights = [*layer.trainable_weights, *layer.non_trainable_weights]
            names = [f"{weight.name}:0" for weight in weights]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, weight in zip(names, weights, strict=True):
                group[name] = weight.numpy()


def spoiled_keras_file(source: Path, weights: Path, place: str, fault: Callable) -> Path:
    """A `.keras` file whose weights file is spoiled."""
    with zipfile.ZipFile(source) as archive:
        weights.write_bytes(archive.read("model.weights.h5"))
    spoil(weights, place, fault)
    path = Path(shutil.copyfile(source, weights.with_suffix(".keras")))
    replace_member(path, "model.weights.h5", weights.read_bytes())
    return path


def refused(read: Callable[[], object]) -> bool:
    """Whether a file is refused by a message of ordinary length that tells nothing of others."""
    secret = Path("/etc/passwd").read_text().splitlines()[0]
    try:
        with bounded_memory():
            read()
    except TfftError as error:
        return len(str(error)) < 2_000 and secret not in str(error)
    return False


@pytest.mark.parametrize("every", [_SAMPLE, pytest.param(1, marks=pytest.mark.full)])
def test_no_array_of_a_weights_file_is_believed(tmp_path, every):
    sound = {name: tmp_path / name for name in ("keras_2.h5", "keras_3.weights.h5", "m.keras")}
    save_keras_2(sound["keras_2.h5"])
    model().save_weights(sound["keras_3.weights.h5"])
    model().save(sound["m.keras"])
    with zipfile.ZipFile(sound["m.keras"]) as archive:
        archive.extract("model.weights.h5", tmp_path)
    target, kept = model(), model().get_weights()
    target.set_weights(kept)
    cases = [
        (name, place, fault)
        for name, path in sound.items()
        for place in weights_in(tmp_path / "model.weights.h5" if name == "m.keras" else path)
        for fault in FAULTS
        # Keras makes numbers of a variable's type of any others.
        if (name, fault) != ("m.keras", whole_numbers)
    ][::every]
    held = 0
    for number, (name, place, fault) in enumerate(cases):
        path = tmp_path / f"{number}_{name}"
        if name == "m.keras":
            path = spoiled_keras_file(sound[name], tmp_path / f"{number}.h5", place, fault)
            held += refused(lambda path=path: load_keras_file(path))
        else:
            spoil(Path(shutil.copyfile(sound[name], path)), place, fault)
            held += refused(lambda path=path: load_weights_file(target, path))
        path.unlink()
    tally(
        "weights",
        "An array that lies in another file, is linked to, announces more than its file has, or is "
        "not of finite numbers in the shape that the model has is refused, within 48 MiB",
        tried=len(cases),
        held=held,
    )
    assert held == len(cases)
    for name in sound:
        assert refused(lambda name=name: _load(target, sound[name])) is False


def _load(target: keras.Model, path: Path) -> None:
    load_keras_file(path) if path.suffix == ".keras" else load_weights_file(target, path)


def _npz_faults(value: np.ndarray) -> dict[str, bytes]:
    shape = value.shape
    return {
        "announces more than memory": npy(value, HUGE),
        "announces less": npy(value, (1,)),
        "becomes larger": npy(np.zeros(1 << 24, np.float32)),
        "another shape": npy(np.zeros((*shape, 2), np.float32)),
        "not a number": npy(np.full(shape, np.nan, np.float32)),
        "infinite": npy(np.full(shape, np.inf, np.float32)),
        "too large": npy(np.full(shape, 1e300)),
        "complex": npy(np.zeros(shape, np.complex64)),
        "whole numbers": npy(np.zeros(shape, np.int32)),
        "texts": npy(np.zeros(shape, "U4")),
        "objects": npy(np.full(shape, None)),
        "no array": b"x" * 100,
        "nothing": b"",
        "a deep header": b"\x93NUMPY\x01\x00" + (9000).to_bytes(2, "little") + b"(" * 9000,
    }


def test_no_member_of_an_npz_archive_is_believed(tmp_path):
    target = model()
    arrays = {weight.path: weight.numpy() for weight in target.weights}
    np.savez(tmp_path / "sound.npz", allow_pickle=False, **arrays)
    tried = held = 0
    for name, value in arrays.items():
        for content in _npz_faults(value).values():
            path = Path(shutil.copyfile(tmp_path / "sound.npz", tmp_path / "w.npz"))
            replace_member(path, f"{name}.npy", content, zipfile.ZIP_DEFLATED)
            tried += 1
            held += refused(lambda path=path: load_weights_file(target, path))
        for kind in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
            path = Path(shutil.copyfile(tmp_path / "sound.npz", tmp_path / "w.npz"))
            replace_member(path, f"{name}.npy", npy(value) + bytes(64 << 20), kind)
            say_less(path, f"{name}.npy", len(npy(value)))
            tried += 1
            held += refused(lambda path=path: load_weights_file(target, path))
    tally(
        "weights",
        "A member of an .npz archive that is no array of the model is refused before it is "
        "unpacked",
        tried=tried,
        held=held,
    )
    assert held == tried
    load_weights_file(target, tmp_path / "sound.npz")


def _in_config(layer: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with zipfile.ZipFile(path) as archive:
            config = json.loads(archive.read("config.json"))
        evil = {"module": "keras.layers", "class_name": layer, "config": {"name": "evil"}}
        config["config"]["layers"].append(evil)
        replace_member(path, "config.json", json.dumps(config).encode())

    return change


def _member(name: str, content: bytes = b"x") -> Callable[[Path], None]:
    return lambda path: replace_member(path, name, content, zipfile.ZIP_DEFLATED)


def _saying_less(kind: int) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        replace_member(path, "metadata.json", bytes(64 << 20), kind)
        say_less(path, "metadata.json", 100)

    return change


ARCHIVES = (
    *map(_in_config, ("Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer")),
    *map(_member, ("../outside", "/tmp/outside", "assets/../../outside", "a/b", "x.py")),
    *map(_member, ("model.weights.npz", "model.weights.json", "assets\\..\\x", "assets/..")),
    _member("assets/zeros", bytes(64 << 20)),
    _member("model.weights.h5", bytes(64 << 20)),
    _member("config.json", b" " * (64 << 20)),
    _member("config.json", b"[" * 100_000),
    _member("config.json", b"{}"),
    *map(_saying_less, (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)),
)


def test_no_archive_of_keras_is_believed(tmp_path):
    (tmp_path / "in").mkdir()
    model().save(tmp_path / "m.keras")
    held = 0
    for change in ARCHIVES:
        path = Path(shutil.copyfile(tmp_path / "m.keras", tmp_path / "in" / "w.keras"))
        change(path)
        is_refused = refused(lambda path=path: load_keras_file(path))
        held += is_refused and len(list(tmp_path.iterdir())) == 2
    tally(
        "weights",
        "A .keras file with code, with files that Keras does not write, or that becomes far larger "
        "is refused, and nothing of it is unpacked elsewhere",
        tried=len(ARCHIVES),
        held=held,
    )
    assert held == len(ARCHIVES)
