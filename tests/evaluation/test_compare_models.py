"""Two models in pairs: on which images, what is said where that is not known, and the gate."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import tfft.evaluation.compare_models
from tfft.cli.main import run
from tfft.config.data import ImageFolderData
from tfft.data.kept_splits import write_kept_splits
from tfft.data.load import load_data
from tfft.errors import DataError, GateError, ModelFileError, UsageError
from tfft.evaluation.compare_models import compare_models
from tfft.evaluation.evaluate import evaluate
from tfft.runtime.info import HeadInfo, ModelInfo
from tfft.runtime.load import read_model_info


@pytest.fixture(autouse=True)
def timed_once(monkeypatch):
    """Models are timed, but not often."""
    monkeypatch.setattr(tfft.evaluation.compare_models, "_TIMED_CALLS", 1)


def copied_run(run: Path, pictures: Path, copy: Path, **data) -> Path:
    """Copies a run as one that keeps the split of each image, split as `data` says."""
    shutil.copytree(run, copy)
    config = ImageFolderData(kind="image_folder", path=pictures, **data)
    write_kept_splits(copy / "splits.csv", load_data(config))
    return copy


@pytest.fixture(scope="module")
def old(small_run, pictures, tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("old") / "run"
    return copied_run(small_run, pictures, place, test_fraction=0.5, split_by="name")


@pytest.fixture(scope="module")
def new(small_run, pictures, tmp_path_factory) -> Path:
    """A run with other splits, and half as many images for testing."""
    place = tmp_path_factory.mktemp("new") / "run"
    return copied_run(small_run, pictures, place, test_fraction=0.25, split_by="name", split_seed=1)


class Model:
    """The model of a run, loaded once for all; a spoiled one never says blue."""

    kind, decoder = "keras", "pillow"

    def __init__(self, keras, run: Path, info: ModelInfo | None = None, *, spoiled=False) -> None:
        self.path, self.info = str(run / "model.keras"), info or read_model_info(run)
        self._keras, self._spoiled = keras, spoiled

    def pixels(self, encoded, boxes=None) -> np.ndarray:
        return self._keras.pixels(encoded, boxes)

    def answers(self, images) -> dict[str, np.ndarray]:
        answers = self._keras.answers(images)["label"].copy()
        answers[:, 0] *= not self._spoiled
        (head,) = self.info.heads.values()
        return {name: answers[:, : len(head.class_names)] for name in self.info.heads}

    def answers_from_bytes(self, encoded, boxes=None) -> dict[str, np.ndarray]:
        return self.answers(self.pixels(encoded, boxes))


@pytest.fixture
def of(small_keras) -> Callable[..., Model]:
    """Makes the model of a run."""
    return lambda *arguments, **options: Model(small_keras, *arguments, **options)


def rows(run: Path) -> dict[str, str]:
    """The split of each image of a run."""
    lines = (run / "splits.csv").read_text().splitlines()[1:]
    return {line.split(",")[0]: line.split(",")[2] for line in lines}


def test_images_that_either_was_trained_on_are_left_out(of, old, new, pictures, tmp_path):
    for_old, for_new = rows(old), rows(new)
    unseen = [name for name in for_old if {for_old[name], for_new[name]} == {"test"}]
    assert 0 < len(unseen) < 6
    more = shutil.copytree(pictures, tmp_path / "more")
    comparison = compare_models(of(old), of(new), data=more)
    assert comparison.split == "all"
    assert comparison.examples == len(unseen)
    assert comparison.left_out == 24 - len(unseen)
    assert comparison.old.left_out == 24 - list(for_old.values()).count("test")
    assert comparison.new.left_out == 24 - list(for_new.values()).count("test")
    # By default the test images of the new one.
    of_new = compare_models(of(old), of(new))
    assert of_new.split == "test"
    assert of_new.examples == len(unseen)
    assert of_new.unknown == ()


def test_a_model_is_not_different_from_itself(of, old):
    comparison = compare_models(of(old), of(old))
    (head,) = comparison.heads.values()
    assert (head.verdict, head.difference, head.only_old, head.only_new) == ("not shown", 0, (), ())
    assert comparison.left_out == 0 and comparison.examples == 12
    assert comparison.old.bytes == comparison.new.bytes == (old / "model.keras").stat().st_size
    assert comparison.old.latency_ms > 0
    assert json.loads(json.dumps(comparison.to_json())) == comparison.to_json()
    assert "no difference that these images can show: +0.0 points of top-1" in str(comparison)


def test_answers_that_an_evaluation_kept_are_not_computed_again(of, old, tmp_path, monkeypatch):
    run_of = shutil.copytree(old, tmp_path / "run")
    computed = compare_models(of(run_of), of(run_of))
    evaluate(of(run_of))
    with monkeypatch.context() as patched:
        patched.setattr(tfft.evaluation.compare_models, "predict_index", None)
        kept = compare_models(of(run_of), of(run_of))
    assert kept.heads["label"].to_json() == computed.heads["label"].to_json()


def test_a_loss_is_shown_and_ends_a_promotion(of, old):
    comparison = compare_models(of(old), of(old, spoiled=True))
    head = comparison.heads["label"]
    assert head.difference < -0.2 and len(head.only_old) >= 3
    (blue,) = [each for each in head.classes if each.label == "blue"]
    assert (blue.old, blue.new) == (1.0, 0.0)
    assert all(name.startswith("blue/") for name in head.only_old)
    with pytest.raises(GateError, match=r"head label: the difference in top-1 may be -0\.\d+, bel"):
        comparison.require(max_loss=0.05)
    with pytest.raises(GateError, match=r"--min-gain 0\.01"):
        compare_models(of(old), of(old)).require(min_gain=0.01)
    compare_models(of(old), of(old)).require(max_loss=0.5)
    comparison.require()


def test_where_it_is_not_known_what_was_trained_on_the_verdict_says_so(
    exported, of, old, pictures, tmp_path
):
    model = str(shutil.copytree(exported.savedmodel, tmp_path / "elsewhere" / "1"))
    comparison = compare_models(of(old), model, data=pictures)
    assert comparison.unknown == (model,)
    assert comparison.new.left_out is None and comparison.old.left_out == 12
    assert f"It is not known which of these images {model} was trained on" in str(comparison)
    # Without data, the images of the one that says where they are.
    hidden = of(old, read_model_info(old).without_places())
    pairs = ((of(old), hidden), (hidden, of(old)))
    assert [compare_models(*pair).examples for pair in pairs] == [12, 12]
    with pytest.raises(ModelFileError, match="does not say where the images are"):
        compare_models(hidden, hidden)


def test_classes_of_one_model_alone_are_told_apart(of, old):
    info = read_model_info(old)
    fewer = replace(info, heads={"label": HeadInfo("classification", ("blue", "green"), "label")})
    comparison = compare_models(of(old, fewer, spoiled=True), of(old))
    head = comparison.heads["label"]
    (red,) = [each for each in head.classes if each.label == "red"]
    assert red.old is None and red.new == 1.0
    assert head.examples == 12 - red.examples
    assert head.only_new and all(name.startswith("blue/") for name in head.only_new)


def test_what_cannot_be_compared_is_named(of, old, pictures, tmp_path):
    info = read_model_info(old)
    other = replace(info, heads={"kind": HeadInfo("classification", ("a", "b"), "kind")})
    with pytest.raises(UsageError, match="no head for classes in common"):
        compare_models(of(old), of(old, other))
    trained = [name for name, split in rows(old).items() if split == "train"]
    for name in trained:
        (tmp_path / "seen" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(pictures / name, tmp_path / "seen" / name)
    with pytest.raises(DataError, match=r"was trained on each of the \d+ images"):
        compare_models(of(old), of(old), data=tmp_path / "seen")


def test_labels_hold_in_a_comparison(of, old, tmp_path):
    name = next(name for name, split in rows(old).items() if split == "test")
    file = tmp_path / "labels.csv"
    file.write_text(f"path,label\n{name},\n")
    labels = {"data.labels": file}
    assert compare_models(of(old), of(old), overrides=labels).examples == 11


def test_the_command_compares_two_models(of, old, new, monkeypatch, capsys):
    monkeypatch.setattr("tfft.load_predictor", lambda path, **_: of(Path(path)))
    assert run(["compare", str(old), str(new), "-q", "--max-loss", "0.9"]) == 0
    shown = capsys.readouterr().out
    assert "no difference that these images can show" in shown
    assert "ms an image, with decoding" in shown
    assert run(["compare", str(old), str(new), "-q", "--json", "--min-gain", "0.01"]) == 3
    said = capsys.readouterr()
    assert json.loads(said.out)["heads"]["label"]["verdict"] == "not shown"
    assert "below --min-gain 0.01" in said.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--seeds", "3"], "--seeds: for ways of training, not for two models"),
        (["--recipe", "quickstart", "--target", "0.5"], "--recipe, --target: for ways of training"),
        (["--timeout", "3"], "--timeout is for the URLs of served models"),
        (["--info", "runs/a"], "--info is for the URL of a served model, once for each"),
        (["--set", "data.split_seed=1"], "--set is for the images that --data names"),
    ],
)
def test_options_of_something_else_are_refused(of, old, monkeypatch, capsys, arguments, said):
    monkeypatch.setattr("tfft.load_predictor", lambda path, **_: of(Path(path)))
    assert run(["compare", str(old), str(old), *arguments]) == 2
    assert said in capsys.readouterr().err


def test_a_model_beside_ways_of_training_is_refused(old, exported, capsys):
    tflite = str(next(iter(exported.tflite.values())))
    assert run(["compare", tflite, "head_only"]) == 2
    assert "is compared with one other model, tfft compare OLD NEW" in capsys.readouterr().err
    assert run(["compare", "scratch", "head_only", "--max-loss", "0.1"]) == 2
    assert "--max-loss: for two models, not for ways of training" in capsys.readouterr().err
