"""Weights files are loaded whole or refused with the layers that do not fit."""

import zipfile
from pathlib import Path

from tfft.system.tensorflow import keras

import h5py
import numpy as np
import pytest
from keras import layers
from untrusted.hostile_weights import (
    HUGE,
    announcing_it_compressed,
    another_shape,
    bounded_memory,
    complex_numbers,
    in_another_file,
    infinite,
    link_to_another_file,
    not_a_number,
    npy,
    replace_member,
    spoil,
    too_large,
    whole_numbers,
)

from tfft.backbones.build import build_backbone
from tfft.backbones.weights_loading import load_weights_file
from tfft.config.model import ApplicationBackbone
from tfft.errors import BackboneError, TfftError

Layers = list[tuple[str, list[np.ndarray]]]


def small_model(width: int = 4) -> keras.Model:
    images = keras.Input((8, 8, 3))
    x = layers.Conv2D(width, 3, name="conv")(images)
    x = layers.BatchNormalization(name="norm")(x)
    return keras.Model(images, layers.Conv2D(2, 1, name="last")(x), name="small")


def values_of(model: keras.Model) -> Layers:
    return [
        (
            layer.name,
            [w.numpy() for w in (*layer.trainable_weights, *layer.non_trainable_weights)],
        )
        for layer in model.layers
        if layer.weights
    ]


def write_keras2(path: Path, contents: Layers) -> Path:
    """Writes the layout in which keras.applications publishes its weights."""
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [name.encode() for name, _ in contents]
        for name, values in contents:
            names = [f"{name}/weight_{i}:0" for i in range(len(values))]
            group = file.create_group(name)
            group.attrs["weight_names"] = [weight.encode() for weight in names]
            for weight, value in zip(names, values, strict=True):
                group[weight] = value
    return path


def assert_equal_weights(model: keras.Model, other: keras.Model) -> None:
    for mine, theirs in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_keras_2_layout_is_loaded_in_order_whatever_the_names(tmp_path: Path):
    source, target = small_model(), small_model()
    contents = [(f"renamed_{name}", values) for name, values in values_of(source)]
    load_weights_file(target, write_keras2(tmp_path / "w.h5", contents))
    assert_equal_weights(target, source)


def test_keras_3_layout_is_loaded(tmp_path: Path):
    source, target = small_model(), small_model()
    source.save_weights(tmp_path / "w.weights.h5")
    load_weights_file(target, tmp_path / "w.weights.h5")
    assert_equal_weights(target, source)


def test_layers_that_do_not_fit_are_named(tmp_path: Path):
    path = write_keras2(tmp_path / "w.h5", values_of(small_model(width=5)))
    with pytest.raises(BackboneError, match=r"(?s)conv: shapes .*norm: shapes .*last: shapes"):
        load_weights_file(small_model(), path)


def test_a_file_with_a_classifier_is_refused_by_its_name(tmp_path: Path):
    contents = [*values_of(small_model()), ("predictions", [np.zeros((2, 9))])]
    path = write_keras2(tmp_path / "w.h5", contents)
    with pytest.raises(BackboneError, match="predictions: in the file, not in the model"):
        load_weights_file(small_model(), path)


def test_a_file_that_ends_early_is_refused(tmp_path: Path):
    path = write_keras2(tmp_path / "w.h5", values_of(small_model())[:-1])
    with pytest.raises(BackboneError, match="last: not in the file"):
        load_weights_file(small_model(), path)


def test_a_file_without_weights_is_refused(tmp_path: Path):
    with pytest.raises(BackboneError, match="conv: not in the file"):
        load_weights_file(small_model(), write_keras2(tmp_path / "w.h5", []))
    with h5py.File(tmp_path / "empty.weights.h5", "w"):
        pass
    with pytest.raises(BackboneError, match="holds no weights at all"):
        load_weights_file(small_model(), tmp_path / "empty.weights.h5")


def test_keras_3_file_of_another_model_is_refused_with_its_layers(tmp_path: Path):
    small_model(width=5).save_weights(tmp_path / "w.weights.h5")
    with pytest.raises(BackboneError, match=r"for 3 layers: conv, norm, last$"):
        load_weights_file(small_model(), tmp_path / "w.weights.h5")


def test_keras_3_file_with_more_than_the_model_is_refused(tmp_path: Path):
    model = small_model()
    with_head = keras.Model(model.input, layers.Dense(3)(layers.Flatten()(model.output)))
    with_head.save_weights(tmp_path / "w.weights.h5")
    with pytest.raises(BackboneError, match="it has 10 weights, the model 8"):
        load_weights_file(small_model(), tmp_path / "w.weights.h5")


def test_a_file_of_another_format_is_refused(tmp_path: Path):
    path = tmp_path / "w.h5"
    path.write_bytes(b"not HDF5")
    with pytest.raises(BackboneError, match="is damaged, or is not an HDF5 file"):
        load_weights_file(small_model(), path)
    with h5py.File(path, "w") as file:
        file["data"] = np.zeros(3)
    with pytest.raises(BackboneError, match=r"must be called NAME\.weights\.h5"):
        load_weights_file(small_model(), path)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (in_another_file, "its values lie in other files"),
        (link_to_another_file, "is a link, which may lead to another file"),
        (announcing_it_compressed, r"announces arrays of 160\.0 GB"),
        (another_shape, "does not fit small"),
        (whole_numbers, "does not fit small"),
        (complex_numbers, "holds no numbers, but complex64"),
        (not_a_number, "values that are not finite, or too large for float32, in conv/kernel"),
        (infinite, "values that are not finite"),
        (too_large, "too large for float32"),
    ],
)
@pytest.mark.parametrize("layout", ["keras_2", "keras_3"])
def test_an_array_that_is_no_weight_of_the_model_is_refused(tmp_path, layout, fault, message):
    path = tmp_path / "w.weights.h5"
    if layout == "keras_2":
        write_keras2(path, values_of(small_model()))
        place = "conv/conv/weight_0:0"
    else:
        small_model().save_weights(path)
        place = "layers/conv2d/vars/0"
    spoil(path, place, fault)
    model = small_model()
    with bounded_memory(), pytest.raises(TfftError, match=message):
        load_weights_file(model, path)


def efficientnet(weights: str = "random", seed: int = 0) -> keras.Model:
    config = ApplicationBackbone(kind="application", name="EfficientNetB0", weights=weights)
    return build_backbone(config, 32, seed).model


class TestNormalizationInTheFile:
    """The published files of EfficientNet hold a normalisation that tfft does before."""

    @pytest.fixture(scope="class")
    def source(self) -> keras.Model:
        return efficientnet(seed=4)

    def write(self, path: Path, variance: tuple[float, ...], source: keras.Model) -> Path:
        mean = np.array((0.485, 0.456, 0.406))
        normalization = ("normalization", [mean, np.array(variance), np.array(1)])
        return write_keras2(path, [normalization, *values_of(source)])

    def test_the_expected_one_is_left_out(self, tmp_path: Path, source: keras.Model):
        path = self.write(tmp_path / "w.h5", (0.229, 0.224, 0.225), source)
        assert_equal_weights(efficientnet(str(path)), source)

    def test_any_other_is_refused(self, tmp_path: Path, source: keras.Model):
        path = self.write(tmp_path / "w.h5", (1.0, 1.0, 1.0), source)
        with pytest.raises(BackboneError, match="normalises pixels by mean and variance"):
            efficientnet(str(path))


@pytest.mark.shared
def test_published_weights_are_loaded(shared_data: Path):
    config = ApplicationBackbone(
        kind="application",
        name="MobileNet",
        weights=str(shared_data / "weights" / "mobilenet_2_5_224_tf_no_top.h5"),
        arguments={"alpha": 0.25},
    )
    model = build_backbone(config, 32).model
    with h5py.File(config.weights) as file:
        kernel = np.asarray(file["conv_pw_13/conv_pw_13/kernel:0"])
    np.testing.assert_array_equal(model.get_layer("conv_pw_13").get_weights()[0], kernel)


class TestNpz:
    """Arrays by the names of layers and weights."""

    def write(self, path: Path, **changes: np.ndarray | None) -> Path:
        arrays = {weight.path: weight.numpy() for weight in small_model().weights}
        arrays |= {name.replace("__", "/"): value for name, value in changes.items()}
        np.savez(path, **{name: value for name, value in arrays.items() if value is not None})
        return path

    def test_every_weight_is_set_by_its_name(self, tmp_path: Path):
        target = small_model()
        source = small_model()
        path = tmp_path / "w.npz"
        np.savez(path, **{weight.path: weight.numpy() for weight in reversed(source.weights)})
        load_weights_file(target, path)
        assert_equal_weights(target, source)

    def test_misfits_are_named(self, tmp_path: Path):
        path = self.write(
            tmp_path / "w.npz",
            conv__kernel=np.zeros((1, 1)),
            norm__gamma=None,
            head__bias=np.ones(2),
        )
        with pytest.raises(BackboneError) as raised:
            load_weights_file(small_model(), path)
        lines = str(raised.value).splitlines()[1:]
        assert lines[0] == "  norm/gamma: not in the file"
        assert lines[1] == "  head/bias: in the file, not in the model"
        assert "conv/kernel: shape" in lines[2]

    def test_pickled_objects_are_refused(self, tmp_path: Path):
        np.savez(tmp_path / "w.npz", evil=np.array([{"code": 1}], dtype=object))
        with pytest.raises(BackboneError, match=r"is not a \.npz archive of plain arrays"):
            load_weights_file(small_model(), tmp_path / "w.npz")

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (npy(np.zeros(4, "f4"), HUGE), r"is not as long as its shape \(200000, 200000\) says"),
            (npy(np.zeros((3, 3, 3, 4), "i4")), "conv/kernel: shape .*float32; .*int32"),
            (npy(np.zeros((3, 3, 3, 4), "c8")), "conv/kernel: shape .*float32; .*complex64"),
            (npy(np.full((3, 3, 3, 4), np.nan, "f4")), "not finite, .* in conv/kernel"),
            (npy(np.zeros((1 << 24,), "f4")), "conv/kernel: shape .*; the file has"),
        ],
        ids=["announced", "whole numbers", "complex", "not finite", "compressed"],
    )
    def test_an_array_that_is_no_weight_of_the_model_is_refused(self, tmp_path, content, message):
        path = self.write(tmp_path / "w.npz")
        replace_member(path, "conv/kernel.npy", content, zipfile.ZIP_DEFLATED)
        model = small_model()
        with bounded_memory(), pytest.raises(TfftError, match=message):
            load_weights_file(model, path)
