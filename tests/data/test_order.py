"""In which order an epoch visits the images."""

import numpy as np

from tfft.data.examples import balanced_order, uniform_order
from tfft.data.index import repetitions


def test_a_uniform_epoch_is_a_permutation_of_its_own():
    first = uniform_order(50, 0, 0)
    assert sorted(first) == list(range(50))
    assert not np.array_equal(first, uniform_order(50, 0, 1))
    assert not np.array_equal(first, uniform_order(50, 1, 0))
    np.testing.assert_array_equal(first, uniform_order(50, 0, 0))


def test_a_balanced_epoch_has_equally_many_of_each_class():
    labels = np.repeat([0, 1, 2], [70, 20, 11])
    order = balanced_order(labels, 0, 3)
    assert len(order) == 101
    assert sorted(np.bincount(labels[order])) == [33, 34, 34]
    np.testing.assert_array_equal(order, balanced_order(labels, 0, 3))
    assert not np.array_equal(order, balanced_order(labels, 0, 4))


def test_no_image_is_repeated_before_all_of_its_class_were_drawn():
    labels = np.repeat([0, 1], [40, 10])
    drawn = np.bincount(balanced_order(labels, 0, 0), minlength=50)
    assert drawn[:40].max() == 1
    assert set(drawn[40:]) == {2, 3}


def test_repetitions_count_how_often_a_position_came_before():
    found = repetitions(np.array([4, 2, 4, 4, 0, 2]))
    assert found.tolist() == [0, 0, 1, 2, 0, 1]
