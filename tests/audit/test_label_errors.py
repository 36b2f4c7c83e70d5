"""Confident learning by hand, and on made features whose wrong labels are known."""

import numpy as np
import pytest

from tfft.audit.label_errors import find_label_errors
from tfft.audit.out_of_fold import answer_out_of_fold, folds_of
from tfft.errors import DataError


def photos(
    classes: int, of_class: int, seed: int = 0, apart: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Features around a centre of each class, and the classes."""
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(classes), of_class)
    centres = apart * generator.normal(size=(classes, 20))
    return (centres[labels] + generator.normal(size=(len(labels), 20))).astype(np.float32), labels


def keys(count: int) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (count, 32)).astype(np.uint8)


def test_the_confident_joint_by_hand():
    # Thresholds: 0.7 is the mean of class 0, 0.6 of class 1.
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.3, 0.7], [0.5, 0.5]])
    labels = np.array([0, 0, 0, 1, 1])
    errors = find_label_errors(probabilities, labels)
    assert errors.suspects.tolist() == [2]
    assert errors.suggested.tolist() == [1]
    # Two of three count for class 0; one of class 1 is not confident and is scaled over.
    np.testing.assert_allclose(errors.joint, [[2, 1], [0, 2]])
    assert errors.expected == pytest.approx(1.0)


def test_a_class_without_examples_is_never_suggested():
    probabilities = np.array([[0.9, 0.0, 0.1], [0.1, 0.0, 0.9]])
    errors = find_label_errors(probabilities, np.array([0, 2]))
    assert not len(errors.suspects)
    assert errors.joint.sum() == 2


def test_those_come_first_that_are_contradicted_most():
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.2, 0.8], [0.01, 0.99], [0.2, 0.8]])
    assert find_label_errors(probabilities, np.array([0, 0, 0, 0, 1])).suspects.tolist() == [3, 2]


def test_planted_wrong_labels_are_found_and_hardly_anything_else():
    features, labels = photos(4, 60, apart=2.0)
    given = labels.copy()
    wrong = np.random.default_rng(2).permutation(len(labels))[:24]
    given[wrong] = (given[wrong] + 1) % 4
    folds = folds_of(np.arange(len(given)), given, keys(len(given)), 5)
    answers = answer_out_of_fold(features, given, folds, classes=4)
    errors = find_label_errors(answers.from_unsuspected, given)
    found = set(errors.suspects.tolist())
    assert len(found & set(wrong.tolist())) >= 22
    assert len(found - set(wrong.tolist())) <= 2
    assert (errors.suggested == labels[errors.suspects]).mean() >= 0.9
    assert errors.expected == pytest.approx(24, abs=5)


def test_without_the_suspects_the_answers_are_nearer_to_the_truth():
    features, labels = photos(4, 60, apart=0.7)
    given = labels.copy()
    wrong = np.random.default_rng(2).permutation(len(labels))[:48]
    given[wrong] = (given[wrong] + 1) % 4
    folds = folds_of(np.arange(len(given)), given, keys(len(given)), 5)
    answers = answer_out_of_fold(features, given, folds, classes=4)
    right = [
        (found.argmax(axis=1) == labels).mean()
        for found in (answers.from_all, answers.from_unsuspected)
    ]
    assert right[1] > right[0]


def test_a_class_that_no_head_knows_is_not_left_out():
    features, labels = photos(3, 40)
    features[labels == 2] = features[labels == 1]  # class 2 looks like class 1 exactly
    labels = np.concatenate([labels[:80], labels[80:90]])  # and is rare
    folds = folds_of(np.arange(90), labels, keys(90), 5)
    answers = answer_out_of_fold(features[:90], labels, folds, classes=3)
    assert answers.from_unsuspected[labels == 2, 2].min() > 1e-3


def test_pieces_stay_in_one_fold_and_each_class_is_in_many():
    pieces = np.array([0, 0, 1, 2, 3, 4, 5, 6, 6, 7, 8, 9])
    labels = np.array([0, 1, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1])
    folds = folds_of(pieces, labels, keys(12), 3)
    assert folds[0] == folds[1]
    assert folds[7] == folds[8]
    assert set(folds[labels == 0]) == set(folds[labels == 1]) == {0, 1, 2}


def test_folds_follow_from_the_images_and_not_from_their_order():
    pieces, labels, of_images = np.arange(30), np.arange(30) % 3, keys(30)
    order = np.random.default_rng(1).permutation(30)
    folds = folds_of(pieces, labels, of_images, 5)
    again = folds_of(pieces, labels[order], of_images[order], 5)
    assert again.tolist() == folds[order].tolist()


@pytest.mark.parametrize("labels", [[0] * 12, [0, 1] * 6])
def test_one_class_and_one_piece_are_too_few(labels):
    pieces = np.arange(12) if len(set(labels)) == 1 else np.zeros(12, int)
    folds = folds_of(pieces, np.array(labels), keys(12), 5)
    features = np.zeros((12, 3), np.float32)
    with pytest.raises(DataError, match="compares images of two classes or more"):
        answer_out_of_fold(features, np.array(labels), folds, classes=2)
