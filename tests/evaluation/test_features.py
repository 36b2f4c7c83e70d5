"""The features of images, in files of three formats."""

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from pyarrow import parquet

from tfft.cli.main import run
from tfft.errors import DataError, ModelFileError, UsageError
from tfft.evaluation import feature_files, features
from tfft.evaluation.data import recorded_data
from tfft.evaluation.features import embed
from tfft.model.features import feature_model
from tfft.system.progress import SILENT

FORMATS = ("parquet", "npz", "npy")


@pytest.fixture(scope="module")
def files(small_run, tmp_path_factory) -> dict[str, Path]:
    """A file of each format over the images of `small_run`; groups of Parquet have 24 rows."""
    places = {name: tmp_path_factory.mktemp("features") / f"f.{name}" for name in FORMATS}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feature_files, "_ROWS_OF_A_GROUP", 10)
        patch.setattr(features, "_BATCH_SIZE", 8)
        for path in places.values():
            embed(small_run, output=path)
    return places


def test_they_are_what_the_head_takes(files, small_keras):
    """Kernel and bias on them are the logits of the model."""
    found = np.load(files["npz"])
    dense = small_keras.model.get_layer("label_logits")
    data = recorded_data(small_keras.info, SILENT)
    index = data.splits["test"]
    at = {name: row for row, name in enumerate(found["ids"])}
    rows = found["features"][[at[name] for name in index.ids]]
    pixels = small_keras.pixels([index.read(k) for k in range(len(index))])
    np.testing.assert_allclose(
        rows @ dense.kernel.numpy() + dense.bias.numpy(),
        small_keras.logits(pixels)["label"],
        atol=1e-4,
    )


def test_every_format_has_the_same_rows(files):
    table, arrays = parquet.read_table(files["parquet"]), np.load(files["npz"])
    rows = np.load(files["npy"])
    assert rows.dtype == np.float32
    assert rows.shape == (24, 8)
    np.testing.assert_array_equal(arrays["features"], rows)
    np.testing.assert_array_equal(np.stack(table["features"].to_numpy()), rows)
    assert table.column_names == ["id", "label", "split", "features"]
    for column in ("id", "label", "split"):
        assert table[column].to_pylist() == arrays[f"{column}s"].tolist()


def test_parquet_is_written_in_groups_and_says_what_made_it(files):
    file = parquet.ParquetFile(files["parquet"])
    assert [file.metadata.row_group(k).num_rows for k in range(2)] == [16, 8]
    about = json.loads(file.schema_arrow.metadata[b"tfft"])
    assert about.items() >= {"model": "colours", "head": "label"}.items()


def test_images_of_a_run_come_with_their_labels_and_splits(files, small_keras):
    found, data = np.load(files["npz"]), recorded_data(small_keras.info, SILENT)
    assert [Path(name).parts[0] for name in found["ids"]] == found["labels"].tolist()
    for split, index in data.splits.items():
        assert found["ids"][found["splits"] == split].tolist() == list(index.ids)


@pytest.fixture
def loaded(small_run, small_keras, monkeypatch) -> Path:
    """`small_run`, whose model is loaded already."""
    monkeypatch.setattr(features, "_keras_model", lambda _: small_keras)
    return small_run


def test_images_need_no_labels(loaded, pictures, tmp_path):
    folder = tmp_path / "unsorted"
    shutil.copytree(pictures / "red", folder / "red")
    for photo in (pictures / "blue").iterdir():
        shutil.copy(photo, folder / photo.name)
    written = embed(loaded, folder, output=tmp_path / "f.parquet")
    table = parquet.read_table(written.path)
    assert written.columns == ("id", "label")
    assert table["label"].to_pylist() == [None] * 8 + ["red"] * 8


@pytest.mark.slow
@pytest.mark.parametrize("label", ["", ",label"])
def test_a_list_may_have_labels_or_not(loaded, pictures, tmp_path, label):
    lines = [
        f"{photo}{label and f',{colour}'}"
        for colour in ("red", "blue")
        for photo in sorted((pictures / colour).iterdir())[:2]
    ]
    (tmp_path / "list.csv").write_text("\n".join([f"path{label}", *lines]))
    written = embed(loaded, tmp_path / "list.csv", output=tmp_path / "f.npz")
    found = np.load(written.path)
    assert ("labels" in found.files) == bool(label)
    assert found["features"].shape == (4, 8)


def test_a_file_that_is_no_image_stops_it_or_is_passed_over(loaded, pictures, tmp_path):
    folder = tmp_path / "unsorted"
    shutil.copytree(pictures / "red", folder)
    (folder / "notes.txt").write_text("no image")
    with pytest.raises(DataError, match=r"notes\.txt"):
        embed(loaded, folder, output=tmp_path / "f.npy")
    skipping = {"data.on_bad_image": "skip"}
    written = embed(loaded, folder, output=tmp_path / "f.npy", overrides=skipping)
    assert (written.images, [image.path for image in written.skipped]) == (8, ["notes.txt"])


def test_a_folder_without_images_is_named(loaded, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"empty has no images in it"):
        embed(loaded, tmp_path / "empty", output=tmp_path / "f.npy")


@pytest.mark.parametrize("suffix", FORMATS)
def test_what_is_interrupted_leaves_no_file(loaded, tmp_path, monkeypatch, suffix):
    def interrupted(*_):
        yield np.zeros((8, 8), np.float32)
        raise KeyboardInterrupt

    monkeypatch.setattr(features, "_features", interrupted)
    (tmp_path / "f.npy").write_bytes(b"from before")
    with pytest.raises(KeyboardInterrupt):
        embed(loaded, output=tmp_path / f"f.{suffix}")
    assert [path.name for path in tmp_path.iterdir()] == ["f.npy"]
    assert (tmp_path / "f.npy").read_bytes() == b"from before"


def test_the_ending_of_the_file_is_looked_at_before_anything_else(tmp_path):
    with pytest.raises(UsageError, match=r"\.parquet, \.npz, \.npy.*Received: f\.csv"):
        embed(tmp_path / "no-run", output=Path("f.csv"))


def test_what_answers_only_is_refused_by_name(small_run, tmp_path):
    for model in ("http://localhost:1/v1/models/a", tmp_path / "a.tflite"):
        with pytest.raises(ModelFileError, match=r"answers only.*Give the run"):
            embed(model, output=tmp_path / "f.npy")


def test_a_head_that_is_not_there_is_named(loaded, tmp_path):
    with pytest.raises(UsageError, match=r"Its heads: label\. Did you mean 'label'\?"):
        embed(loaded, output=tmp_path / "f.npy", head="labels")


def test_a_head_that_looks_at_positions_has_their_mean_as_its_features():
    images = keras.Input((4, 4, 3))
    x = keras.layers.Conv2D(5, 1, name="net")(images)
    head = keras.layers.Dropout(0.5, name="place_dropout")(x)
    head = keras.layers.Flatten(name="place_flat")(head)
    head = keras.layers.Dense(4, name="place_logits")(head)
    model = keras.Model(images, {"place": head})
    ones = np.ones((1, 4, 4, 3), np.float32)
    np.testing.assert_allclose(
        feature_model(model, "place")(ones), model.get_layer("net")(ones)[:, 0, 0], rtol=1e-6
    )


def test_a_model_of_others_is_refused():
    images = keras.Input((4,))
    model = keras.Model(images, {"label": keras.layers.Dense(2, name="mine")(images)})
    with pytest.raises(ModelFileError, match="no layer label_logits"):
        feature_model(model, "label")


@pytest.mark.slow
def test_the_command_says_where_they_are(small_run, tmp_path, capsys):
    path = tmp_path / "f.npz"
    assert run(["embed", str(small_run), "--output", str(path), "--split", "test", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said.items() >= {"path": str(path), "images": 12, "features": 8}.items()
    assert said["columns"] == ["id", "label", "split"]
    assert set(np.load(path)["splits"]) == {"test"}
