"""Images that are unlike all others, by the distance of their features to the nearest ones."""

import numpy as np

from tfft.transfer.linear.inputs import on_principal_axes

# Nearest images whose distances are averaged.
_NEIGHBOURS = 5
# Principal axes on which images are compared: the variance on the others is mostly noise.
_AXES = 64
# Images that all are compared with, at most: with more, distances are those to a random part.
_COMPARED_WITH = 20_000
_BLOCK_ROWS = 1024


def neighbour_distances(features: np.ndarray, pieces: np.ndarray) -> np.ndarray:
    """Returns how far each image is from the images that are nearest to it.

    Features are standardised, brought to the principal axes with the most variance, and scaled to
    unit length; distances are Euclidean, 0..2.

    Args:
        features: Features, float32 [n, d].
        pieces: Number of the piece of each image, int64 [n]; those of its own piece do not count.

    Returns:
        Mean distance to the nearest images of other pieces, float32 [n]; NaN where there are none.

    Source: Sun, Ming, Zhu, Li 2022, "Out-of-distribution detection with deep nearest neighbors",
    with the mean of the nearest in place of the k-th, as Kuan and Mueller 2022, "Back to the
    basics: revisiting out-of-distribution detection baselines".
    """
    inputs = on_principal_axes(features)
    most = np.argsort(-inputs.variances, kind="stable")[:_AXES]
    onto = inputs.axes[:, most]
    rows = np.concatenate(
        [
            ((features[at : at + _BLOCK_ROWS] - inputs.mean) * inputs.scale) @ onto
            for at in range(0, len(features), _BLOCK_ROWS)
        ]
    ).astype(np.float32)
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    others = np.arange(len(rows))
    if len(rows) > _COMPARED_WITH:
        others = np.sort(np.random.default_rng(0).permutation(len(rows))[:_COMPARED_WITH])
    found = np.empty(len(rows), np.float32)
    for at in range(0, len(rows), _BLOCK_ROWS):
        block = slice(at, at + _BLOCK_ROWS)
        squares = 2.0 - 2.0 * (rows[block] @ rows[others].T)
        squares[pieces[block, None] == pieces[None, others]] = np.inf
        nearest = np.partition(squares, min(_NEIGHBOURS, squares.shape[1]) - 1, axis=1)
        distances = np.sqrt(np.maximum(nearest[:, :_NEIGHBOURS], 0.0))
        is_there = np.isfinite(distances)
        sums = np.where(is_there, distances, 0.0).sum(axis=1)
        counts = is_there.sum(axis=1)
        found[block] = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return found
