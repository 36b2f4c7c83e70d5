"""A check that a backbone can be trained, saved and exported, in a minute and without data.

The classifier has three classes and sees noise: the mechanism is checked, not the weights.
"""

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tfft.system.tensorflow import tf

import numpy as np

from tfft.backbones.backbone import Backbone
from tfft.backbones.keras_models.keras_file import load_keras_file
from tfft.config.data import ImageConfig
from tfft.config.model import ClassificationHead, HeadsConfig
from tfft.config.train import AdamWOptimizer, GradientPhase
from tfft.errors import TfftError
from tfft.exports.parity import FLOAT_ROUNDING
from tfft.exports.saved_model import write_saved_model
from tfft.exports.tflite.build import float32_content, write_tflite
from tfft.images.spec import PixelSpec
from tfft.model.assemble import Classifier, build_classifier
from tfft.model.head_size import HeadSize
from tfft.runtime.info import HeadInfo, ModelInfo
from tfft.runtime.saved_model_predictor import SavedModelPredictor
from tfft.runtime.tflite.predictor import TflitePredictor
from tfft.system.progress import SILENT, Progress
from tfft.system.readable import Readable
from tfft.transfer.plan.unfreeze import unfrozen
from tfft.transfer.step.batch_norm import set_batch_norm
from tfft.transfer.step.optimizers import build_optimizer, inner_optimizer
from tfft.transfer.step.step import TrainStep
from tfft.transfer.step.update_rules import update_rules
from tfft.version import __version__

_CLASSES = ("a", "b", "c")
_IMAGES = 4


@dataclass(frozen=True, repr=False)
class CheckResult(Readable):
    """The result of one check.

    Attributes:
        what: Name of the check.
        passed: Whether it passed.
        measured: What was measured, or why the check failed.
        seconds: Seconds the check took, wall clock.
    """

    what: str
    passed: bool
    measured: str
    seconds: float

    def lines(self) -> list[str]:
        return [f"{'passed' if self.passed else 'FAILED'}: {self.what}, {self.measured}"]

    def to_json(self) -> dict[str, Any]:
        """Returns the result as JSON values."""
        return asdict(self)


class _FailedError(TfftError):
    """A check did not pass."""


def check_backbone(backbone: Backbone, progress: Progress = SILENT) -> tuple[CheckResult, ...]:
    """Tries a forward pass, training steps, saving, loading and exports.

    The training steps change the weights of the backbone.
    """
    trial = _Trial(backbone)
    tried: dict[str, Callable[[], str]] = {
        "forward": trial.forward,
        "step of the heads": trial.train_heads,
        "step of everything": trial.train_everything,
        ".keras saved and loaded": trial.save_keras,
        "SavedModel": trial.export_saved_model,
        "TFLite float32": trial.export_tflite,
    }
    if any(block.batch_norms for block in backbone.blocks):
        tried["step with BatchNorm adapt"] = trial.adapt_batch_norm
    task = progress.start(f"checking {backbone.spec.name}", len(tried), "checks")
    results = []
    try:
        for what, function in tried.items():
            started = time.perf_counter()
            try:
                measured, passed = function(), True
            except TfftError as error:
                measured, passed = str(error), False
            results.append(CheckResult(what, passed, measured, time.perf_counter() - started))
            task.advance(1)
    finally:
        task.close()
    return tuple(results)


class _Trial:
    """A classifier on noise, with a method for each check."""

    def __init__(self, backbone: Backbone) -> None:
        _, height, width, _ = backbone.model.input_shape
        heads: HeadsConfig = {"label": ClassificationHead()}
        sizes = {"label": HeadSize(len(_CLASSES))}
        self._classifier: Classifier = build_classifier(backbone, heads, sizes, ImageConfig(), 0)
        generator = np.random.default_rng(0)
        shape = (_IMAGES, height, width, 3)
        self._images = generator.uniform(0, 255, shape).astype(np.float32)
        self._labels = np.arange(_IMAGES) % len(_CLASSES)
        self._optimizer = build_optimizer(AdamWOptimizer(name="adamw"), self._classifier.weights)
        self._info = ModelInfo(
            name="check",
            input=PixelSpec(height, width),
            heads={"label": HeadInfo("classification", _CLASSES, "label")},
            backbone=backbone.spec.name,
            licence=None,
            data=None,
            tfft_version=__version__,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    def forward(self) -> str:
        backbone = self._classifier.backbone
        features = self._classifier.cut(len(backbone.blocks)).below([tf.constant(self._images)])[0]
        spread = float(np.ptp(features.numpy(), axis=0).max())
        if not np.isfinite(spread) or spread == 0.0:
            raise _FailedError(f"features of different images differ by at most {spread:.3g}")
        return f"{features.shape[-1]:,} features, differing by up to {spread:.3g}"

    def train_heads(self) -> str:
        changed = self._step("none", "frozen")
        if set(changed) != {v.path for v in self._classifier.head_weights}:
            raise _FailedError(f"changed: {_some(changed)}, not just the heads")
        return "changes the heads only, no bit of the backbone"

    def train_everything(self) -> str:
        blocks = self._classifier.block_weights
        trained = {v.path for block in blocks for v in block}
        changed = set(self._step("all", "frozen"))
        if not trained:
            return "nothing to train: the backbone has no trainable variables"
        others = changed - trained - {v.path for v in self._classifier.head_weights}
        if others:
            raise _FailedError(f"changed: {_some(sorted(others))}, which are not trained")
        share = len(changed & trained) / len(trained)
        if share < 0.5:
            raise _FailedError(f"changes {share:.0%} of the backbone's trainable variables only")
        return f"changes {share:.0%} of the backbone's trainable variables, no statistics"

    def adapt_batch_norm(self) -> str:
        norms = [norm for block in self._classifier.backbone.blocks for norm in block.batch_norms]
        statistics = {v.path for norm in norms for v in (norm.moving_mean, norm.moving_variance)}
        moved = statistics & set(self._step("all", "adapt"))
        if not moved:
            raise _FailedError("no BatchNorm statistics changed")
        return f"changes {len(moved)} of {len(statistics)} statistics"

    def save_keras(self) -> str:
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "model.keras"
            self._classifier.model.save(path)
            return self._same(load_keras_file(path)(self._images, training=False)["label"].numpy())

    def export_saved_model(self) -> str:
        with tempfile.TemporaryDirectory() as directory:
            write_saved_model(self._classifier.model, self._info, Path(directory))
            predictor = SavedModelPredictor(Path(directory), self._info, "serving_default")
            return self._same(predictor.logits(self._images)["label"])

    def export_tflite(self) -> str:
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "model.tflite"
            content = float32_content(self._classifier.model, self._info)
            write_tflite(content, self._info, path, version="0", description="a check")
            return self._same(TflitePredictor(path, self._info).logits(self._images)["label"])

    def _same(self, actual: np.ndarray) -> str:
        expected = self._classifier.model(self._images, training=False)["label"].numpy()
        scale = max(float(np.abs(expected).max()), 1e-6)
        difference = float(np.abs(actual - expected).max()) / scale
        if not difference <= FLOAT_ROUNDING:
            raise _FailedError(f"logits differ by {difference:.3g} of the largest")
        return f"logits differ by {difference:.2g} of the largest"

    def _step(self, unfreeze: str, batch_norm: str) -> list[str]:
        """Takes a training step and returns the paths of the variables that it changed."""
        classifier = self._classifier
        phase = GradientPhase.model_validate(
            {"unfreeze": unfreeze, "steps": 1, "learning_rate": 1e-3, "batch_norm": batch_norm}
        )
        trained = unfrozen(classifier, phase.unfreeze)
        set_batch_norm(classifier, trained, batch_norm)
        rules = update_rules(classifier, phase, trained)
        inner_optimizer(self._optimizer).begin_phase(rules)
        variables = classifier.model.variables
        before = [variable.numpy() for variable in variables]
        cut = classifier.cut(trained.frozen_blocks)
        step = TrainStep(cut, classifier.heads, self._optimizer, [v for v, _ in rules])
        batch = (tf.constant(self._images),), {"label": tf.constant(self._labels)}
        sums = step.on_batch(batch, tf.constant(phase.learning_rate)).numpy()
        if not np.isfinite(sums).all():
            raise _FailedError("the loss is not finite")
        return [
            variable.path
            for variable, value in zip(variables, before, strict=True)
            if not np.array_equal(variable.numpy(), value)
        ]


def _some(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
    return ", ".join(paths[:3]) + more
