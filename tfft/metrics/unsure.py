"""What it changes that a model says where it is unsure: coverage, and who is told apart."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from tfft.metrics.heads import head_metrics, main_metric
from tfft.metrics.intervals import wilson_interval
from tfft.metrics.one_against_rest import class_metrics
from tfft.runtime.info import ModelInfo
from tfft.runtime.predictor import Outputs
from tfft.system.names import UNLIKENESS


def unsure_metrics(
    info: ModelInfo,
    answers: Outputs,
    targets: Mapping[str, np.ndarray],
    others: Mapping[str, Outputs],
) -> dict[str, Any]:
    """Returns the metrics of what a model is sure of, and how well it tells other images apart.

    Args:
        info: Description of the model.
        answers: Answers on known images, as `Predictor.answers` gives them.
        targets: Targets of the known images, by head.
        others: Answers on images of other sources, by the name of the source.

    Returns:
        JSON values: ``keep``, the share that the threshold was set to keep; ``coverage``, the share
        of these images that it keeps, and ``coverage_interval`` (95 %, Wilson); ``kept``, by head,
        the ``metric`` that it is judged by, its ``value`` on the images that are kept and on the
        ``left_out`` ones, None where there are none; ``others``, for each source its ``name``, its
        ``examples``, the share of them that is ``caught`` as unsure, and the ``auroc``: how often
        one of them is less like the training images than a known image is. {} where the model is
        never unsure.

    Source: El-Yaniv and Wiener 2010, "On the Foundations of Noise-free Selective Classification",
    for the coverage.
    """
    if info.unsure is None or UNLIKENESS not in answers:
        return {}
    known = answers[UNLIKENESS][:, 0]
    kept = known <= 1.0
    return {
        "keep": info.unsure.keep,
        "coverage": float(kept.mean()),
        "coverage_interval": list(wilson_interval(int(kept.sum()), len(kept))),
        "kept": {name: _by_side(info, name, answers, targets, kept) for name in info.heads},
        "others": [
            _told_apart(name, known, said[UNLIKENESS][:, 0]) for name, said in others.items()
        ],
    }


def _by_side(
    info: ModelInfo,
    name: str,
    answers: Outputs,
    targets: Mapping[str, np.ndarray],
    kept: np.ndarray,
) -> dict[str, Any]:
    """Returns the main metric of a head on the images that are kept, and on the others."""
    head, found = info.heads[name], {}
    for side, chosen in (("value", kept), ("left_out", ~kept)):
        found[side] = None
        if chosen.any():
            metrics = head_metrics(head, answers[name][chosen], targets[name][chosen])
            metric, found[side] = main_metric(head, metrics)
            found["metric"] = metric
    return found


def _told_apart(name: str, known: np.ndarray, other: np.ndarray) -> dict[str, Any]:
    truth = np.repeat([False, True], [len(known), len(other)])
    scores = np.concatenate([known, other])
    auroc = class_metrics(truth, scores > 1.0, scores)["auc"]
    return {
        "name": name,
        "examples": len(other),
        "caught": float((other > 1.0).mean()),
        "auroc": None if auroc is None else float(auroc),
    }


def unsure_lines(unsure: Mapping[str, Any]) -> list[str]:
    """Returns what `unsure_metrics` found as lines for a person."""
    if not unsure:
        return []
    kept = ", ".join(
        f"{name} {side['metric']} {side['value']:.3f}"
        for name, side in unsure["kept"].items()
        if side["value"] is not None
    )
    return [
        f"sure of {unsure['coverage']:.1%} of the images{kept and f', on which {kept}'}",
        *(
            f"{other['name']}: {other['caught']:.1%} of {other['examples']:,} images unsure, "
            f"AUROC {other['auroc']:.3f}"
            for other in unsure["others"]
        ),
    ]
