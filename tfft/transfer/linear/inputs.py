"""Rows of features on their principal axes, in blocks, from memory or from the disk."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import eigh

from tfft.cache.tensors import Rows

# Rows on their axes are held in memory up to here; larger ones are read again in each pass.
HELD_BYTES = 2 * 2**30
# Rows of a block: enough for matrix products at full speed, few enough for the processor's cache.
_BLOCK_ROWS = 2048
_BLOCK_BYTES = 32 * 2**20
# Axes along which the features vary less than this share of the first one's variance are rounding.
_NO_VARIANCE = 1e-10
# Features that are brought to float64 at once.
_FEATURES_AT_ONCE = 1024


@dataclass(frozen=True, eq=False)
class Inputs:
    """Standardised features on orthogonal axes, or a part of them, which shares the axes.

    Attributes:
        mean: Mean of each feature, float64 [d].
        scale: Reciprocal of its standard deviation, float64 [d]; 0 for one that never varies.
        axes: Orthonormal axes that span the standardised rows, float32 [d, axes].
        variances: About the variance along each axis, float64 [axes].
        ranges: Rows that are visited, as pairs of the first one and the one after the last.
        sources: Features of all rows, one source after the other.
        held: The rows of each source on their axes, float32 [n, axes]; empty: they are read from
            the sources in each pass.
    """

    mean: np.ndarray
    scale: np.ndarray
    axes: np.ndarray
    variances: np.ndarray
    ranges: tuple[tuple[int, int], ...]
    sources: tuple[Rows, ...]
    held: tuple[np.ndarray, ...]

    def __len__(self) -> int:
        return sum(stop - start for start, stop in self.ranges)

    @property
    def rows(self) -> np.ndarray:
        """Positions of the rows that are visited, int64."""
        return np.concatenate([np.arange(start, stop) for start, stop in self.ranges])

    def only(self, *ranges: tuple[int, int]) -> "Inputs":
        """Returns the same rows, of which those in `ranges` are visited."""
        return replace(self, ranges=ranges)

    def blocks(self, columns: int) -> Iterator[tuple[slice, np.ndarray]]:
        """Yields the rows in pieces: their positions, and numbers to multiply by `onto_rows`.

        Args:
            columns: Numbers that the caller makes of each row, which bound the piece.
        """
        size = max(1, min(_BLOCK_ROWS, _BLOCK_BYTES // (4 * max(columns, 1))))
        first = 0
        for source in self.held or self.sources:
            last = first + source.shape[0]
            for start, stop in self.ranges:
                for at in range(max(start, first), min(stop, last), size):
                    until = min(at + size, stop, last)
                    rows = source[at - first : until - first]
                    yield slice(at, until), rows if self.held else self._standardised(rows)
            first = last

    def onto_rows(self, kernel: np.ndarray) -> np.ndarray:
        """Returns weights on the axes [axes, k] as weights on what `blocks` yields."""
        return kernel if self.held else self.axes.astype(kernel.dtype) @ kernel

    def onto_axes(self, sums: np.ndarray) -> np.ndarray:
        """Returns sums over what `blocks` yields […, k] as sums over rows on the axes [axes, k]."""
        return sums if self.held else self.axes.T.astype(sums.dtype) @ sums

    def on_features(self, kernel: np.ndarray) -> np.ndarray:
        """Returns weights on the axes [axes, k] as weights on raw features, float64 [d, k]."""
        return self.scale[:, None] * (self.axes.astype(np.float64) @ kernel)

    def moved_here(self, coefficients: np.ndarray, other: "Inputs") -> np.ndarray:
        """Returns coefficients [axes + 1, k] on the axes of `other` as those on these axes."""
        if self.axes is other.axes:
            return coefficients
        on_axes = self.axes.T @ (other.axes @ coefficients[:-1])
        return np.concatenate([on_axes, coefficients[-1:]])

    def with_more(self, features: Rows) -> "Inputs":
        """Returns these and other rows, all of which are visited, on axes that span them too.

        The features are standardised as before.
        """
        sources = (*self.sources, features)
        count = sum(source.shape[0] for source in sources)
        if self.axes.shape[0] != self.axes.shape[1]:
            return _on_axes(sources, self.mean, self.scale, bool(self.held))
        held = (*self.held, self._projected(features)) if self.held else ()
        return replace(self, ranges=((0, count),), sources=sources, held=held)

    def _standardised(self, rows: np.ndarray) -> np.ndarray:
        """Returns rows with mean 0 and deviation 1, float32 [n, d]."""
        centred = np.subtract(rows, self.mean.astype(np.float32), dtype=np.float32)
        centred *= self.scale.astype(np.float32)
        return centred

    def _projected(self, features: Rows) -> np.ndarray:
        held = np.empty((features.shape[0], self.axes.shape[1]), np.float32)
        for at in range(0, len(held), _BLOCK_ROWS):
            rows = slice(at, at + _BLOCK_ROWS)
            np.matmul(self._standardised(features[rows]), self.axes, out=held[rows])
        return held


def on_principal_axes(features: Rows, held_bytes: int | None = None) -> Inputs:
    """Brings features to their principal axes.

    Args:
        features: Features, float32 [n, d]; they are standardised by their mean and deviation.
        held_bytes: Rows on their axes are held in memory up to this size, and read from `features`
            in each pass otherwise; default: `HELD_BYTES`.

    Returns:
        Inputs that visit every row.
    """
    mean, scale = _mean_and_scale(features)
    held = not are_read_again(features.shape[0], features.shape[1], held_bytes)
    return _on_axes((features,), mean, scale, held)


def are_read_again(rows: int, features: int, held_bytes: int | None = None) -> bool:
    """Whether so many rows are too many to be held, so that each pass reads them again."""
    limit = HELD_BYTES if held_bytes is None else held_bytes
    return 4 * rows * min(rows, features) > limit


def _on_axes(sources: tuple[Rows, ...], mean: np.ndarray, scale: np.ndarray, held: bool) -> Inputs:
    count, features = sum(source.shape[0] for source in sources), len(mean)
    blank = np.empty((features, 0), np.float32)
    plain = Inputs(mean, scale, blank, np.empty(0), ((0, count),), sources, ())
    axes, variances = _axes_of_few(plain) if count < features else _axes_of_many(plain)
    found = replace(plain, axes=axes, variances=variances)
    return replace(found, held=tuple(map(found._projected, sources))) if held else found


def _mean_and_scale(features: Rows) -> tuple[np.ndarray, np.ndarray]:
    count = features.shape[0]
    pieces = [slice(at, at + _BLOCK_ROWS) for at in range(0, count, _BLOCK_ROWS)]
    mean = sum(features[piece].sum(axis=0, dtype=np.float64) for piece in pieces) / count
    squares = sum(((features[piece] - mean) ** 2).sum(axis=0) for piece in pieces)
    deviation = np.sqrt(squares / count)
    # A feature that never varies, but for rounding, stays 0.
    varies = deviation > np.maximum(1e-8, 1e-7 * np.abs(mean))
    scale = np.divide(1.0, deviation, out=np.zeros_like(mean), where=varies)
    # As float32 numbers, with which the rows are computed.
    return mean.astype(np.float32).astype(np.float64), scale.astype(np.float32).astype(np.float64)


def _axes_of_many(inputs: Inputs) -> tuple[np.ndarray, np.ndarray]:
    """Axes and variances of more rows than features, from the products of the features."""
    features = len(inputs.mean)
    products = np.zeros((features, features))
    for _, block in inputs.blocks(features):
        products += block.T @ block
    variances, axes = eigh((products / len(inputs)).astype(np.float32), driver="evd")
    return np.ascontiguousarray(axes), np.maximum(variances.astype(np.float64), 0.0)


def _axes_of_few(inputs: Inputs) -> tuple[np.ndarray, np.ndarray]:
    """Axes and variances of fewer rows than features, from the products of the rows."""
    rows = np.concatenate([block for _, block in inputs.blocks(1)])
    count, features = rows.shape
    products = np.zeros((count, count))
    pieces = [slice(at, at + _FEATURES_AT_ONCE) for at in range(0, features, _FEATURES_AT_ONCE)]
    for piece in pieces:
        some = rows[:, piece].astype(np.float64)
        products += some @ some.T
    variances, of_rows = eigh(products / count, driver="evd")
    varies = variances > _NO_VARIANCE * variances[-1]
    of_rows = of_rows[:, varies] / np.sqrt(count * variances[varies])
    axes = [(rows[:, piece].astype(np.float64).T @ of_rows).astype(np.float32) for piece in pieces]
    return np.concatenate(axes), variances[varies]
