"""What each head reaches without looking at an image: what a trained one has to beat."""

from tfft.system.tensorflow import tf

import numpy as np

from tfft.metrics.heads import METRIC_NAMES
from tfft.metrics.intervals import Interval, mean_interval, wilson_interval
from tfft.model.heads import Head
from tfft.model.losses import METRICS, metric, validation_loss
from tfft.runs.diagnosis import Baseline
from tfft.transfer.phases.session import Session


def baselines_of(session: Session) -> dict[str, Baseline]:
    """Returns the baseline of each head that has targets among the validation images, by name."""
    if not len(session.validation):
        return {}
    train, validation = session.train.exact_targets(), session.validation.exact_targets()
    found = {
        name: baseline(head, train[head.config.target], validation[head.config.target])
        for name, head in session.classifier.heads.items()
    }
    return {name: of_head for name, of_head in found.items() if of_head is not None}


def baseline(head: Head, train: np.ndarray, validation: np.ndarray) -> Baseline | None:
    """Measures the constant answer of a head; None without validation targets.

    It is the commonest class, the labels that more than half of the images have, the median number,
    or the box of median sides.

    Args:
        head: The head.
        train: Training targets, int64 [n] classes or float32 [n, outputs], NaN where missing.
        validation: Validation targets, likewise.
    """
    train, validation = _known(train), _known(validation)
    if not len(validation) or not len(train):
        return None
    output, answer = _constant(head, train)
    outputs = tf.tile(tf.constant(output, tf.float32)[None], [len(validation), 1])
    targets = tf.constant(validation)
    values = metric(head)(targets, outputs).numpy().astype(np.float64)
    losses = validation_loss(head)(targets, outputs).numpy().astype(np.float64)
    name, value = METRICS[head.config.kind], float(values.mean())
    interval = mean_interval(values) or Interval(value, value)
    if name == "top1":
        interval = wilson_interval(round(values.sum()), len(values))
    return Baseline(
        answer=answer,
        metric=name,
        metric_text=METRIC_NAMES[name],
        value=value,
        chance=interval.low if name == "mae" else interval.high,
        loss=float(losses.mean()),
        examples=len(values),
    )


def _constant(head: Head, targets: np.ndarray) -> tuple[np.ndarray, str]:
    """Returns an output for every image, float [outputs], and what it says."""
    kind = head.config.kind
    if kind == "classification":
        # A class that training has not seen counts as half an image, so that its loss is finite.
        counts = np.maximum(np.bincount(targets, minlength=head.size.outputs), 0.5)
        return np.log(counts), f"the commonest class, {head.size.class_names[counts.argmax()]}"
    if kind == "multi_label":
        share = np.clip(targets.mean(axis=0), 0.5 / len(targets), 1.0 - 0.5 / len(targets))
        names = [n for n, s in zip(head.size.class_names, share, strict=True) if s > 0.5]
        answer = f"the commonest labels, {', '.join(names)}" if names else "no label"
        return np.log(share / (1.0 - share)), answer
    median = np.median(targets, axis=0)
    return median, f"the median, {median[0]:.3g}" if kind == "regression" else "the median box"


def _known(targets: np.ndarray) -> np.ndarray:
    """The targets that are not missing."""
    if targets.dtype.kind != "f":
        return targets
    return targets[np.isfinite(targets).all(axis=1)]
