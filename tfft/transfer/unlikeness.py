"""How far the features of an example are from those that a model was trained on.

The distance is that of Mahalanobis, of features at unit length, under a Gaussian with the
covariance of probabilistic PCA: along the axes in which features vary much it counts less, along
all others in full. It needs no classes, so that it is one number for an example, whatever the heads
say of it; and it is two dense layers and a few sums, which every form of a model can compute
(`tfft.model.unlikeness`).

Source: Lee et al. 2018, "A Simple Unified Framework for Detecting Out-of-Distribution Samples and
Adversarial Attacks", for the distance; Mueller and Hein 2025, "Mahalanobis++: Improving OOD
Detection via Feature Normalization", for the unit length; Tipping and Bishop 1999, "Probabilistic
Principal Component Analysis", for the covariance. `benchmarks/none_of_these.py` compares it with
others.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh

from tfft.config.recipe import Recipe
from tfft.runtime.info import UnsureInfo
from tfft.system.progress import Progress
from tfft.transfer.linear.parallel import products_on_one_thread
from tfft.transfer.linear.weights import LinearWeights

# Axes along which variances are told apart.
AXES = 64
# Names of the two layers among those of the heads; no head can have them.
AXES_LAYER, MEAN_LAYER = "unlikeness/axes", "unlikeness/mean"
# Examples that are measured of each split, at most, drawn at random.
_MOST_EXAMPLES = 4096
# Further axes, and passes over the examples, that make the first ones exact.
_MORE_AXES, _PASSES = 10, 4
# Features that are shorter have no direction.
_SHORTEST = 1e-12
# A threshold where the validation examples lie where the training examples do, to rounding.
_NO_DISTANCE = 1e-6


@dataclass(frozen=True, eq=False)
class Unlikeness:
    """A distance to the examples that a model was trained on, and from where on it is unsure.

    Attributes:
        mean: Mean of the features at unit length, float32 [d].
        axes: Axes along which the distance from the mean counts less, float32 [d, `AXES`], each the
            longer the less it counts, 1 at most; 0 where there are fewer.
        info: What the model says of it.
    """

    mean: np.ndarray
    axes: np.ndarray
    info: UnsureInfo

    @property
    def layers(self) -> dict[str, LinearWeights]:
        """The weights of both layers, which have no bias, by the name of the layer."""
        without = np.empty(0, np.float32)
        return {
            MEAN_LAYER: LinearWeights(-self.mean[None], without),
            AXES_LAYER: LinearWeights(self.axes, without),
        }

    def distances(self, features: np.ndarray) -> np.ndarray:
        """Returns the distance of features [n, d] or activations [n, ..., d], float32 [n, 1]."""
        return _distances(_directions(features), self.mean, self.axes)


def share_to_keep(recipe: Recipe, validation: int, progress: Progress) -> float | None:
    """Returns the share of known examples that a threshold is to keep.

    Args:
        recipe: The recipe, which may ask for none.
        validation: Number of validation examples that a threshold can be set on.
        progress: Where it is said that these are too few.

    Returns:
        The share; None if the model of the recipe is never unsure.
    """
    keep = recipe.unsure.keep
    if keep is None:
        return None
    fewest = math.ceil(keep / (1.0 - keep) - 1e-9)
    if validation >= fewest:
        return keep
    progress.message(
        f"the model is never unsure: a threshold that keeps {keep:g} of what is known takes "
        f"{fewest} validation images, and there are {validation}"
    )
    return None


def measured_positions(examples: int) -> np.ndarray:
    """Returns the positions of the examples that are measured, ascending, int64."""
    if examples <= _MOST_EXAMPLES:
        return np.arange(examples)
    return np.sort(np.random.default_rng(0).permutation(examples)[:_MOST_EXAMPLES])


def chosen_pooling(poolings: Sequence[str]) -> int:
    """Returns the position of the pooling whose features are measured."""
    return list(poolings).index("avg") if "avg" in poolings else 0


@products_on_one_thread
def fit_unlikeness(training: np.ndarray, validation: np.ndarray, keep: float) -> Unlikeness:
    """Fits the Gaussian to training examples, and sets the threshold on validation examples.

    The threshold is the smallest distance within which a further example lies with a probability
    of at least `keep`, if it is like the validation examples.

    Args:
        training: Features of training examples, float32 [n, d], of any length; of activations with
            positions [n, ..., d] the mean over these is taken.
        validation: Features of validation examples, [m, d] or [m, ..., d], as many as
            `share_to_keep` asks for.
        keep: Share of known examples that are to be kept, 0..1.

    Source: Papadopoulos et al. 2002, "Inductive Confidence Machines for Regression", for the
    threshold (split conformal prediction).
    """
    mean, axes = _gaussian(_directions(training))
    distances = np.sort(_distances(_directions(validation), mean, axes)[:, 0])
    place = math.ceil((len(distances) + 1) * keep - 1e-9)
    threshold = max(float(distances[place - 1]), _NO_DISTANCE)
    info = UnsureInfo(keep, threshold, len(distances))
    return Unlikeness(mean, axes, info)


def _directions(features: np.ndarray) -> np.ndarray:
    """Returns features [n, d] at unit length, of features or activations [n, ..., d]."""
    vectors = features.mean(axis=tuple(range(1, features.ndim - 1)), dtype=np.float32)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), _SHORTEST)


def _gaussian(directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns mean and axes, as `Unlikeness` has them, for features at unit length [n, d]."""
    mean = directions.mean(axis=0, dtype=np.float64)
    centred = directions - mean
    count, width = centred.shape
    # More axes than a quarter of the examples would be those of single examples.
    wanted = min(AXES, width - 1, count // 4)
    scaled = np.zeros((width, AXES))
    if wanted > 0:
        axes, variances = _leading_axes(centred, wanted)
        total = float((centred**2).sum()) / count
        left = max(total - float(variances.sum()), 0.0) / (width - wanted)
        gains = 1.0 - left / np.maximum(variances, 1e-30)
        scaled[:, :wanted] = axes * np.sqrt(np.maximum(gains, 0.0))
    return mean.astype(np.float32), scaled.astype(np.float32)


def _leading_axes(rows: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the first principal axes [d, count] of centred rows [n, d], and their variances.

    Source: Halko, Martinsson and Tropp 2011, "Finding structure with randomness", algorithm 4.4.
    """
    width = min(count + _MORE_AXES, *rows.shape)
    basis = np.random.default_rng(0).standard_normal((rows.shape[1], width))
    for _ in range(_PASSES):
        basis, _ = np.linalg.qr(rows.T @ (rows @ basis))
    projected = rows @ basis
    variances, turned = eigh(projected.T @ projected / len(rows))
    order = np.argsort(-variances)[:count]
    return basis @ turned[:, order], np.maximum(variances[order], 0.0)


def _distances(directions: np.ndarray, mean: np.ndarray, axes: np.ndarray) -> np.ndarray:
    centred = directions - mean
    squares = (centred**2).sum(axis=1, keepdims=True)
    taken_off = ((centred @ axes) ** 2).sum(axis=1, keepdims=True)
    return np.sqrt(np.maximum(squares - taken_off, 0.0))
