"""Batches: every image once, the same every time, the same as evaluation defines."""

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from sample_pictures import write_photo_folder

from tfft.config.data import Augmentation, ImageFolderData
from tfft.data.examples import uniform_order
from tfft.data.graph.pipeline import evaluation_batches, training_batches
from tfft.data.index import ImageIndex
from tfft.data.load import load_data
from tfft.images.pixels import encoded_to_pixels
from tfft.images.spec import PixelSpec

SPEC = PixelSpec(24, 24)
AUGMENTATIONS = get_args(Augmentation)


@pytest.fixture(scope="module")
def index(tmp_path_factory) -> ImageIndex:
    folder = write_photo_folder(tmp_path_factory.mktemp("photos"))
    config = ImageFolderData(
        kind="image_folder", path=folder, test_fraction=0, validation_fraction=0
    )
    return load_data(config).splits["train"]


@pytest.fixture(scope="module")
def views(index) -> Callable[[str], list]:
    """The batches of the first epoch under an augmentation, made once."""
    return functools.cache(lambda augmentation: batches(index, augmentation))


@pytest.fixture(scope="module")
def two_epochs(index) -> tuple[list, list]:
    """Two epochs of random crops that follow each other, in batches of five."""
    found = batches(index, "random_crop", batch_size=5, epochs=range(2))
    assert [len(batch["positions"]) for batch in found] == [5, 5, 4, 5, 5, 4]
    return found[:3], found[3:]


def packed(index: ImageIndex, path) -> ImageIndex:
    """The same images one after the other in one file, as a set of TFDS has them."""
    contents = [index.read(position) for position in range(len(index))]
    path.write_bytes(b"head" + b"".join(contents))
    ends = np.cumsum([len(content) for content in contents])
    return ImageIndex(
        files=(str(path),),
        file_ids=np.zeros(len(index), np.int32),
        offsets=4 + ends - index.lengths,
        lengths=index.lengths,
        ids=index.ids,
        targets=index.targets,
    )


def batches(index: ImageIndex, augmentation: str = "none", batch_size: int = 4, **values):
    options = {"seed": 3, "epochs": range(1), **values}
    options = {"order": lambda e: uniform_order(len(index), options["seed"], e), **options}
    return list(training_batches(index, SPEC, batch_size, augmentation=augmentation, **options))


def test_evaluation_is_in_order_and_exact(index):
    found = list(evaluation_batches(index, SPEC, 4))
    assert [len(batch["positions"]) for batch in found] == [4, 4, 4, 2]
    positions = np.concatenate([batch["positions"] for batch in found])
    assert positions.tolist() == list(range(14))
    labels = np.concatenate([batch["targets"]["label"] for batch in found])
    np.testing.assert_array_equal(labels, index.targets["label"])
    images = np.concatenate([batch["inputs"] for batch in found])
    for position, image in enumerate(images):
        exact = encoded_to_pixels(index.read(position), SPEC)
        np.testing.assert_allclose(image, exact, atol=0.001)


def test_images_inside_a_larger_file_are_the_same(index, views, tmp_path):
    inside = packed(index, tmp_path / "shard")
    for one, other in zip(views("none"), batches(inside), strict=True):
        np.testing.assert_array_equal(one["inputs"], other["inputs"])


@pytest.mark.slow
def test_boxes_are_cut(index):
    boxes = np.tile(np.array([0.2, 0.1, 0.7, 0.8], np.float32), (len(index), 1))
    boxed = replace(index, boxes=boxes)
    (batch,) = evaluation_batches(boxed, SPEC, 32)
    exact = encoded_to_pixels(index.read(5), SPEC, boxes[5])
    np.testing.assert_allclose(batch["inputs"][5], exact, atol=0.001)
    assert batches(boxed, "random_crop")[0]["inputs"].shape == (4, 24, 24, 3)


@pytest.mark.parametrize(
    "augmentation",
    [
        pytest.param(name, marks=pytest.mark.slow if name not in ("none", "flip") else ())
        for name in AUGMENTATIONS
    ],
)
def test_an_epoch_has_every_image_once_and_is_repeatable(index, views, augmentation):
    first, second = views(augmentation), batches(index, augmentation)
    positions = np.concatenate([batch["positions"] for batch in first])
    assert sorted(positions.tolist()) == list(range(14))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one["inputs"], other["inputs"])
        np.testing.assert_array_equal(one["targets"]["label"], other["targets"]["label"])
        np.testing.assert_array_equal(
            one["targets"]["label"], index.targets["label"][one["positions"]]
        )
        assert one["inputs"].dtype == np.float32
        assert np.min(one["inputs"]) >= 0 and np.max(one["inputs"]) <= 255


@pytest.mark.parametrize(
    "augmentation", ["none", pytest.param("random_crop_color", marks=pytest.mark.slow)]
)
def test_leaving_out_steps_changes_nothing_in_the_others(index, views, augmentation):
    whole = views(augmentation)
    rest = batches(index, augmentation, first_step=2)
    assert len(rest) == len(whole) - 2
    for one, other in zip(whole[2:], rest, strict=True):
        np.testing.assert_array_equal(one["inputs"], other["inputs"])
        np.testing.assert_array_equal(one["positions"], other["positions"])


@pytest.mark.slow
def test_epochs_that_follow_each_other_are_those_that_stand_alone(index):
    together = batches(index, "random_crop", epochs=range(1, 4), first_step=2)
    alone = [
        *batches(index, "random_crop", epochs=range(1, 2))[2:],
        *batches(index, "random_crop", epochs=range(2, 3)),
        *batches(index, "random_crop", epochs=range(3, 4)),
    ]
    assert [len(b["positions"]) for b in together] == [4, 2, 4, 4, 4, 2, 4, 4, 4, 2]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_array_equal(one["positions"], other["positions"])
        np.testing.assert_array_equal(one["inputs"], other["inputs"])


def by_position(found) -> np.ndarray:
    positions = np.concatenate([batch["positions"] for batch in found])
    return np.concatenate([batch["inputs"] for batch in found])[np.argsort(positions)]


def test_epochs_and_seeds_differ_in_order_and_views(index, two_epochs):
    three = [*two_epochs, batches(index, "random_crop", seed=4)]
    orders = {tuple(np.concatenate([b["positions"] for b in found]).tolist()) for found in three}
    assert len(orders) == 3
    images = [by_position(found) for found in three]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert not np.array_equal(images[one], images[other])


def test_a_view_depends_on_the_image_and_not_on_its_batch(views, two_epochs):
    by_four, by_five = by_position(views("random_crop")), by_position(two_epochs[0])
    np.testing.assert_array_equal(by_four, by_five)


def test_flip_mirrors_about_half_of_the_images(views):
    plain, flipped = by_position(views("none")), by_position(views("flip"))
    mirrored = [np.array_equal(a[:, ::-1], b) for a, b in zip(plain, flipped, strict=True)]
    same = [np.array_equal(a, b) for a, b in zip(plain, flipped, strict=True)]
    assert all(a or b for a, b in zip(mirrored, same, strict=True))
    assert 2 <= sum(mirrored) <= 12


def test_an_image_that_is_repeated_in_an_epoch_gets_another_view(index):
    (batch,) = batches(index, "random_crop", order=lambda _: np.array([5, 5, 6, 5]))
    assert batch["positions"].numpy().tolist() == [5, 5, 6, 5]
    for one, other in ((0, 1), (0, 3), (1, 3)):
        assert not np.array_equal(batch["inputs"][one], batch["inputs"][other])
