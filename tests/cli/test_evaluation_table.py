"""An evaluation as `tfft evaluate` prints it."""

import io

import numpy as np

from tfft.cli.evaluation_table import evaluation_tables
from tfft.cli.output import print_rich
from tfft.evaluation.evaluate import Evaluation
from tfft.metrics.classification import classification_metrics
from tfft.metrics.heads import head_metrics
from tfft.runtime.info import HeadInfo, OperatingPoint

NAMES = ("pug", "beagle", "boxer")


def printed(predicted: list[int], true: list[int]) -> str:
    probabilities = np.eye(3, dtype=np.float32)[predicted] * 0.97 + 0.01
    figures = classification_metrics(probabilities, np.array(true), NAMES)
    stream = io.StringIO()
    evaluation = Evaluation("runs/dogs", "test", len(true), {"label": figures})
    print_rich(stream, *evaluation_tables(evaluation))
    return stream.getvalue()


def rows(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines() if line.strip()]


def test_figures_with_their_interval():
    text = printed([0, 0, 1, 2], [0, 0, 1, 1])
    assert text.startswith("runs/dogs, test, 4 images\n")
    assert ["top-1", "0.7500", "95", "%", "interval", "0.3006", "…", "0.9544"] in rows(text)
    assert ["mean", "per-class", "accuracy", "0.7500"] in rows(text)


def test_classes_and_pairs_with_errors_come_worst_first():
    lines = rows(printed([1, 1, 1, 2, 1], [0, 0, 1, 1, 2]))
    pug, beagle = "pug 2 0.000 - 0.000 0.400", "beagle 2 0.500 0.250 0.333 0.325"
    assert lines.index(pug.split()) < lines.index(beagle.split())
    assert lines.index(["pug", "beagle", "2"]) < lines.index(["beagle", "boxer", "1"])


def test_of_many_classes_only_those_with_errors_are_listed():
    for classes, every in ((20, True), (21, False)):
        truth = np.arange(classes)
        said = np.eye(classes, dtype=np.float32)[np.where(truth == 7, 8, truth)]
        figures = classification_metrics(said, truth, [f"class{k}" for k in truth])
        stream = io.StringIO()
        evaluation = Evaluation("runs/dogs", "test", classes, {"label": figures})
        print_rich(stream, *evaluation_tables(evaluation))
        listed = [line[0] for line in rows(stream.getvalue()) if line[1:2] == ["1"]]
        assert len(listed) == (20 if every else 1)
        assert listed[0] == "class7"


def test_no_confusions_are_listed_where_nothing_is_wrong():
    text = printed([0, 1, 2], [0, 1, 2])
    assert "worst classes" not in text
    assert "most confused" not in text


def test_a_class_that_matters_shows_what_each_precision_and_recall_costs():
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.55, 0.45], [0.2, 0.8]], np.float32)
    point = OperatingPoint("flaw", 0.5, "precision", 0.9)
    head = HeadInfo("classification", ("flaw", "fine"), "label", operating_points=(point,))
    metrics = head_metrics(head, probabilities, np.array([0, 1, 0, 1]), ["flaw"])
    stream = io.StringIO()
    print_rich(stream, *evaluation_tables(Evaluation("run", "test", 4, {"label": metrics})))
    text = stream.getvalue()
    assert "thresholds of flaw, 2 images, AUC 0.7500, average precision 0.8333" in text
    assert ["precision", "0.95", "0.7500", "1.000", "0.500", "0.0000"] in rows(text)
    assert ["recall", "0.95", "0.3750", "0.667", "1.000", "0.5000"] in rows(text)
    expected = "flaw precision 0.9 0.5000 0.667 0.21 … 0.94 1.000 0.34 … 1.00"
    assert expected.split() in rows(text)
    assert max(map(len, text.splitlines())) <= 80
