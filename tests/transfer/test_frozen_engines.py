"""What computes the frozen part of a phase, and that it makes no difference but of time."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import tensorflow as tf
from progresses import Interrupting
from shapes import AVERAGED, HEADS, shapes_recipe, weights_of, write_backbone, write_photos
from small_classifier import small_batch, small_classifier

from tfft.config.recipe import Recipe
from tfft.data.examples import Examples, uniform_order
from tfft.transfer.frozen.engine import FrozenFunction
from tfft.transfer.phases.inputs import ExampleStream
from tfft.transfer.plan import engine_rule
from tfft.transfer.plan.plan import make_plan
from tfft.transfer.resume import resume
from tfft.transfer.step.step import EvaluationStep, TrainStep
from tfft.transfer.train import train

_IMAGES = {"train": 600, "validation": 20}
_AUGMENTED = {**HEADS, "augment": "random_crop"}


def test_the_plan_says_what_computes_the_frozen_part_of_each_phase():
    engines = _engines_of_plan(
        _AUGMENTED,
        {**_AUGMENTED, "unfreeze": {"last_blocks": 1}},
        {"solver": "linear"},
        {**_AUGMENTED, "mix": {"kind": "mixup"}},
        {**_AUGMENTED, "epochs": None, "steps": 15},
        {**_AUGMENTED, "unfreeze": "all"},
    )
    assert engines == [
        *(("xnnpack", ""), ("xnnpack", ""), ("xnnpack", "")),
        ("keras", "behind the mixing of images"),
        ("keras", "too few images to convert it for"),
        (None, ""),
    ]
    half = _engines_of_plan(_AUGMENTED, mixed_precision="mixed_bfloat16")
    assert half == [("keras", "in mixed precision")]


def _engines_of_plan(*phases: Mapping[str, object], **section: object) -> list[tuple]:
    values = {
        "name": "small",
        "data": {"kind": "digits"},
        "backbone": {"kind": "lite"},
        "train": {"phases": phases, **section},
    }
    plan = make_plan(Recipe.model_validate(values), small_classifier(), _IMAGES)
    return [(phase.engine, phase.engine_reason) for phase in plan.phases]


class _Steps:
    """A step that keeps the batches it is given."""

    def __init__(self) -> None:
        self.inputs: list[np.ndarray] = []
        self.labels: list[int] = []

    def on_batch(self, batch, rate: tf.Tensor | None = None) -> tf.Tensor:
        (inputs,), targets = batch
        self.inputs.append(inputs.numpy())
        self.labels += targets["label"].numpy().tolist()
        return tf.zeros([3])


class _Pictures:
    """Eleven pictures, darker in each epoch, with their number as label."""

    def __init__(self) -> None:
        (self._images,), targets = small_batch(11)
        self.targets = {"label": np.arange(len(targets["label"]))}

    def __len__(self) -> int:
        return len(self.targets["label"])

    def exact_batches(self, batch_size: int) -> tf.data.Dataset:
        return self._batches(np.arange(len(self)), 0).batch(batch_size)

    def training_batches(self, batch_size: int, *, order, epochs, first_step=0, **_: object):
        positions = order(epochs.start)[first_step * batch_size :]
        batches = self._batches(positions, epochs.start).batch(batch_size)
        for epoch in range(epochs.start + 1, 3):
            batches = batches.concatenate(self._batches(order(epoch), epoch).batch(batch_size))
        return batches

    def _batches(self, positions: np.ndarray, epoch: int) -> tf.data.Dataset:
        images = self._images.numpy()[positions] / (1 + epoch)
        return tf.data.Dataset.from_tensor_slices(
            {"inputs": images, "targets": {"label": positions}}
        )


def _batches_of_steps(frozen: FrozenFunction | None) -> _Steps:
    steps, pictures = _Steps(), cast(Examples, _Pictures())
    orders = {epoch: uniform_order(len(pictures), 0, epoch) for epoch in range(3)}
    stream = ExampleStream(
        pictures, pictures, {"label": "label"}, 4, orders.__getitem__, "flip", 0, frozen
    )
    rates = np.ones(3, np.float32)
    for epoch, first in ((0, 0), (1, 0), (2, 1)):  # the last as a resumed run asks
        pieces = list(stream.train_epoch(cast(TrainStep, steps), epoch, rates, first))
        assert [piece.images for piece in pieces] == [4, 4, 3][first:]
        list(stream.validate(cast(EvaluationStep, steps)))
    stream.close()
    return steps


def test_steps_get_what_the_frozen_part_makes_of_each_batch_in_its_turn():
    def means(batches: Iterable[np.ndarray]) -> Iterator[Sequence[np.ndarray]]:
        for batch in list(batches):  # as several workers do, it takes batches before it gives any
            yield [batch.mean(axis=(1, 2))]

    images = _batches_of_steps(None)
    features = _batches_of_steps(FrozenFunction("xnnpack", means))
    assert features.labels == images.labels
    expected = np.concatenate(images.inputs).mean(axis=(1, 2))
    np.testing.assert_array_equal(np.concatenate(features.inputs), expected)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_photos(tmp_path_factory.mktemp("photos"))
    write_backbone(root)
    return root


def _engines(run: Path) -> dict[str, str]:
    return json.loads((run / "run.json").read_text())["engines"]


@pytest.mark.slow
def test_what_computes_the_frozen_part_makes_no_difference_and_stays_in_a_resumed_run(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    phase = {**AVERAGED, "augment": "random_crop"}
    recipe = shapes_recipe(photos, phase, keep_best=False, checkpoint_seconds=1e-9)
    whole = {}
    for engine, worth_converting in (("keras", 10**9), ("xnnpack", 0)):
        monkeypatch.setattr(engine_rule, "_WORTH_CONVERTING", worth_converting)
        whole[engine] = weights_of(train(recipe, run=tmp_path / engine).path)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, run=tmp_path / f"{engine} cut", progress=Interrupting(3))
        assert _engines(tmp_path / engine) == _engines(tmp_path / f"{engine} cut") == {"1": engine}
    for engine, expected in whole.items():  # by the rule of the last, which is not that of both
        again = weights_of(resume(tmp_path / f"{engine} cut").path)
        for name, value in expected.items():
            np.testing.assert_array_equal(again[name], value, err_msg=name)
            np.testing.assert_allclose(value, whole["keras"][name], atol=1e-4, err_msg=name)
