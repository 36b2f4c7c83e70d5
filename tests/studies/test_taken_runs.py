"""Finished runs that a comparison takes as they are: whether what they keep still holds."""

import shutil
from pathlib import Path

import keras
import pytest

from tfft.data.load import load_data
from tfft.errors import DataError
from tfft.evaluation.answers import answers_of_run, load_answers
from tfft.evaluation.data import evaluation_images
from tfft.evaluation.evaluate import evaluate
from tfft.runs.run import open_run
from tfft.runtime.load import load_predictor
from tfft.studies.compare import Cell, Study, run_study
from tfft.system.files import write_json
from tfft.system.progress import SILENT


@pytest.fixture
def run(small_run: Path, tmp_path: Path) -> Path:
    nothing_kept = shutil.ignore_patterns("evaluation")
    return Path(shutil.copytree(small_run, tmp_path / "run", ignore=nothing_kept))


def take(run: Path) -> None:
    """Runs a comparison that has a finished run and nothing else."""
    run_study(Study(run.parent / "study", (), (Cell("colours", 1.0, 0, run),)))


@pytest.mark.slow
def test_what_a_report_keeps_has_no_targets_so_that_the_run_is_evaluated(run):
    predictor = load_predictor(run)
    images, *_ = evaluation_images(predictor.info, "test", None, SILENT)
    answers_of_run(predictor, "test", images, SILENT)
    take(run)
    assert load_answers(run, "test").right("label").shape == (12,)


def test_a_run_that_was_gone_on_with_is_evaluated_again(run):
    evaluate(run)
    before = load_answers(run, "test")
    model = keras.saving.load_model(run / "model.keras", compile=False)
    model.get_layer("label_logits").set_weights(
        [-w for w in model.get_layer("label_logits").get_weights()]
    )
    model.save(run / "model.keras")
    take(run)
    after = load_answers(run, "test")
    assert after.key != before.key
    assert after.right("label").mean() < before.right("label").mean()


def test_damaged_answers_are_made_anew(run):
    (run / "evaluation").mkdir(exist_ok=True)
    (run / "evaluation" / "test.npz").write_bytes(b"PK\3\4 cut short")
    take(run)
    assert load_answers(run, "test").right("label").shape == (12,)


def test_answers_that_still_hold_are_not_computed_again(run):
    evaluate(run)
    kept = run / "evaluation" / "test.npz"
    written = kept.stat().st_mtime_ns
    take(run)
    assert kept.stat().st_mtime_ns == written


@pytest.mark.slow
def test_a_run_whose_images_changed_is_not_judged_by_what_it_may_have_learned(run):
    _, recipe = open_run(run)
    data = load_data(recipe.data, SILENT)
    record = {"status": "finished", "data": {"fingerprint": data.fingerprint(), "images": {}}}
    write_json(run / "run.json", record)
    take(run)
    record["data"]["fingerprint"] = "of others"
    write_json(run / "run.json", record)
    with pytest.raises(DataError, match="the images are not those"):
        take(run)
