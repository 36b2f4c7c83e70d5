"""What a cut takes depends on nothing but a seed and the images, and never parts a piece."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tfft.data.cuts import limited_part, stratified_part, threshold_part
from tfft.data.pieces import piece_names

labels_of_sets = st.lists(st.integers(0, 5), min_size=2, max_size=80)
fractions = st.floats(0.01, 0.9)


@given(labels_of_sets, fractions, st.integers(0, 5), st.randoms())
def test_the_order_of_the_images_does_not_matter(labels, fraction, seed, random):
    ids = [f"image {number}" for number in range(len(labels))]
    chosen = stratified_part(ids, np.array(labels), fraction, seed)
    order = list(range(len(labels)))
    random.shuffle(order)
    again = stratified_part(
        [ids[i] for i in order], np.array([labels[i] for i in order]), fraction, seed
    )
    np.testing.assert_array_equal(again, chosen[order])


@given(labels_of_sets, fractions)
def test_every_class_keeps_an_image(labels, fraction):
    labels = np.array(labels)
    chosen = stratified_part([str(i) for i in range(len(labels))], labels, fraction, 0)
    assert set(labels[~chosen].tolist()) == set(labels.tolist())


@given(st.integers(1, 30), st.integers(2, 40), fractions)
def test_the_share_is_right_over_all_classes_and_in_each(classes, size, fraction):
    labels = np.repeat(np.arange(classes), size)
    chosen = stratified_part([str(i) for i in range(len(labels))], labels, fraction, 0)
    counts = np.bincount(labels[chosen], minlength=classes)
    assert np.all(np.abs(counts - size * fraction) <= 1 + size * (fraction > 1 - 1 / size))
    if size * (1 - fraction) >= 1 and round(len(labels) * fraction) >= 1:
        assert abs(chosen.sum() - len(labels) * fraction) <= 1


def test_other_seeds_choose_other_images():
    labels = np.zeros(100, np.int64)
    ids = [str(i) for i in range(100)]
    chosen = [stratified_part(ids, labels, 0.5, seed) for seed in (0, 1)]
    assert (chosen[0] != chosen[1]).any()
    assert [part.sum() for part in chosen] == [50, 50]


def test_a_small_set_gives_one_of_each_class_rather_than_nothing():
    labels = np.array([0, 0, 1, 1, 2])
    chosen = stratified_part(list("abcde"), labels, 0.05, 0)
    assert np.bincount(labels[chosen], minlength=3).tolist() == [1, 1, 0]


@given(labels_of_sets, st.floats(0.05, 1.0), st.floats(0.05, 1.0), st.integers(1, 9))
def test_a_smaller_share_of_the_training_images_is_a_part_of_a_larger_one(
    labels, one, other, limit
):
    ids, labels = [f"image {number}" for number in range(len(labels))], np.array(labels)
    small, large = (
        limited_part(ids, labels, fraction=fraction, limit_per_class=limit, seed=3)
        for fraction in sorted((one, other))
    )
    assert not (small & ~large).any()
    assert set(labels[small]) == set(labels)
    assert np.bincount(labels[large]).max() <= limit


def test_a_share_and_a_limit_are_of_each_class():
    labels = np.repeat([0, 1, 2], [100, 30, 3])
    ids = [str(number) for number in range(len(labels))]
    chosen = limited_part(ids, labels, fraction=0.1, limit_per_class=None, seed=0)
    assert np.bincount(labels[chosen]).tolist() == [10, 3, 1]
    chosen = limited_part(ids, labels, fraction=1.0, limit_per_class=20, seed=0)
    assert np.bincount(labels[chosen]).tolist() == [20, 20, 3]
    other = limited_part(ids, labels, fraction=1.0, limit_per_class=20, seed=1)
    assert not np.array_equal(chosen, other)


def numbered(count: int) -> list[str]:
    return [f"image {number}" for number in range(count)]


@given(labels_of_sets, labels_of_sets, fractions, st.integers(0, 5))
def test_what_is_added_moves_no_image_of_a_class_that_is_on_both_sides(before, added, share, seed):
    labels, more = np.array(before), np.array([*before, *added])
    first, second = (
        threshold_part(numbered(len(each)), each, fraction=share, seed=seed, split="test")
        for each in (labels, more)
    )
    alone = threshold_part(numbered(2000), np.zeros(2000), fraction=share, seed=seed, split="test")
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    if any(alone[of_class].any() and len(of_class) > 1 for of_class in members):
        for of_class in members:
            if not alone[of_class].all():
                np.testing.assert_array_equal(first[of_class], second[of_class])


def test_a_threshold_takes_its_share_on_the_average():
    labels = np.repeat(np.arange(4), 2500)
    chosen = threshold_part(numbered(10_000), labels, fraction=0.2, seed=0, split="test")
    np.testing.assert_allclose(np.bincount(labels[chosen]), 500, atol=80)
    other = threshold_part(numbered(10_000), labels, fraction=0.2, seed=0, split="validation")
    assert abs((chosen & other).sum() - 400) < 80


@given(labels_of_sets, fractions, st.integers(0, 5))
def test_a_threshold_leaves_each_class_an_image_and_takes_one_if_it_can(labels, fraction, seed):
    labels = np.array(labels)
    chosen = threshold_part(
        numbered(len(labels)), labels, fraction=fraction, seed=seed, split="test"
    )
    assert set(labels[~chosen].tolist()) == set(labels.tolist())
    assert chosen.any() == (np.bincount(labels).max() > 1)


pieces_of_sets = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), min_size=2, max_size=60)


@given(pieces_of_sets, fractions, st.none() | st.integers(1, 9))
def test_no_cut_parts_a_piece(members, fraction, limit):
    labels, pieces = np.array([m[0] for m in members]), [f"piece {m[1]}" for m in members]
    for chosen in (
        threshold_part(pieces, labels, fraction=fraction, seed=0, split="test"),
        limited_part(pieces, labels, fraction=fraction, limit_per_class=limit, seed=0),
    ):
        taken = {piece for piece, out in zip(pieces, chosen, strict=True) if out}
        assert not taken & {piece for piece, out in zip(pieces, chosen, strict=True) if not out}
    assert set(labels[chosen]) == set(labels)


def test_a_smaller_share_is_a_part_of_a_larger_one_in_pieces_too():
    labels = np.repeat([0, 1], 60)
    pieces = [f"piece {number // 7}" for number in range(120)]
    parts = [
        limited_part(pieces, labels, fraction=share, limit_per_class=None, seed=2)
        for share in (0.2, 0.5, 0.8, 1.0)
    ]
    assert not any((small & ~large).any() for small, large in itertools.pairwise(parts))
    assert parts[-1].all()
    for share, part in zip((0.2, 0.5, 0.8), parts, strict=False):
        assert part.sum() <= 120 * share + 7


def test_copies_and_groups_and_what_hangs_together_by_both_are_one_piece():
    digests = np.zeros((6, 32), np.uint8)
    digests[:, 0] = [1, 1, 2, 3, 3, 4]
    first, copy, other, *bridge, alone = piece_names(digests)
    assert first == copy != other and bridge[0] == bridge[1]
    groups = ["", "", "anna", "anna", "ben", ""]
    names = piece_names(digests, groups)
    assert names[0] == names[1] and names[2] == names[3] == names[4]
    assert len(set(names)) == 3 and names[5] == alone


@given(st.lists(st.tuples(st.integers(0, 8), st.sampled_from(["", "a", "b", "c"])), min_size=1))
def test_a_piece_keeps_its_name_when_an_image_of_it_is_added(members):
    def named(images):
        digests = np.zeros((len(images), 32), np.uint8)
        digests[:, 0] = [image for image, _ in images]
        return piece_names(digests, [group for _, group in images])

    before = named(members)
    for image, group in members:
        assert named([*members, (image, group)])[: len(members)] == before
        fresh = named([*members, (99, group)])
        assert fresh[: len(members)] == before
