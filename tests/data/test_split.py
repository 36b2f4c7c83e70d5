"""Splits depend on nothing but a seed and the images' names."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tfft.data.split import limited_part, stratified_part

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
