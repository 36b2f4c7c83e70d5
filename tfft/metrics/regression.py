"""Metrics of predicted numbers."""

from typing import Any

import numpy as np

from tfft.metrics.intervals import mean_interval


def regression_metrics(values: np.ndarray, targets: np.ndarray) -> dict[str, Any]:
    """Returns ``mae`` with its 95 % interval, ``rmse``, ``r2`` and ``examples``.

    Args:
        values: Predicted numbers, float [n], in the unit of the data.
        targets: True numbers, float [n], in the same unit.

    Returns:
        ``r2`` is null where the targets do not vary; every metric is null without examples.
    """
    targets = targets.astype(np.float64)  # float32 finds a spread where all targets are equal
    errors = values.astype(np.float64) - targets
    if not len(errors):
        return {"mae": None, "mae_interval": None, "rmse": None, "r2": None, "examples": 0}
    spread = float(((targets - targets.mean()) ** 2).sum())
    return {
        "mae": float(np.abs(errors).mean()),
        "mae_interval": mean_interval(np.abs(errors)),
        "rmse": float(np.sqrt((errors**2).mean())),
        "r2": 1.0 - float((errors**2).sum()) / spread if spread > 0 else None,
        "examples": len(errors),
    }
