"""Four heads on one backbone, from a manifest to every form of the model."""

import csv
import json
from pathlib import Path

import keras
import numpy as np
import pytest
from drawn_scenes import SIZE_PX, scenes_recipe, write_scenes
from progresses import Interrupting
from shapes import small_backbone, weights_of, write_backbone

from tfft.cli.predict import predict_files
from tfft.errors import DataError, RecipeError
from tfft.evaluation.evaluate import evaluate
from tfft.exports.export import Export, export
from tfft.runs.run import Run
from tfft.runtime.load import load_predictor
from tfft.system.progress import SILENT
from tfft.transfer.estimate import dry_run
from tfft.transfer.resume import resume
from tfft.transfer.train import train

_FIGURES = {"shape": "top1", "look": "f1", "size": "mae", "where": "mean_iou"}
_MOBILENET = {
    "kind": "application",
    "name": "MobileNet",
    "weights": "random",
    "arguments": {"alpha": 0.25},
}
_PHASES = (
    {"unfreeze": "none", "epochs": 8, "learning_rate": 0.01},
    {
        "unfreeze": {"last_blocks": 2},
        "epochs": 2,
        "learning_rate": 1e-3,
        "augment": "random_crop",
    },
)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("scenes") / "all" / "pictures"
    root.mkdir(parents=True)
    return write_scenes(root)


@pytest.fixture(scope="module")
def backbone(manifest: Path) -> dict[str, object]:
    return small_backbone(write_backbone(manifest.parents[1]))


@pytest.fixture(scope="module")
def run(manifest: Path, backbone: dict, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that nothing interrupted."""
    place = tmp_path_factory.mktemp("whole")
    return train(scenes_recipe(manifest, backbone, *_PHASES), run=place / "run")


@pytest.fixture(scope="module")
def exported(run: Run) -> Export:
    place = run.path.with_name("saved_models")
    return export(run.path, output=place, tflite={"timed": False})


def _history(run: Path) -> list[dict[str, str]]:
    with (run / "history.csv").open() as stream:
        return list(csv.DictReader(stream))


def test_pictures_are_not_changed_in_ways_that_lose_the_box(manifest: Path):
    phase = {"unfreeze": "all", "epochs": 1, "learning_rate": 1e-3, "augment": "rand_augment"}
    phases = (phase, {**phase, "augment": "random_crop", "mix": {"kind": "mixup"}})
    with pytest.raises(RecipeError) as caught:
        dry_run(scenes_recipe(manifest, _MOBILENET, *phases))
    assert [line.split(",")[0].strip() for line in str(caught.value).splitlines()[1:]] == [
        "train.phases.0.augment: rand_augment turns",
        "train.phases.1.mix: a mixture of two images has no one box",
    ]


def test_a_box_is_not_solved_and_top1_chooses_for_classes_only(manifest: Path):
    with pytest.raises(RecipeError) as caught:
        dry_run(scenes_recipe(manifest, _MOBILENET, {"solver": "linear", "choose_by": "top1"}))
    assert [line.strip() for line in str(caught.value).splitlines()[1:]] == [
        "train.phases.0.solver: linear solves heads for classes, labels and numbers, not the box "
        "of where. Train it by steps: {unfreeze: none, epochs: 20, learning_rate: 1e-3}",
        "train.phases.0.choose_by: top1 is a metric of classifications, not of look "
        "(multi_label), size (regression), where (box). Use choose_by: loss",
    ]


@pytest.mark.slow
def test_heads_for_classes_labels_and_numbers_are_solved(
    manifest: Path, backbone: dict, tmp_path: Path
):
    whole = scenes_recipe(manifest, backbone, {"solver": "linear", "refit": True})
    heads = {name: head for name, head in whole.heads.items() if name != "where"}
    run = train(whole.model_copy(update={"heads": heads}), run=tmp_path / "run")
    figures = run.metrics
    assert figures["shape"]["top1"] >= 0.5
    assert figures["look"]["f1"] > 0.7
    assert figures["size"]["loss"] < 1.0  # of the variance
    assert load_predictor(run.path).info.heads.keys() == heads.keys()


@pytest.fixture(scope="module")
def solved(backbone: dict, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run whose heads for labels and numbers are solved, on enough pictures for thresholds."""
    root = tmp_path_factory.mktemp("solved")
    (root / "pictures").mkdir()
    manifest = write_scenes(root / "pictures", count=150)
    recipe = scenes_recipe(manifest, backbone, {"solver": "linear", "refit": True})
    heads = {name: recipe.heads[name] for name in ("look", "size")}
    return train(recipe.model_copy(update={"heads": heads}), run=root / "run")


@pytest.mark.slow
def test_thresholds_are_chosen_by_what_a_head_said_before_it_was_refitted(solved: Run):
    before = np.load(solved.path / "validation_before_refit.npz")["outputs/look"]
    evaluation = evaluate(solved.path, split="validation").metrics["look"]
    assert before.shape == (30, 2)
    thresholds = load_predictor(solved.path).info.heads["look"].thresholds
    assert [row["threshold"] for row in evaluation["per_label"]] == pytest.approx(thresholds)
    assert thresholds != (0.5, 0.5)
    for column, threshold in enumerate(thresholds):
        below = before[before[:, column] < threshold, column]
        above = before[before[:, column] > threshold, column]
        assert threshold == 0.5 or threshold == pytest.approx((below.max() + above.min()) / 2)


@pytest.mark.slow
def test_solved_labels_and_numbers_are_the_same_in_every_form(solved: Run):
    exported = export(
        solved.path, output=solved.path.with_name("saved_models"), tflite={"timed": False}
    )
    original = load_predictor(solved.path)
    manifest = Path(original.info.data["path"])
    paths = [str(manifest.with_name(f"{number:02d}.png")) for number in range(40)]
    said = list(predict_files(original, paths, 1, SILENT))
    assert {label["applies"] for one in said for label in one["predictions"]["look"]} == {
        True,
        False,
    }
    figures = evaluate(solved.path).metrics
    for model in (exported.savedmodel, *exported.tflite.values()):
        assert load_predictor(model).info.heads == original.info.heads, model
    for model in (exported.savedmodel, exported.tflite["float32"]):
        predictor = load_predictor(model)
        for one, other in zip(said, predict_files(predictor, paths, 1, SILENT), strict=True):
            applying = [
                {label["label"]: label["applies"] for label in each["predictions"]["look"]}
                for each in (one, other)
            ]
            assert applying[0] == applying[1]
            number = one["predictions"]["size"]["value"]
            assert other["predictions"]["size"]["value"] == pytest.approx(number, rel=1e-4)
        metrics = evaluate(model).metrics
        for head, figure in (("look", "macro_f1"), ("size", "mae")):
            assert metrics[head][figure] == pytest.approx(figures[head][figure], rel=1e-3)


def test_a_box_head_needs_more_than_one_place_to_look_at(manifest: Path):
    recipe = scenes_recipe(manifest, _MOBILENET, *_PHASES)
    small = recipe.model_copy(update={"image": recipe.image.model_copy(update={"size_px": 32})})
    with pytest.raises(RecipeError) as caught:
        dry_run(small)
    assert str(caught.value).splitlines()[1].strip() == (
        "heads.where.pooling: grid needs activations of more than one position, and those of "
        "MobileNet at 32 px are 1 x 1: raise image.size_px, or use pooling: avg"
    )


def test_a_weight_is_that_of_a_class_of_the_data(manifest: Path):
    recipe = scenes_recipe(manifest, _MOBILENET, *_PHASES)
    shape = recipe.heads["shape"].model_copy(update={"class_weights": {"disc": 2.0, "crosss": 3.0}})
    wrong = recipe.model_copy(update={"heads": {**recipe.heads, "shape": shape}})
    with pytest.raises(RecipeError) as caught:
        dry_run(wrong)
    assert str(caught.value) == (
        "heads.shape.class_weights: 'crosss' is not a class of list. Did you mean 'cross'?"
    )


def test_a_list_of_test_images_alone_trains_nothing(tmp_path: Path):
    path = write_scenes(tmp_path, count=3)
    path.write_text(path.read_text().replace(",train", ",test"))
    with pytest.raises(DataError, match="list has no training images, only test"):
        dry_run(scenes_recipe(path, _MOBILENET, *_PHASES))


@pytest.mark.slow
def test_each_head_has_its_own_figures(run: Run):
    assert {head: set(figures) for head, figures in run.metrics.items()} == {
        head: {"loss", figure} for head, figure in _FIGURES.items()
    }
    kept = json.loads((run.path / "metrics.json").read_text())
    assert kept["validation"] == run.metrics
    for row in _history(run.path):
        for split in ("train", "validation"):
            for head, figure in _FIGURES.items():
                assert np.isfinite(float(row[f"{split}/{head}/loss"]))
                assert float(row[f"{split}/{head}/{figure}"]) >= 0


@pytest.mark.slow
def test_each_head_learns(run: Run):
    first, *_, last = _history(run.path)[: _PHASES[0]["epochs"]]
    for head in _FIGURES:
        assert float(last[f"train/{head}/loss"]) < float(first[f"train/{head}/loss"]), head


@pytest.mark.slow
def test_an_interrupted_run_ends_as_the_whole_one(
    manifest: Path, backbone: dict, run: Run, tmp_path: Path
):
    recipe = scenes_recipe(manifest, backbone, *_PHASES, checkpoint_seconds=1e-9)
    pieces = 8 * 2 + 2  # two pieces an epoch from cached features, then one a step
    with pytest.raises(KeyboardInterrupt):
        train(recipe, run=tmp_path / "cut", progress=Interrupting(pieces))
    assert json.loads((tmp_path / "cut" / "run.json").read_text())["status"] == "interrupted"
    again = resume(tmp_path / "cut")
    assert again.metrics == run.metrics
    expected, actual = weights_of(run.path), weights_of(again.path)
    assert expected.keys() == actual.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(actual[name], value, err_msg=name)


@pytest.mark.slow
def test_evaluation_is_what_training_measured(run: Run):
    metrics = evaluate(run.path, split="validation").metrics
    for head, figure in _FIGURES.items():
        assert metrics[head][figure] == pytest.approx(run.metrics[head][figure], rel=1e-3), head


@pytest.mark.slow
def test_missing_targets_are_not_counted(run: Run, manifest: Path):
    with manifest.open() as stream:
        rows = [row for row in csv.DictReader(stream) if row["split"] == "test"]
    evaluation = evaluate(run.path)
    assert evaluation.examples == len(rows) == 12
    for head, column in (("size", "size"), ("where", "box")):
        there = sum(bool(row[column]) for row in rows)
        assert evaluation.metrics[head]["examples"] == there < 12


@pytest.mark.slow
def test_every_form_of_the_model_has_the_figures_of_keras(run: Run, exported: Export):
    keras_figures = evaluate(run.path).metrics
    for model in (exported.savedmodel, exported.tflite["float32"]):
        metrics = evaluate(model).metrics
        assert metrics.keys() == keras_figures.keys()
        for head, figure in _FIGURES.items():
            expected = keras_figures[head][figure]
            assert metrics[head][figure] == pytest.approx(expected, rel=1e-3), (model, head)


@pytest.mark.slow
def test_exports_name_what_each_head_says(exported: Export):
    answers = {
        *("shape_logits", "shape_probabilities", "look_logits", "look_probabilities"),
        *("size", "where"),
    }
    import tensorflow as tf

    signatures = tf.saved_model.load(str(exported.savedmodel)).signatures
    assert signatures.keys() >= {"serving_default", "serve_uint8", "serve_bytes"}
    for name, signature in signatures.items():
        if name != "describe":
            assert answers <= set(signature.structured_outputs)
    for check in exported.checks.values():
        assert check["heads"].keys() == _FIGURES.keys()
        assert check["largest_difference"] < 1e-3


@pytest.mark.slow
def test_a_predicted_box_is_in_the_whole_picture(run: Run, exported: Export, manifest: Path):
    """The model sees the middle square of a picture of 72 x 48: columns 12 to 60."""
    paths = [str(manifest.with_name(f"{number:02d}.png")) for number in range(6)]
    answers = list(predict_files(load_predictor(run.path), paths, 5, SILENT))
    predictor = load_predictor(run.path)
    seen = predictor.answers(predictor.pixels([Path(path).read_bytes() for path in paths]))
    for answer, (ymin, xmin, ymax, xmax) in zip(answers, seen["where"].tolist(), strict=True):
        columns = [(12 + 48 * share) / 72 for share in (xmin, xmax)]
        assert answer["predictions"]["where"]["box"] == pytest.approx(
            [ymin, columns[0], ymax, columns[1]], abs=1e-5
        )
    for model in (exported.savedmodel, exported.tflite["float32"]):
        others = predict_files(load_predictor(model), paths, 5, SILENT)
        for one, other in zip(answers, others, strict=True):
            box = one["predictions"]["where"]["box"]
            assert other["predictions"]["where"]["box"] == pytest.approx(box, abs=1e-3)


@pytest.mark.slow
def test_the_model_needs_nothing_but_keras(run: Run):
    model = keras.saving.load_model(run.path / "model.keras", compile=False, safe_mode=True)
    outputs = model(np.zeros((2, SIZE_PX, SIZE_PX, 3), np.float32))
    assert {name: tuple(output.shape) for name, output in outputs.items()} == {
        "shape": (2, 3),
        "look": (2, 2),
        "size": (2, 1),
        "where": (2, 4),
    }
