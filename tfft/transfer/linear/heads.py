"""The heads of a model, solved one after the other on features that are computed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tfft.cache.tensors import Rows
from tfft.config.model import HeadConfig
from tfft.config.train import LinearPhase
from tfft.metrics.multi_label import best_thresholds
from tfft.model.class_weights import class_weights_of
from tfft.model.head_size import HeadSize
from tfft.runtime.predictor import sigmoid, softmax
from tfft.system.progress import Progress
from tfft.transfer.linear.penalty import solve_linear_head
from tfft.transfer.linear.weights import LinearWeights


@dataclass(frozen=True, eq=False)
class Features:
    """What heads are solved on.

    Attributes:
        train: Features of the training images, [n, d] for each pooling.
        train_targets: Their targets by the name of what is predicted, [n, ...].
        validation: Features of the validation images, [m, d] for each pooling.
        validation_targets: Their targets, likewise.
    """

    train: Sequence[Rows]
    train_targets: Mapping[str, np.ndarray]
    validation: Sequence[Rows]
    validation_targets: Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class SolvedHead:
    """What became of a head.

    Attributes:
        weights: Its weights: those of the refit, if the phase asks for one.
        validation: Metrics of the weights before the refit on the validation images; empty if none
            has the target.
        held_out: Of a head for classes or labels that was refitted, what the weights before the
            refit say about the validation images, as probabilities [m, outputs]; None for others.
        thresholds: Probability above which each label applies, chosen on the validation images by
            the weights before the refit; empty without labels or such images.
    """

    weights: LinearWeights
    validation: dict[str, float]
    held_out: np.ndarray | None = None
    thresholds: tuple[float, ...] = ()


def solve_heads(
    heads: Mapping[str, tuple[HeadConfig, HeadSize]],
    poolings: Sequence[str],
    features: Features,
    phase: LinearPhase,
    progress: Progress,
) -> dict[str, SolvedHead]:
    """Solves each head on the features of its pooling.

    Args:
        heads: Section of the recipe and size of each head, by name.
        poolings: Kinds of the poolings, in the order of the features.
        features: What the heads are solved on.
        phase: The solved phase.
        progress: Where the work is reported.

    Raises:
        TfftError: A feature is not finite.
    """
    solved: dict[str, SolvedHead] = {}
    for name, (config, size) in heads.items():
        column = poolings.index(config.pooling)
        labels = features.train_targets[config.target]
        solution = solve_linear_head(
            features.train[column],
            _wanted(config, size, labels),
            features.validation[column],
            _wanted(config, size, features.validation_targets[config.target]),
            kind=config.kind,
            outputs=size.outputs,
            class_weights=class_weights_of(config, size, labels),
            candidates=phase.inverse_regularization,
            choose_by=phase.choose_by,
            refit=phase.refit,
            progress=progress,
        )
        reached = dict(solution.validation[solution.inverse_regularization])
        if "mae" in reached:
            reached["mae"] *= size.deviation
        held_out, thresholds = None, ()
        if config.kind != "regression":
            probabilities = sigmoid if config.kind == "multi_label" else softmax
            held_out = probabilities(solution.chosen.outputs(features.validation[column][:]))
        if config.kind == "multi_label" and held_out is not None and len(held_out):
            thresholds = best_thresholds(held_out, features.validation_targets[config.target])
        solved[name] = SolvedHead(
            solution.refitted or solution.chosen,
            reached,
            held_out if solution.refitted is not None else None,
            thresholds,
        )
    return solved


def _wanted(config: HeadConfig, size: HeadSize, targets: np.ndarray) -> np.ndarray:
    """Returns what the head's dense layer should give: of a number, deviations from its mean."""
    if config.kind != "regression":
        return targets
    return (targets - size.mean) / size.deviation
