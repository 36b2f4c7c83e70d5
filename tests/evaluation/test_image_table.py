"""What a model said of each image, beside what is true: a row an image."""

import csv

import numpy as np
import pytest

from tfft.evaluation.evaluate import evaluate
from tfft.evaluation.image_table import write_image_table
from tfft.runtime.info import HeadInfo


def written(tmp_path, heads, answers, targets):
    """The table of images a and b, as rows by column."""
    path = tmp_path / "images.csv"
    write_image_table(path, ("a", "b"), heads, answers, targets)
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def of_head(tmp_path, head, answers, targets):
    return written(
        tmp_path, {"x": head}, {"x": np.array(answers, np.float32)}, {"x": np.array(targets)}
    )


def test_a_class_stands_beside_the_one_that_was_predicted(tmp_path):
    head = HeadInfo("classification", ("cat", "dog"), "label")
    first, second = of_head(tmp_path, head, [[0.25, 0.75], [0.4, 0.6]], [1, 0])
    assert first == {
        "path": "a",
        "label": "dog",
        "predicted": "dog",
        "probability": "0.75",
        "label_probability": "0.75",
        "right": "1",
    }
    assert (second["label"], second["predicted"], second["right"]) == ("cat", "dog", "0")
    assert second["label_probability"] == "0.4"


def test_of_labels_those_are_predicted_that_are_above_their_thresholds(tmp_path):
    head = HeadInfo("multi_label", ("wet", "dark"), "tags", thresholds=(0.9, 0.1))
    first, second = of_head(tmp_path, head, [[0.8, 0.2], [0.95, 0.2]], [[0, 1], [0, 1]])
    assert (first["labels"], first["predicted"], first["right"]) == ("dark", "dark", "1")
    assert (second["predicted"], second["right"]) == ("wet|dark", "0")


def test_a_number_has_its_error_and_a_missing_one_an_empty_cell(tmp_path):
    head = HeadInfo("regression", (), "weight")
    first, second = of_head(tmp_path, head, [[2.5], [1.0]], [[3.0], [np.nan]])
    assert (first["value"], first["predicted"], first["error"]) == ("3.0", "2.5", "-0.5")
    assert (second["value"], second["error"]) == ("", "")


def test_a_box_has_its_overlap(tmp_path):
    head = HeadInfo("box", (), "place")
    half = [[0, 0, 1, 0.5], [0, 0, 1, 1]]
    first, second = of_head(tmp_path, head, half, [[0, 0, 1, 1], [np.nan] * 4])
    assert (first["iou"], first["xmax"], second["iou"]) == ("0.5", "0.5", "")


def test_columns_of_several_heads_begin_with_their_names(tmp_path):
    heads = {name: HeadInfo("classification", ("cat", "dog"), name) for name in ("a", "b")}
    answers = {name: np.eye(2, dtype=np.float32) for name in heads}
    row, _ = written(tmp_path, heads, answers, {name: np.array([0, 1]) for name in heads})
    assert {"a_label", "b_label", "a_right", "b_right"} < set(row)


@pytest.mark.slow
def test_the_rows_are_what_the_metrics_count(small_run, tmp_path):
    path = tmp_path / "images.csv"
    evaluation = evaluate(small_run, csv=path)
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    right = [int(row["right"]) for row in rows]
    assert len(rows) == evaluation.examples
    assert np.mean(right) == pytest.approx(evaluation.metrics["label"]["top1"])
