"""The loop, the cuts and the cache know nothing of images: here they train on tokens."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfft.backbones.backbone import Backbone, find_blocks
from tfft.catalog.spec import BackboneSpec, BlockSpec
from tfft.config.model import ClassificationHead
from tfft.config.recipe import Recipe
from tfft.data.examples import Order
from tfft.model.assemble import Classifier, assemble
from tfft.model.head_size import HeadSize
from tfft.runs.history import History
from tfft.runs.run import create_run
from tfft.system.progress import SILENT
from tfft.transfer.checkpoints import Checkpoints, TrainingState
from tfft.transfer.phases.session import Session
from tfft.transfer.plan.plan import make_plan
from tfft.transfer.step.optimizers import build_optimizer
from tfft.transfer.train import run_phase

_LENGTH, _WORDS, _CLASSES = 12, 40, 3
_SPEC = BackboneSpec(
    name="Words",
    kind="keras",
    builder="",
    default_size_px=_LENGTH,
    min_size_px=_LENGTH,
    preprocessing="none",
    blocks=(BlockSpec("words", "words"), BlockSpec("near", "near"), BlockSpec("far", "far")),
    parameters=0,
    feature_size=8,
    licence="",
    source="",
)


class TokenFront:
    """Token numbers int32 [batch, length], as they are."""

    name, shape, dtype = "tokens", (_LENGTH,), "int32"
    layers: tuple[keras.layers.Layer, ...] = ()
    weights: tuple[keras.Variable, ...] = ()

    def __call__(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        return inputs


@dataclass(frozen=True, eq=False)
class Sentences:
    """Token numbers int32 [n, length] with labels; a class is a word that is in its sentences."""

    tokens: np.ndarray
    targets: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.tokens)

    def take(self, positions: Sequence[int] | np.ndarray) -> "Sentences":
        targets = {name: values[positions] for name, values in self.targets.items()}
        return replace(self, tokens=self.tokens[positions], targets=targets)

    def identity(self) -> Mapping[str, object]:
        return {"tokens": _LENGTH}

    def keys(self) -> np.ndarray:
        digests = [hashlib.sha256(row.tobytes()).digest() for row in self.tokens]
        return np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 32)

    view_keys = keys

    def exact_targets(self) -> Mapping[str, np.ndarray]:
        return self.targets

    def exact_batches(self, batch_size: int) -> tf.data.Dataset:
        return self._batches(np.arange(len(self)), batch_size)

    def training_batches(
        self,
        batch_size: int,
        *,
        order: Order,
        epochs: range,
        first_step: int = 0,
        **augmentation: object,
    ) -> Iterator[dict[str, object]]:
        for epoch in epochs:
            start = first_step * batch_size if epoch == epochs.start else 0
            yield from self._batches(order(epoch)[start:], batch_size)

    def _batches(self, order: np.ndarray, batch_size: int) -> tf.data.Dataset:
        taken = self.take(order)
        elements = {"inputs": taken.tokens, "targets": dict(taken.targets), "positions": order}
        return tf.data.Dataset.from_tensor_slices(elements).batch(batch_size)


def _sentences(count: int, seed: int) -> Sentences:
    generator = np.random.default_rng(seed)
    tokens = generator.integers(_CLASSES, _WORDS, (count, _LENGTH)).astype(np.int32)
    labels = generator.integers(0, _CLASSES, count)
    tokens[np.arange(count), generator.integers(0, _LENGTH, count)] = labels
    return Sentences(tokens, {"label": labels})


def _classifier() -> Classifier:
    keras.utils.set_random_seed(0)
    tokens = keras.Input((_LENGTH,), dtype="int32")
    x = keras.layers.Embedding(_WORDS, 8, name="words")(tokens)
    for name in ("near", "far"):
        x = keras.layers.Conv1D(8, 3, padding="same", activation="relu", name=name)(x)
    model = keras.Model(tokens, x)
    backbone = Backbone(_SPEC, model, find_blocks(model, _SPEC.blocks), "")
    heads = {"label": ClassificationHead(pooling="max")}
    return assemble(TokenFront(), backbone, heads, {"label": HeadSize(_CLASSES)}, seed=0)


def _trained(directory: Path, unfreeze: object, mode: str, epochs: int) -> Session:
    """A classifier that was trained by the phases of a recipe, with what it was trained on."""
    phase = {"unfreeze": unfreeze, "epochs": epochs, "learning_rate": 0.02}
    recipe = Recipe.model_validate(
        {
            "name": "sentences",
            "data": {"kind": "digits"},
            "backbone": {"kind": "lite"},
            "train": {"phases": [phase], "cache": {"mode": mode}},
        }
    )
    classifier = _classifier()
    train, validation = _sentences(1000, seed=1), _sentences(100, seed=2)
    plan = make_plan(recipe, classifier, {"train": len(train), "validation": len(validation)})
    assert [phase.cached for phase in plan.phases] == [mode == "on"]
    optimizer = build_optimizer(recipe.train.optimizer, classifier.weights)
    run = create_run(recipe, directory)
    training = Session(
        recipe,
        train,
        validation,
        classifier,
        plan,
        optimizer,
        None,
        Checkpoints(run.checkpoints, classifier.model.variables, optimizer.variables),
        History(run.path),
        SILENT,
        run,
    )
    state = TrainingState()
    for planned in plan.phases:
        run_phase(training, planned, state)
    training.history.close()
    return training


def test_a_model_of_tokens_learns_what_it_is_trained_on(tmp_path: Path):
    training = _trained(tmp_path / "run", "all", "off", epochs=6)
    outputs = training.classifier.model(training.validation.tokens, training=False)
    right = outputs["label"].numpy().argmax(axis=1) == training.validation.targets["label"]
    assert right.mean() > 0.9


@pytest.mark.parametrize("unfreeze", ["none", {"last_blocks": 1}])
def test_what_is_frozen_below_tokens_is_cached_and_ends_with_the_same_weights(
    unfreeze: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TFFT_CACHE_DIR", str(tmp_path / "cache"))
    start = [variable.numpy() for variable in _classifier().model.variables]
    cached, uncached = (
        _trained(tmp_path / mode, unfreeze, mode, epochs=2) for mode in ("on", "off")
    )
    assert list((tmp_path / "cache" / "activations").iterdir())
    changed = 0
    for before, one, other in zip(
        start,
        cached.classifier.model.variables,
        uncached.classifier.model.variables,
        strict=True,
    ):
        np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-4)
        changed += not np.array_equal(before, one.numpy())
    assert changed == (2 if unfreeze == "none" else 4)
