"""An evaluation as `tfft evaluate` prints it."""

import io

import numpy as np

from tfft.cli.evaluation_table import evaluation_tables
from tfft.cli.output import print_rich
from tfft.evaluation.evaluate import Evaluation
from tfft.metrics.classification import classification_metrics

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
    assert lines.index(["pug", "2", "0.000"]) < lines.index(["beagle", "2", "0.500"])
    assert lines.index(["pug", "beagle", "2"]) < lines.index(["beagle", "boxer", "1"])


def test_nothing_is_listed_where_nothing_is_wrong():
    text = printed([0, 1, 2], [0, 1, 2])
    assert "worst classes" not in text
    assert "most confused" not in text
