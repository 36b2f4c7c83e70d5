"""How the new model of a desk is compared with the one before."""

import numpy as np
import pytest

from tfft.desk.comparison import accuracy, compared
from tfft.metrics.paired import mcnemar

CLASSES = ("cat", "dog")


def test_both_models_are_judged_by_the_labels_as_they_are_now():
    found = compared(
        ["1.jpg", "2.jpg", "3.jpg", "4.jpg"],
        ["cat", "cat", "dog", "dog"],
        ["cat", "dog", "dog", "cat"],
        ["cat", "cat", "dog", "cat"],
        CLASSES,
    )
    assert (found.images, found.before, found.now, found.difference) == (4, 0.5, 0.75, 0.25)
    assert (found.gained, found.lost) == (("2.jpg",), ())
    assert [(c.name, c.images, c.before, c.now) for c in found.classes] == [
        ("cat", 2, 0.5, 1.0),
        ("dog", 2, 0.5, 0.5),
    ]
    assert found.low < 0 < found.high
    assert found.verdict.startswith("No difference is certain: the new model is right on 25.0")


@pytest.mark.parametrize(
    ("gained", "lost", "verdict"),
    [
        (30, 4, "The new model is better, by 13.0 points."),
        (4, 30, "The new model is worse, by 13.0 points."),
        (6, 4, "No difference is certain: the new model is right on 1.0 points more"),
        (5, 5, "Both models are right equally often."),
        (0, 0, "Both models are right equally often."),
    ],
)
def test_what_chance_explains_is_no_difference(gained, lost, verdict):
    paths = [f"{n}.jpg" for n in range(200)]
    before = np.full(200, "cat")
    now = before.copy()
    before[:gained] = "dog"
    now[gained : gained + lost] = "dog"
    found = compared(paths, ["cat"] * 200, before.tolist(), now.tolist(), CLASSES)
    assert found.verdict.removesuffix(", as chance may do.") == verdict
    assert found.p_value == mcnemar(now == "cat", before == "cat")
    assert (len(found.gained), len(found.lost)) == (gained, lost)


def test_a_class_that_the_model_before_does_not_know_is_said():
    found = compared(["1.jpg", "2.jpg"], ["cow", "cat"], ["cat", "cat"], ["cow", "cat"], CLASSES)
    assert found.notes == (
        "1 photo of a class that the model before does not know count as wrong for it.",
    )


def test_one_model_alone_has_an_interval():
    found = accuracy(["cat"] * 10, ["cat"] * 8 + ["dog"] * 2)
    assert (found["images"], found["accuracy"]) == (10, 0.8)
    assert found["low"] == pytest.approx(0.490, abs=1e-3)
    assert found["high"] == pytest.approx(0.943, abs=1e-3)
