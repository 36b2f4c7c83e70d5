"""How well frozen features suit a classification, estimated without training a head.

Estimates are hints for choosing among backbones; a probe trained on the features is evidence.
"""

import math

import numpy as np

_MAX_ITERATIONS = 100
_TOLERANCE = 1e-6
_SMALLEST = 1e-12


def log_evidence(
    features: np.ndarray, targets: np.ndarray, alpha: float, beta: float
) -> np.ndarray:
    """Returns the log evidence of Bayesian linear regression, for each column of targets.

    The model: targets = features @ w + noise, w ~ N(0, 1/alpha), noise ~ N(0, 1/beta).

    Args:
        features: Features, float [n, d].
        targets: Targets, float [n, k].
        alpha: Precision of the weights.
        beta: Precision of the noise.

    Source: Bishop 2006, "Pattern Recognition and Machine Learning", equation 3.86.
    """
    spectrum = _Spectrum(features, targets)
    return np.array([spectrum.evidence(k, alpha, beta) for k in range(targets.shape[1])])


def logme(features: np.ndarray, labels: np.ndarray) -> float:
    """Returns LogME: the largest log evidence per example, averaged over classes; larger is better.

    For each class, Bayesian linear regression of its indicator on the features, its precisions
    chosen by MacKay's fixed point to maximise the evidence.

    Args:
        features: Features, float [n, d].
        labels: True classes, int [n].

    Source: You et al. 2021, "LogME: Practical Assessment of Pre-trained Models for Transfer
    Learning", algorithm 1.
    """
    present = np.unique(labels)
    indicators = (labels[:, None] == present[None, :]).astype(np.float64)
    spectrum = _Spectrum(features, indicators)
    found = [spectrum.largest_evidence(k) for k in range(len(present))]
    return float(np.mean(found) / len(labels))


def h_score(features: np.ndarray, labels: np.ndarray, *, shrinkage: bool = True) -> float:
    """Returns the H-score: variance of the class means over total variance; larger is better.

    H = tr(cov(f)^-1 cov(E[f | y])), in 0 … classes - 1. The plain form overfits where there are
    many features and few examples; the shrunk form estimates cov(f) as Ledoit and Wolf do and gives
    the means the weight that is not shrunk.

    Args:
        features: Features, float [n, d].
        labels: True classes, int [n].
        shrinkage: Whether to estimate the shrunk form.

    Source: Bao et al. 2019, "An Information-Theoretic Approach to Transferability in Task Transfer
    Learning"; shrinkage: Ibrahim et al. 2021, "Newer is not always better".
    """
    centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    means = np.zeros_like(centred)
    for label in np.unique(labels):
        means[labels == label] = centred[labels == label].mean(axis=0)
    between = means.T @ means / len(labels)
    if not shrinkage:
        covariance = centred.T @ centred / len(labels)
        return float(np.trace(np.linalg.pinv(covariance, hermitian=True) @ between))
    from sklearn.covariance import ledoit_wolf

    covariance, shrunk = ledoit_wolf(centred, assume_centered=True)
    if not np.any(covariance):
        return 0.0
    solved = np.linalg.pinv(covariance, hermitian=True) @ between
    return float((1.0 - shrunk) * np.trace(solved))


class _Spectrum:
    """Features in their singular basis, in which the evidence is a sum."""

    def __init__(self, features: np.ndarray, targets: np.ndarray) -> None:
        self._examples, self._size = features.shape
        left, singular, _ = np.linalg.svd(features.astype(np.float64), full_matrices=False)
        self._squares = singular**2
        self._inside = (left.T @ targets) ** 2
        self._outside = np.maximum((targets**2).sum(axis=0) - self._inside.sum(axis=0), 0.0)

    def largest_evidence(self, column: int) -> float:
        """Returns the evidence of one column at the fixed point of its precisions."""
        alpha = beta = 1.0
        for _ in range(_MAX_ITERATIONS):
            weights, residual = self._norms(column, alpha, beta)
            effective = float((self._squares / (self._squares + alpha / beta)).sum())
            before = alpha / beta
            alpha = effective / max(weights, _SMALLEST)
            beta = (self._examples - effective) / max(residual, _SMALLEST)
            if abs(alpha / beta - before) <= _TOLERANCE * before:
                break
        return self.evidence(column, alpha, beta)

    def evidence(self, column: int, alpha: float, beta: float) -> float:
        weights, residual = self._norms(column, alpha, beta)
        log_determinant = float(np.log(alpha + beta * self._squares).sum())
        log_determinant += (self._size - len(self._squares)) * math.log(alpha)
        return 0.5 * (
            self._size * math.log(alpha)
            + self._examples * math.log(beta / (2.0 * math.pi))
            - log_determinant
            - beta * residual
            - alpha * weights
        )

    def _norms(self, column: int, alpha: float, beta: float) -> tuple[float, float]:
        """Returns |w|^2 and |targets - features @ w|^2 of the most probable weights w."""
        inside, ratio = self._inside[:, column], alpha / beta
        shares = self._squares + ratio
        weights = float((self._squares * inside / shares**2).sum())
        residual = float((inside * (ratio / shares) ** 2).sum() + self._outside[column])
        return weights, residual
