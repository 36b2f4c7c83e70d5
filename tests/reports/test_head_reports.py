"""What the report says of heads of each kind, and the drawings that it is made of."""

from dataclasses import replace

import numpy as np
import pytest

from tfft.evaluation.calibrate import HeadCalibration
from tfft.reports.confusion import class_rows, confusion_figure, most_confused
from tfft.reports.drawing import Drawing, round_ticks, tick_text
from tfft.reports.gallery import worst_mistakes
from tfft.reports.heads import HeadReport, head_report
from tfft.reports.names import display_names
from tfft.runtime.info import HeadInfo

_COUNTS = np.array([[8, 2, 0], [0, 5, 0], [1, 0, 0]])


def reported(kind: str, names: tuple[str, ...], answers, targets, **more) -> HeadReport:
    head = HeadInfo(kind, names, "target")
    return head_report(
        "head", head, np.array(answers), np.array(targets), more.get("calibration"), (), ""
    )


def test_classes_and_pairs_by_hand():
    pairs = most_confused(_COUNTS, "abc", 5)
    assert [(p.true, p.said, p.times, p.share) for p in pairs] == [
        ("a", "b", 2, 0.2),
        ("c", "a", 1, 1.0),
    ]
    rows = {row.name: row for row in class_rows(_COUNTS, "abc")}
    assert (rows["a"].recall, rows["a"].precision) == (0.8, 8 / 9)
    assert rows["b"].f1 == pytest.approx(2 * 5 / (5 + 7))
    assert rows["c"].precision is None
    assert rows["a"].mistaken_for == ("b", 2)
    assert next(iter(rows)) == "c"


def test_a_classification_shows_its_calibration_on_these_images():
    calibration = HeadCalibration(2.0, True, 1.0, 0.9, 0.2, 0.1)
    answers = [[0.9, 0.1]] * 4
    head = reported("classification", ("a", "b"), answers, [0, 0, 0, 1], calibration=calibration)
    assert "3 of 4 images right" in head.summary
    assert head.tiles[-1].value == "0.150"
    assert head.tiles[-1].remark == "0.000 at temperature 2.000"
    assert "at temperature 2.000" in head.reliability.svg
    names = ["reliability-head", "confusion-head", "precision-recall-head-1", "roc-head-1"]
    assert [figure.name for figure in head.figures] == names


def test_an_uncalibrated_head_has_one_diagram():
    head = reported("classification", ("a", "b"), [[0.9, 0.1]], [0])
    assert "at temperature" not in head.reliability.svg


def test_a_multi_label_head_has_a_row_for_each_label():
    head = reported("multi_label", ("x", "y"), [[0.9, 0.2], [0.4, 0.8]], [[1, 0], [1, 1]])
    assert [row["label"] for row in head.per_label] == ["x", "y"]
    names = ["precision-recall-head-1", "roc-head-1"]
    assert [figure.name for figure in head.figures] == names


@pytest.mark.parametrize(
    ("kind", "answers", "targets"),
    [
        ("regression", [[1.0], [2.0], [9.0]], [[1.0], [3.0], [np.nan]]),
        ("box", [[0, 0, 1, 1], [0, 0, 0.5, 1]], [[0, 0, 1, 1], [np.nan] * 4]),
    ],
)
def test_numbers_and_boxes_have_a_figure_and_leave_out_what_is_not_known(kind, answers, targets):
    head = reported(kind, (), answers, targets)
    assert len(head.figures) == 1
    assert head.tiles
    assert "nan" not in head.figures[0].svg


def test_a_label_is_a_mistake_where_it_is_on_the_wrong_side_of_its_threshold():
    answers = np.array([[0.45, 0.2], [0.45, 0.8], [0.1, 0.6]])
    targets = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    head = HeadInfo("multi_label", ("a", "b"), "tags", thresholds=(0.3, 0.7))
    (mistake,) = worst_mistakes(head, ("a", "b"), answers, targets, 5)
    assert (mistake.position, mistake.said, mistake.true) == (1, "a, b", "b")
    halves = replace(head, thresholds=())
    mistakes = worst_mistakes(halves, ("a", "b"), answers, targets, 5)
    assert [(m.position, m.said, m.true) for m in mistakes] == [(2, "b", "none"), (0, "none", "a")]


def test_the_surest_mistakes_come_first():
    answers = np.array([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7], [0.8, 0.2]])
    head = HeadInfo("classification", ("a", "b"), "label")
    mistakes = worst_mistakes(head, ("a", "b"), answers, np.array([1, 1, 0, 0]), 5)
    assert [(m.position, m.said, m.true, m.output) for m in mistakes] == [
        (0, "a", "b", 0),
        (2, "b", "a", 1),
    ]


def test_the_furthest_numbers_and_boxes_come_first():
    head = HeadInfo("regression", (), "age")
    numbers = worst_mistakes(
        head, (), np.array([[1.0], [5.0], [2.0]]), np.array([[1.0], [2.0], [np.nan]]), 5
    )
    assert [(m.position, m.how) for m in numbers] == [(1, "off by 3")]
    head = HeadInfo("box", (), "box")
    said = np.array([[0, 0, 1, 1], [0, 0, 0.1, 0.1]])
    (box,) = worst_mistakes(head, (), said, np.array([[0, 0, 1, 1.0], [0.5, 0.5, 1, 1]]), 5)
    assert (box.position, box.how) == (1, "IoU 0.00")


def test_many_classes_are_ordered_so_that_confused_ones_stand_together():
    counts = np.eye(30, dtype=np.int64) * 10
    counts[2, 27] = counts[27, 2] = 5
    svg = confusion_figure("head", counts, [f"class {k}" for k in range(30)]).svg
    names = [part.split("<")[0] for part in svg.split(">") if part.startswith("class ")]
    rows = [name for name in dict.fromkeys(names) if "→" not in name]
    assert abs(rows.index("class 2") - rows.index("class 27")) == 1


def test_wordnet_numbers_are_left_out_of_names():
    assert display_names(("n02085936-maltese_dog", "n1-x")) == ("n02085936-maltese_dog", "n1-x")
    assert display_names(("n02085936-maltese_dog", "n02086079-pug")) == ("maltese dog", "pug")


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0.13, 0.31, [0.15, 0.2, 0.25, 0.3]),
        (-30, 70, [-20, 0, 20, 40, 60]),
        (5, 5, [5]),
    ],
)
def test_ticks_are_round(low, high, ticks):
    assert round_ticks(low, high) == pytest.approx(ticks)


@pytest.mark.parametrize(
    ("low", "high", "texts"),
    [
        (1e-5, 2.5e-5, ["1e-5", "1.5e-5", "2e-5", "2.5e-5"]),
        (2.302582, 2.302586, ["2.302582", "2.302584", "2.302586"]),
        (1000.0, 1001.0, ["1,000", "1,000.5", "1,001"]),
    ],
)
def test_tick_texts_have_all_digits(low, high, texts):
    count = len(texts) - 1
    assert [tick_text(value) for value in round_ticks(low, high, count)] == texts


def test_tick_texts_are_short():
    assert [tick_text(v) for v in (0.25, 0.0002, 12000.0, 0.0)] == ["0.25", "2e-4", "12,000", "0"]


def test_text_in_figures_is_escaped():
    drawing = Drawing(10, 10)
    drawing.text(0, 0, "a<b>&")
    drawing.rect(0, 0, 1, 1, "cell", "<tip>")
    svg = drawing.figure("f", "<title>", '"d"').svg
    assert "a&lt;b&gt;&amp;" in svg
    assert "&lt;tip&gt;" in svg
    assert "<title>" not in svg.replace('<title id="f-title">', "").replace("<title>&lt;tip", "")
