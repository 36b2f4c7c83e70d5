"""Coverage, what is right where a model is sure, and how it tells other images apart."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tfft.cli.evaluation_table import evaluation_tables
from tfft.errors import DataError, UsageError
from tfft.evaluation.evaluate import evaluate
from tfft.metrics.unsure import unsure_metrics
from tfft.system.names import UNLIKENESS


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    """Overexposed pictures, one in a folder of its own, and a file that is none."""
    root = tmp_path_factory.mktemp("others")
    (root / "deeper").mkdir()
    for name, level in {"a.png": 255, "b.png": 253, "deeper/c.png": 251}.items():
        Image.new("RGB", (60, 44), (level, level, level)).save(root / name)
    (root / "notes.txt").write_text("no picture")
    return root


def test_coverage_accuracy_and_auroc_are_those_of_their_definitions(small_keras):
    probabilities = np.eye(3, dtype=np.float32)[[0, 1, 2, 0]]
    known = np.array([[0.2], [0.6], [0.9], [1.5]], np.float32)
    answers = {"label": probabilities, UNLIKENESS: known}
    far = {"label": probabilities[:2], UNLIKENESS: np.array([[0.7], [2.0]], np.float32)}
    targets = {"label": np.array([0, 1, 0, 2])}
    found = unsure_metrics(small_keras.info, answers, targets, {"dogs": far})
    assert found["coverage"] == 0.75 and found["keep"] == 0.95
    assert found["kept"] == {
        "label": {"metric": "top1", "value": pytest.approx(2 / 3), "left_out": 0.0}
    }
    # 0.7 is above two of the four known, 2.0 above all.
    assert found["others"] == [{"name": "dogs", "examples": 2, "caught": 0.5, "auroc": 0.75}]


def test_where_all_or_nothing_is_kept_the_other_side_has_no_metric(small_keras):
    answers = {"label": np.eye(3)[[0, 1]], UNLIKENESS: np.array([[0.1], [0.2]])}
    targets = {"label": np.array([0, 1])}
    found = unsure_metrics(small_keras.info, answers, targets, {})
    assert found["kept"]["label"] == {"metric": "top1", "value": 1.0, "left_out": None}
    answers[UNLIKENESS] += 5.0
    found = unsure_metrics(small_keras.info, answers, targets, {})
    assert found["kept"]["label"] == {"metric": "top1", "value": None, "left_out": 1.0}


def test_images_of_other_sources_are_told_apart(small_run, others):
    evaluation = evaluate(small_run, unlike=[others])
    (other,) = evaluation.unsure["others"]
    assert other == {"name": str(others), "examples": 3, "caught": 1.0, "auroc": 1.0}
    assert evaluation.unsure["coverage"] == 1.0
    assert any("1 file" in note and "no readable images" in note for note in evaluation.notes)
    assert evaluation.to_json()["unsure"] == evaluation.unsure
    assert "3 images unsure, AUROC 1.000" in str(evaluation)
    titles = [table.title for table in evaluation_tables(evaluation)]
    assert any("sure of 100.0% of the images" in str(title) for title in titles)


def test_a_model_that_is_never_unsure_says_nothing_and_tells_nothing_apart(
    small_keras, small_run, others, monkeypatch
):
    monkeypatch.setattr(small_keras, "info", replace(small_keras.info, unsure=None))
    assert evaluate(small_keras).to_json()["unsure"] is None
    with pytest.raises(UsageError, match="does not measure how unlike"):
        evaluate(small_keras, unlike=[others])


def test_a_folder_without_images_is_refused_by_name(small_keras, others, tmp_path):
    shutil.copy(others / "notes.txt", tmp_path)
    with pytest.raises(DataError, match="no image that can be read, in 1 file"):
        evaluate(small_keras, unlike=[tmp_path])
    with pytest.raises(DataError, match="a folder of images is needed"):
        evaluate(small_keras, unlike=[tmp_path / "nothing"])
