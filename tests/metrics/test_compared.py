"""Two classifiers on the same images: what is called different, and what is told of classes."""

import numpy as np
import pytest

from tfft.errors import DataError
from tfft.metrics.compared import ComparedHead, compared_head

NAMES = ("cat", "dog", "owl")


def said(labels: list[int], classes: int = 3, sure: float = 0.8) -> np.ndarray:
    """Probabilities of a model that gives these answers."""
    rest = (1.0 - sure) / (classes - 1)
    return np.where(np.eye(classes, dtype=bool)[labels], sure, rest).astype(np.float32)


def compared(
    labels: list[int], old: np.ndarray, new: np.ndarray, known=(NAMES, NAMES)
) -> ComparedHead:
    ids = [f"{number}.jpg" for number in range(len(labels))]
    return compared_head(ids, np.array(labels), NAMES, known, [old, new])


def test_gains_and_losses_are_counted_by_image_and_by_class():
    truth = [0, 0, 0, 1, 1, 2, 2, 2]
    head = compared(truth, said([0, 1, 1, 1, 1, 2, 0, 2]), said([0, 0, 0, 1, 2, 2, 0, 2]))
    assert (head.examples, head.difference) == (8, 0.125)
    assert head.only_new == ("1.jpg", "2.jpg") and head.only_old == ("4.jpg",)
    assert (head.old["top1"], head.new["top1"]) == (5 / 8, 6 / 8)
    rows = {each.label: (each.old, each.new, each.only_old, each.only_new) for each in head.classes}
    assert rows == {
        "cat": (1 / 3, 1.0, 0, 2),
        "dog": (1.0, 0.5, 1, 0),
        "owl": (2 / 3, 2 / 3, 0, 0),
    }
    assert [each.p_value for each in head.classes] == [1.0, 1.0, 1.0]
    assert head.p_value == 1.0 and head.verdict == "not shown"


def test_a_loss_is_lower_where_the_truth_is_more_probable():
    truth = [0, 1, 2, 2]
    head = compared(truth, said(truth, sure=0.5), said(truth, sure=0.9))
    assert head.loss_difference == pytest.approx(np.log(0.5) - np.log(0.9))
    assert head.difference == 0.0 and head.verdict == "not shown"


def test_classes_are_matched_by_name_and_those_of_one_model_do_not_count():
    truth = [0, 0, 1, 1, 2, 2, 2]
    old, new = said([1, 1, 0, 1, 0, 1, 1], classes=2), said([0, 0, 1, 1, 2, 2, 0])
    head = compared(truth, old, new, known=(("dog", "cat"), NAMES))
    assert (head.examples, head.old["top1"], head.new["top1"]) == (4, 0.75, 1.0)
    owl = head.classes[2]
    assert (owl.label, owl.examples, owl.old, owl.p_value) == ("owl", 3, None, None)
    assert owl.new == pytest.approx(2 / 3)


def test_classes_that_no_model_knows_are_refused():
    two = ("cat", "dog")
    with pytest.raises(DataError, match=r"neither model knows 1 of the classes .*: owl"):
        compared([0, 2], said([0, 0], 2), said([0, 0], 2), known=(two, two))
    with pytest.raises(DataError, match="nothing to compare: no class of these images"):
        compared([0, 0], said([0, 0], 2), said([0, 0], 2), known=(two, ("dog", "owl")))


def shares_of_verdicts(
    difference: float, images: int, apart: float, pairs: int
) -> dict[str, float]:
    """How often each verdict is given of pairs of models.

    Args:
        difference: True difference in accuracy.
        images: Number of test images.
        apart: Share of images on which one of the models is right and the other is not.
        pairs: Number of pairs that are drawn.
    """
    generator = np.random.default_rng(images)
    shares = [(apart + difference) / 2, (apart - difference) / 2, 0.85 - apart / 2]
    counts = generator.multinomial(images, [*shares, 1.0 - sum(shares)], pairs)
    kinds, times = np.unique(counts[:, :2], axis=0, return_counts=True)
    found = {"better": 0, "worse": 0, "not shown": 0}
    for (only_new, only_old), number in zip(kinds.tolist(), times.tolist(), strict=True):
        right = np.repeat([True, False, True], [only_new, only_old, images - only_new - only_old])
        other = np.repeat([False, True, True], [only_new, only_old, images - only_new - only_old])
        truth = np.zeros(images, np.int64)
        answers = [said(np.where(each, 0, 1).tolist()) for each in (other, right)]
        head = compared_head([""] * images, truth, NAMES, (NAMES, NAMES), answers)
        found[head.verdict] += number
    return {verdict: number / pairs for verdict, number in found.items()}


@pytest.mark.parametrize(("images", "apart"), [(60, 0.2), (300, 0.02), (730, 0.08)])
def test_equal_models_are_called_different_in_at_most_six_percent(images, apart):
    shares = shares_of_verdicts(0.0, images, apart, pairs=2000)
    assert shares["better"] + shares["worse"] <= 0.06


def test_a_difference_of_three_points_is_called_on_as_many_images_as_dogs_has():
    shares = shares_of_verdicts(0.03, 8580, 0.16, pairs=60)
    assert shares["better"] >= 0.8
