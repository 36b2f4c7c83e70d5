"""Training a recipe, on images of three shapes in a folder and a small backbone."""

import csv
import json
import shutil
from pathlib import Path

from tfft.system.tensorflow import ONEDNN

import numpy as np
import pytest
from progresses import Interrupting, Listening
from shapes import (
    ALL,
    FEATURES,
    HEADS,
    LAST,
    LINEAR,
    THREE_PHASES,
    shapes_recipe,
    weights_of,
    write_backbone,
    write_photos,
)

import tfft.runtime.convert_model as converting
from tfft.config.loading.load import dump_recipe, load_recipe
from tfft.errors import (
    DataError,
    ModelFileError,
    NotFiniteError,
    RecipeError,
    UsageError,
)
from tfft.runs.run import Run, create_run
from tfft.runtime.load import load_predictor
from tfft.system.formats import RUN
from tfft.transfer import checkpoints as state
from tfft.transfer import train as training
from tfft.transfer.estimate import dry_run
from tfft.transfer.resume import resume
from tfft.transfer.train import onednn_so_far, train


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = write_photos(tmp_path_factory.mktemp("photos"))
    (path / "readme.txt").touch()
    return path


@pytest.fixture(scope="module", autouse=True)
def backbone(photos: Path) -> Path:
    return write_backbone(photos)


def _backbone(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {k: v for k, v in weights.items() if "label_" not in k and k != "seeds"}


def _history(run: Path) -> list[dict[str, str]]:
    with (run / "history.csv").open() as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def whole(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of three phases that nothing interrupted."""
    return train(shapes_recipe(photos, *THREE_PHASES), run=tmp_path_factory.mktemp("whole") / "run")


@pytest.fixture(scope="module")
def solved(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of one solved phase: its backbone is as it was loaded. It is converted at its end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TFFT_ENGINE", "auto")
        return train(shapes_recipe(photos, LINEAR), run=tmp_path_factory.mktemp("solved") / "run")


def test_a_run_has_all_that_is_needed_to_use_and_to_repeat_it(photos: Path, solved: Run):
    run, recipe = solved, shapes_recipe(photos, LINEAR)
    files = {p.name for p in run.path.iterdir()}
    assert files >= {
        *("recipe.yaml", "run.json", "splits.csv", "plan.json", "history.csv", "metrics.json"),
        *("model.keras", "model.json", "checkpoints", "tensorboard"),
    }
    assert load_recipe(run.path / "recipe.yaml") == recipe
    record = json.loads((run.path / "run.json").read_text())
    assert record["status"] == "finished"
    assert sum(record["data"]["images"].values()) == 90
    assert [row["phase"] for row in _history(run.path)] == ["1"]
    assert 0 <= run.metrics["label"]["top1"] <= 1


def test_a_run_says_whether_it_was_on_and_one_that_goes_on_otherwise_says_so(
    solved: Run, tmp_path: Path
):
    assert RUN.read(solved.record_file)["onednn"] == ONEDNN
    run, heard = Run(tmp_path), Listening()
    other = {"on": "off", "off": "on"}[ONEDNN]
    for before, after, said in (
        ({}, ONEDNN, False),
        ({"onednn": ONEDNN}, ONEDNN, False),
        ({"onednn": other}, f"{other}, then {ONEDNN}", True),
        ({"onednn": f"{other}, then {ONEDNN}"}, f"{other}, then {ONEDNN}", False),
    ):
        RUN.write(run.record_file, before)
        heard.messages.clear()
        assert onednn_so_far(run, heard) == after
        assert bool(heard.messages) == said


def test_a_finished_run_is_converted_so_that_it_answers_without_keras(solved: Run, monkeypatch):
    monkeypatch.setattr(converting, "convert_model", lambda *_: pytest.fail("not converted yet"))
    predictor = load_predictor(solved.path, engine="auto")
    assert predictor.kind == "converted"


def test_a_run_remembers_what_was_said_about_its_images(solved: Run):
    notes = ["readme.txt is ignored: it is in no class folder"]
    assert json.loads((solved.path / "run.json").read_text())["data"]["notes"] == notes
    assert solved.to_json()["notes"] == list(resume(solved.path).notes) == notes


@pytest.mark.slow
def test_a_heads_only_phase_leaves_every_bit_of_the_backbone(
    photos: Path, tmp_path: Path, solved: Run
):
    trained = train(shapes_recipe(photos, HEADS), run=tmp_path / "trained")
    streamed = train(shapes_recipe(photos, {**HEADS, "augment": "flip"}), run=tmp_path / "streamed")
    first = _backbone(weights_of(solved.path))
    assert len(first) == 7 * 5
    for run in (trained, streamed):
        for name, value in _backbone(weights_of(run.path)).items():
            np.testing.assert_array_equal(value, first[name])


def test_frozen_blocks_and_their_statistics_keep_every_bit(
    photos: Path, tmp_path: Path, solved: Run
):
    start = _backbone(weights_of(solved.path))
    phase = {**LAST, "batch_norm": "adapt"}
    run = train(shapes_recipe(photos, phase, keep_best=False), run=tmp_path / "b")
    changed = {
        name.split("/")[0]
        for name, value in _backbone(weights_of(run.path)).items()
        if not np.array_equal(value, start[name])
    }
    assert changed == {
        *("block_2_depthwise", "block_2_depthwise_bn", "block_2_pointwise", "block_2_pointwise_bn"),
        *("block_3_depthwise", "block_3_depthwise_bn", "block_3_pointwise", "block_3_pointwise_bn"),
    }


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "moves"), [("frozen", False), ("adapt", True)])
def test_batch_norm_statistics_move_only_when_asked(
    photos: Path, tmp_path: Path, solved: Run, mode: str, moves: bool
):
    start = weights_of(solved.path)
    phase = {**ALL, "batch_norm": mode}
    run = train(shapes_recipe(photos, phase, keep_best=False), run=tmp_path / "b")
    statistics = {k: v for k, v in weights_of(run.path).items() if "moving_" in k}
    assert len(statistics) == 7 * 2
    moved = [not np.array_equal(value, start[name]) for name, value in statistics.items()]
    assert all(moved) if moves else not any(moved)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("piece", "checkpoints_after", "place"),
    [
        (7, "steps", "phase 2 after 0 epochs and 2 steps"),
        (9, "phases", "phase 2 after 0 epochs"),
        (1, "epochs", ""),
        (18, "epochs", "phase 3 after 1 epoch"),
        *(
            pytest.param(*cut, marks=pytest.mark.full)
            for cut in (
                (9, "epochs", "phase 2 after 1 epoch"),
                (2, "steps", "phase 1 after 0 epochs and 3 steps"),
                (10, "steps", "phase 2 after 1 epoch and 1 step"),
                (16, "steps", "phase 3 after 0 epochs and 3 steps"),
            )
        ),
    ],
)
def test_an_interrupted_schedule_ends_with_the_weights_of_one_that_was_not(
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    whole: Run,
    piece: int,
    checkpoints_after: str,
    place: str,
):
    # However fast the machine is: no epoch is so short that it shares a checkpoint, or each is.
    monkeypatch.setattr(state, "_SHORT_SECONDS", 1e9 if checkpoints_after == "phases" else 0.0)
    seconds = 1e-9 if checkpoints_after == "steps" else 1e9
    recipe = shapes_recipe(photos, *THREE_PHASES, checkpoint_seconds=seconds)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, run=tmp_path / "cut", progress=Interrupting(piece))
    record = json.loads((tmp_path / "cut" / "run.json").read_text())
    assert record["status"] == "interrupted"
    if piece > 3:  # after an epoch it can be used as it is
        assert all(np.isfinite(value).all() for value in weights_of(tmp_path / "cut").values())
        best = json.loads((tmp_path / "cut" / "metrics.json").read_text())["best"]
        assert best["phase"] in range(1, 4)
    heard = Listening()
    again = resume(tmp_path / "cut", progress=heard)
    assert [text for text in heard.messages if text.startswith("going on")] == (
        [f"going on in {place}"] if place else []
    )
    assert again.metrics == whole.metrics
    expected, actual = weights_of(whole.path), weights_of(again.path)
    for name in expected:
        np.testing.assert_array_equal(actual[name], expected[name], err_msg=name)
    assert [row["phase"] for row in _history(whole.path)] == ["1", "1", "2", "2", "3", "3"]
    assert [_figures(row) for row in _history(again.path)] == [
        _figures(row) for row in _history(whole.path)
    ]


def test_an_interrupted_run_ends_with_the_weights_of_one_that_was_not(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(state, "_SHORT_SECONDS", 0.0)
    recipe = shapes_recipe(photos, HEADS, checkpoint_seconds=1e-9)
    whole = train(recipe, run=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(recipe, run=tmp_path / "cut", progress=Interrupting(4))
    heard = Listening()
    again = resume(tmp_path / "cut", progress=heard)
    assert sum(text.startswith("going on in phase 1 after") for text in heard.messages) == 1
    assert again.metrics == whole.metrics
    expected, actual = weights_of(whole.path), weights_of(again.path)
    for name in expected:
        np.testing.assert_array_equal(actual[name], expected[name], err_msg=name)


def _figures(row: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in row.items() if "second" not in name}


@pytest.mark.slow
def test_a_run_that_is_stopped_while_its_model_is_written_says_how_to_go_on(
    photos: Path, tmp_path: Path, solved: Run, monkeypatch
):
    stops, write = [KeyboardInterrupt()], training.atomic_path

    def stopped_once(path: Path):
        if stops:
            raise stops.pop()
        return write(path)

    monkeypatch.setattr(training, "atomic_path", stopped_once)
    with pytest.raises(KeyboardInterrupt) as stopped:
        train(shapes_recipe(photos, LINEAR), run=tmp_path / "run")
    assert "can be used as it is" in stopped.value.__notes__[0]
    assert stopped.value.__notes__[1].startswith("Go on with: tfft train --resume")
    assert Run(tmp_path / "run").status == "interrupted"
    assert resume(tmp_path / "run").metrics == solved.metrics


def test_resuming_a_finished_run_changes_nothing_and_needs_no_data(tmp_path: Path, solved: Run):
    run = shutil.copytree(solved.path, tmp_path / "run")
    recipe = load_recipe(run / "recipe.yaml")
    gone = recipe.data.model_copy(update={"path": tmp_path / "gone"})
    (run / "recipe.yaml").write_text(dump_recipe(recipe.model_copy(update={"data": gone})))
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert resume(run) == Run(run, solved.metrics, solved.diagnosis, solved.notes)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


@pytest.mark.slow
def test_a_run_ends_with_the_best_weights_of_any_phase(photos: Path, tmp_path: Path, solved: Run):
    destructive = {"unfreeze": "all", "epochs": 1, "learning_rate": 1.0}
    run = train(shapes_recipe(photos, LINEAR, destructive), run=tmp_path / "run")
    assert run.metrics == solved.metrics
    expected = weights_of(solved.path)
    for name, value in weights_of(run.path).items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)


@pytest.mark.slow
def test_a_run_that_diverged_is_called_that(photos: Path, tmp_path: Path):
    phase = {**HEADS, "epochs": 3, "learning_rate": 1e9}
    run = train(shapes_recipe(photos, phase), run=tmp_path / "run")
    (finding,) = run.diagnosis
    assert finding.kind == "diverged"
    stored = json.loads((run.path / "metrics.json").read_text())["diagnosis"]
    assert stored == [finding.to_json()] == run.to_json()["diagnosis"]
    assert finding.text in str(run)


def test_early_stopping_ends_a_phase(photos: Path, tmp_path: Path):
    phase = {**HEADS, "epochs": 50, "learning_rate": 1e-12, "early_stop": {"patience_epochs": 3}}
    run = train(shapes_recipe(photos, phase, monitor="loss"), run=tmp_path / "run")
    assert len(_history(run.path)) < 50
    # At such a rate nothing changes: it is told so, and not praised.
    assert "learned_nothing" in {finding.kind for finding in run.diagnosis}


@pytest.fixture(scope="module")
def diverged(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A run that was stopped by values that are not finite in its second phase, and its error."""
    run = tmp_path_factory.mktemp("diverged") / "my run"
    phases = HEADS, {**ALL, "learning_rate": 1e38}
    with pytest.raises(NotFiniteError) as stopped:
        train(shapes_recipe(photos, *phases, optimizer={"name": "sgd"}), run=run)
    return run, str(stopped.value)


def test_values_that_are_not_finite_stop_the_run_with_one_clear_error(diverged: tuple[Path, str]):
    run, message = diverged
    assert "not finite" in message
    assert "Lower the learning rate" in message
    assert message.endswith(f": tfft train --resume '{run}' --finish")
    assert Run(run).status == Run(run).to_json()["status"] == "not finite"
    for checkpoint in (run / "checkpoints").glob("*.npz"):
        with np.load(checkpoint) as saved:
            assert all(np.isfinite(saved[name]).all() for name in saved.files)


def test_one_command_makes_a_model_of_the_weights_before_values_that_were_not_finite(
    diverged: tuple[Path, str], tmp_path: Path
):
    run = Path(shutil.copytree(diverged[0], tmp_path / "run"))
    assert not (run / "model.keras").exists()
    finished = resume(run, finish=True)
    assert all(np.isfinite(value).all() for value in weights_of(run).values())
    best = json.loads((run / "metrics.json").read_text())["best"]
    assert best["phase"] == 1
    row = _history(run)[best["epoch"] - 1]
    assert finished.metrics["label"]["loss"] == float(row["validation/label/loss"])
    assert finished.status == "not finite"


def test_a_run_without_weights_cannot_be_finished(photos: Path, tmp_path: Path):
    run = create_run(shapes_recipe(photos, HEADS), tmp_path / "run")
    with pytest.raises(ModelFileError, match="no weights yet"):
        resume(run.path, finish=True)


def test_every_fault_of_the_plan_is_named(photos: Path):
    recipe = shapes_recipe(
        photos,
        {"solver": "linear"},
        {"unfreeze": {"last_blocks": 99}, "epochs": 1, "learning_rate": 1e-3},
        {**HEADS, "early_stop": {"patience_epochs": 1}},
    )
    data = recipe.data.model_copy(update={"validation_fraction": 0.0})
    with pytest.raises(RecipeError) as caught:
        dry_run(recipe.model_copy(update={"data": data}))
    lines = str(caught.value).splitlines()[1:]
    assert [line.split(":")[0] for line in lines] == [
        "train.phases.0.inverse_regularization",
        "train.phases.1.unfreeze.last_blocks",
        "train.phases.2.early_stop",
    ]


def test_the_plan_covers_every_parameter_once(photos: Path):
    plan = dry_run(shapes_recipe(photos, HEADS, LAST, ALL))
    assert sum(block.parameters for block in plan.blocks) == 2_184  # statistics apart
    heads, last, everything = plan.phases
    assert heads.trained_parameters == (FEATURES + 1) * 3
    assert everything.trained_parameters == 2_184 + (FEATURES + 1) * 3
    assert heads.trained_parameters < last.trained_parameters < everything.trained_parameters
    assert (heads.cached, last.cached, everything.cached) == (True, False, False)
    images = plan.images["train"] + plan.images["validation"]
    assert heads.cache_bytes == images * FEATURES * 4


def test_a_directory_with_content_is_not_replaced(photos: Path, tmp_path: Path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        train(shapes_recipe(photos, HEADS), run=tmp_path / "run")
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["mine.txt"]


def test_there_must_be_a_run_to_resume(tmp_path: Path):
    with pytest.raises(ModelFileError, match=r"is not a run: it has no run\.json"):
        resume(tmp_path)


def test_without_validation_images_the_last_weights_are_kept(photos: Path, tmp_path: Path):
    recipe = shapes_recipe(photos, HEADS)
    whole = recipe.data.model_copy(update={"validation_fraction": 0.0})
    run = train(recipe.model_copy(update={"data": whole}), run=tmp_path / "run")
    assert run.metrics == {}
    assert json.loads((run.path / "metrics.json").read_text())["best"]["epoch"] == 2


def test_a_run_does_not_go_on_with_other_images(photos: Path, tmp_path: Path):
    own = Path(shutil.copytree(photos, tmp_path / "own"))
    recipe = shapes_recipe(photos, HEADS, ALL)
    moved = recipe.model_copy(update={"data": recipe.data.model_copy(update={"path": own})})
    with pytest.raises(KeyboardInterrupt):
        train(moved, run=tmp_path / "cut", progress=Interrupting(3))
    next(own.glob("disc/*.png")).unlink()
    with pytest.raises(DataError, match=r"not those that .* was started with"):
        resume(tmp_path / "cut")
