"""Solves the features of a file with the tfft that is on the path; run by `solver_scaling.py`.

It knows this version of tfft and 66682e7, and imports nothing else of either.
"""

import json
import sys
import time
from typing import Any

import numpy as np

try:
    from tfft.transfer.linear.penalty import solve_linear_head

    CLASSES = "outputs"
except ImportError:  # 66682e7
    from tfft.transfer.linear import solve_linear_head  # pyright: ignore

    CLASSES = "classes"

CANDIDATES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)


def main(path: str) -> None:
    """Solves the candidates, and again on training and validation images together."""
    stored = np.load(path)
    order = np.random.default_rng(0).permutation(len(stored["labels"]))
    features, labels = stored["features"][order], stored["labels"][order].astype(np.int64)
    kept = len(labels) * 9 // 10
    named: dict[str, Any] = {CLASSES: int(labels.max()) + 1}
    started, began = time.process_time(), time.perf_counter()
    found = solve_linear_head(
        features[:kept],
        labels[:kept],
        features[kept:],
        labels[kept:],
        candidates=CANDIDATES,
        choose_by="loss",
        refit=True,
        **named,
    )
    cpu_seconds, seconds = time.process_time() - started, time.perf_counter() - began
    c = found.inverse_regularization
    result = {
        "cpu_seconds": round(cpu_seconds, 1),
        "seconds": round(seconds, 1),
        "c": c,
        "tried": len(found.validation),
        "objective": objective(found.chosen, features[:kept], labels[:kept], c),
    }
    print(json.dumps(result))


def objective(weights: Any, features: np.ndarray, labels: np.ndarray, c: float) -> float:
    """What is minimised, of one example, in float64."""
    deviation = features.std(axis=0, dtype=np.float64)[:, None]
    logits = features.astype(np.float64) @ weights.kernel + weights.bias
    losses = np.logaddexp.reduce(logits, axis=1) - logits[np.arange(len(labels)), labels]
    penalty = ((weights.kernel * deviation) ** 2).sum() / (2 * c * len(labels))
    return float(losses.mean() + penalty)


if __name__ == "__main__":
    main(sys.argv[1])
