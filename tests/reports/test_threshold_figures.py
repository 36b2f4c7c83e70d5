"""Curves of the classes that matter in a report."""

import re

import numpy as np
import pytest

from tfft.metrics.threshold_curves import threshold_curve
from tfft.reports.heads import HeadReport, head_report
from tfft.reports.threshold_curves import threshold_figures
from tfft.runtime.info import HeadInfo, OperatingPoint

NAMES = ("fine", "flaw", "dirt")
ANSWERS = np.array(
    [[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.2, 0.4, 0.4], [0.5, 0.45, 0.05], [0.1, 0.2, 0.7]],
    np.float32,
)
TARGETS = np.array([0, 1, 1, 0, 2])
POINT = OperatingPoint("flaw", 0.425, "precision", 0.6)


def reported(*points: OperatingPoint, targets=TARGETS, **more) -> HeadReport:
    head = HeadInfo("classification", NAMES, "label", operating_points=points)
    return head_report("head", head, ANSWERS, np.array(targets), None, (), "", **more)


def test_without_a_word_it_is_the_class_with_the_lowest_average_precision():
    (curves,) = reported().thresholds
    assert curves.label == "flaw"
    assert "of 5 images 2 are of flaw" in curves.precision_recall.description
    said = "With a precision of at least 0.95 the recall is at most 50.0"
    assert said in curves.precision_recall.description
    assert "the share of the 3 other images that are said to be of flaw" in curves.roc.description
    assert ">average precision 0.833<" in curves.precision_recall.svg
    assert ">AUC 0.833<" in curves.roc.svg


def test_precision_is_drawn_where_recall_grows():
    ((_, figure, _),) = reported().thresholds
    (curve,) = re.findall(r'"curve s0" points="([^"]*)"', figure.svg)
    assert len(set(curve.split())) == 4


def test_it_is_the_class_with_an_operating_point_which_is_marked_and_described():
    head = reported(POINT)
    (curves,) = head.thresholds
    for figure in curves[1:]:
        assert figure.svg.count('class="dot s1"') == 1
    assert "The dot is the operating point, above 42.5" in curves.precision_recall.description
    (sentence,) = head.operating_points
    plain = sentence.replace("\N{NO-BREAK SPACE}", " ")
    assert plain == (
        "flaw is said above 42.5 %, chosen on validation images for a precision of at least "
        "60.0 %. Here: precision 50.0 % (95 % interval 9.5 % to 90.5 %), recall 50.0 % (95 % "
        "interval 9.5 % to 90.5 %), of 2 images of it and 2 said to be."
    )


def test_images_that_were_trained_on_have_no_intervals():
    (sentence,) = reported(POINT, trained_on=True).operating_points
    assert "interval" not in sentence


def test_the_classes_asked_for_are_drawn_with_names_that_files_can_have():
    head = reported(POINT, classes=("dirt", "fine", "of another head"))
    names = [figure.name for figure in head.figures if "head-" in figure.name]
    assert names == [
        "precision-recall-head-2",
        "roc-head-2",
        "precision-recall-head-0",
        "roc-head-0",
    ]
    assert all("dot s1" not in figure.svg for curves in head.thresholds for figure in curves[1:])


def test_a_class_that_no_threshold_tells_says_so():
    curve = threshold_curve(np.array([False, True]), np.array([0.9, 0.1], np.float32))
    figures = threshold_figures("f", "flaw", curve, None)
    assert "No threshold has a precision of 0.95." in figures.precision_recall.description


def test_a_class_without_images_has_no_curves():
    head = reported(POINT, targets=[0, 0, 2, 0, 2])
    assert head.thresholds == []
    assert "no recall" in head.operating_points[0]


@pytest.mark.parametrize("images", [100, 5_000])
def test_a_curve_of_many_images_is_drawn_in_few_points(images):
    generator = np.random.default_rng(0)
    truth = generator.random(images) < 0.3
    scores = (generator.random(images) + truth).astype(np.float32)
    for figure in threshold_figures("f", "flaw", threshold_curve(truth, scores), None)[1:]:
        (curve,) = re.findall(r'"curve s0" points="([^"]*)"', figure.svg)
        assert len(curve.split()) < 2_000
