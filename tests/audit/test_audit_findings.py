"""What is found of single images, on made answers, hashes and measures."""

from dataclasses import astuple
from hashlib import sha256

import numpy as np
import pytest

from tfft.audit.class_pairs import hardly_told_apart
from tfft.audit.copies import find_copies
from tfft.audit.findings import Seen, all_findings
from tfft.audit.label_errors import find_label_errors
from tfft.audit.outliers import neighbour_distances
from tfft.data.index import index_of_files
from tfft.data.looks import Looks
from tfft.images.looks import Look

SHARP = Look(400, 300, lightest=0.9, spread=0.2, blur=0.3)


def looks(measures: list[Look], hashes: np.ndarray | None = None) -> Looks:
    """Looks of images that are unlike each other, unless hashes are given."""
    count = len(measures)
    if hashes is None:
        hashes = np.random.default_rng(0).integers(0, 2**63, (count, 4)).astype(np.uint64)
    values = np.array([astuple(measure) for measure in measures], np.float32)
    return Looks(hashes, np.ones(count, bool), values)


def keys(contents: list[str]) -> np.ndarray:
    return np.stack([np.frombuffer(sha256(c.encode()).digest(), np.uint8) for c in contents])


def seen(labels, probabilities, of_looks, contents=None, splits=None, distances=None) -> Seen:
    count, names = len(labels), [f"{number}.jpg" for number in range(len(labels))]
    return Seen(
        index=index_of_files([], names, labels),
        keys=keys(contents or names),
        splits=splits or ["train"] * count,
        labels=np.array(labels),
        class_names=("cat", "dog"),
        probabilities=np.array(probabilities, np.float32),
        looks=of_looks,
        distances=np.full(count, 1.0, np.float32) if distances is None else distances,
        size_px=224,
    )


def found_in(of: Seen):
    copies, _ = find_copies(of.keys, of.looks)
    return all_findings(of, find_label_errors(of.probabilities, of.labels), copies)


def sure(labels) -> np.ndarray:
    return np.eye(2)[labels] * 0.9 + 0.05


def test_an_equal_file_under_another_label_is_said_of_the_one_that_is_likely_wrong():
    labels = [0, 0, 0, 1, 1, 1]
    answers = sure([0, 0, 0, 1, 1, 0])
    of = seen(labels, answers, looks([SHARP] * 6), contents=["a", "b", "c", "d", "e", "a"])
    (found,), _ = found_in(of)  # and not once more as a likely wrong label
    assert (found.kind, found.path, found.label, found.suggested) == (
        "two_labels",
        "5.jpg",
        "dog",
        "cat",
    )
    assert found.reason == "the same file as 0.jpg, which is labelled cat"
    assert found.probability == pytest.approx(0.95)
    assert found.like == ("0.jpg",)


def alike(count: int, of: dict[int, int]) -> np.ndarray:
    """Hashes of which some differ from another one in three bits."""
    hashes = np.random.default_rng(1).integers(0, 2**63, (count, 4)).astype(np.uint64)
    for copy, original in of.items():
        hashes[copy] = hashes[original]
        hashes[copy, 0] ^= np.uint64(0b111)
    return hashes


def test_photos_that_look_alike_but_are_told_apart_are_no_copies_under_two_labels():
    labels = [0] * 10 + [1] * 10
    hashes = alike(20, {10: 0})
    told_apart = seen(labels, sure(labels), looks([SHARP] * 20, hashes))
    assert found_in(told_apart)[0] == ()
    answers = sure(labels)
    answers[10] = [0.8, 0.2]
    (found,), _ = found_in(seen(labels, answers, looks([SHARP] * 20, hashes)))
    assert found.kind == "two_labels"
    assert found.reason == "looks like 0.jpg, which is labelled cat"


def test_the_test_image_of_a_copy_stays():
    labels = [0] * 10 + [1] * 10
    splits = ["train"] * 5 + ["test"] * 15
    of = seen(labels, sure(labels), looks([SHARP] * 20, alike(20, {7: 2})), splits=splits)
    (found,), _ = found_in(of)
    assert (found.kind, found.path) == ("across_splits", "2.jpg")
    assert found.reason == "looks like 7.jpg, a test image"
    assert found.suggested == ""
    assert found.probability == pytest.approx(0.95)


def test_the_largest_copy_of_a_split_stays():
    labels = [0] * 10 + [1] * 10
    measures = [SHARP] * 20
    measures[7] = Look(800, 600, 0.9, 0.2, 0.3)
    of = seen(labels, sure(labels), looks(measures, alike(20, {7: 2})))
    (found,), _ = found_in(of)
    assert (found.kind, found.path, found.like) == ("copy", "2.jpg", ("7.jpg",))


def test_where_all_look_alike_only_equal_files_are_copies():
    labels = [0, 0, 0, 0, 1, 1, 1, 1]
    scene = looks([SHARP] * 8, alike(8, dict.fromkeys(range(1, 8), 0)))
    of = seen(labels, sure(labels), scene, contents=list("abcdefga"))
    copies, (remark,) = find_copies(of.keys, of.looks)
    assert [group.positions for group in copies] == [(0, 7)]
    assert copies[0].identical
    assert remark.startswith("8 of 8 images look like another one")


@pytest.mark.parametrize(
    ("look", "kind", "reason"),
    [
        (Look(400, 300, 0.1, 0.1, 0.3), "dark", "its lightest pixels have 0.10 of white"),
        (Look(400, 300, 0.9, 0.2, 0.8), "blurred", "blurred: a blur effect of 0.80"),
        (
            Look(400, 90, 0.9, 0.2, 0.3),
            "tiny",
            "its shorter side has 90 pixels, and the model takes 224",
        ),
        (Look(400, 300, 0.9, 0.01, 0.3), "uniform", "nearly one shade: its luma varies by 0.010"),
    ],
)
def test_a_flaw_that_few_images_have_is_listed_and_a_common_one_is_said_once(look, kind, reason):
    labels = [0] * 10 + [1] * 10
    few, notes = found_in(seen(labels, sure(labels), looks([*[SHARP] * 19, look])))
    assert [(one.kind, one.path, one.reason) for one in few] == [(kind, "19.jpg", reason)]
    assert notes == []
    none, notes = found_in(seen(labels, sure(labels), looks([*[SHARP] * 10, *[look] * 10])))
    assert none == ()
    assert notes == [f"10 of 20 images are {kind}: not listed"]


def test_what_lies_far_from_all_others_is_an_outlier():
    generator = np.random.default_rng(0)
    labels = [0] * 100 + [1] * 100
    features = generator.normal(size=(200, 30)).astype(np.float32)
    features[:, :2] += 8 * np.eye(2)[labels]
    features[[17, 117], :2] = 0
    features[[17, 117], 5] = 8  # two that are alike
    distances = neighbour_distances(features, np.arange(200))
    assert set(np.argsort(-distances)[:2].tolist()) == {17, 117}
    found, _ = found_in(seen(labels, sure(labels), looks([SHARP] * 200), distances=distances))
    assert [one.kind for one in found[:2]] == ["outlier"] * 2
    assert {one.path for one in found[:2]} == {"17.jpg", "117.jpg"}


def test_neighbours_of_the_same_piece_do_not_count():
    features = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)
    features[1] = features[0]
    apart = neighbour_distances(features, np.arange(60))
    together = neighbour_distances(features, np.array([0, 0, *range(2, 60)]))
    assert together[0] > apart[0]
    assert np.isnan(neighbour_distances(features, np.zeros(60, int))).all()


def test_classes_that_are_mixed_up_are_named_and_others_are_not():
    generator = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 60)
    answers = np.full((180, 3), 0.02)
    answers[labels == 2, 2] = 0.96
    mixed = np.flatnonzero(labels < 2)
    first = generator.random(len(mixed)) < 0.5
    answers[mixed, 0], answers[mixed, 1] = np.where(first, 0.9, 0.08), np.where(first, 0.08, 0.9)
    (pair,) = hardly_told_apart(answers, labels, ("a", "b", "c"))
    assert pair.classes == ("a", "b")
    assert pair.images == (60, 60)
    assert pair.told_apart == pytest.approx(0.5, abs=0.1)
    assert pair.interval.low < 0.5 < pair.interval.high < 0.75


def test_too_few_images_show_nothing_about_two_classes():
    answers = np.array([[0.4, 0.6], [0.6, 0.4], [0.6, 0.4], [0.4, 0.6]])
    assert hardly_told_apart(answers, np.array([0, 0, 1, 1]), ("a", "b")) == ()
