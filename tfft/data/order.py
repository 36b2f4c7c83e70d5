"""In which order an epoch visits the images."""

import numpy as np


def uniform_order(images: int, seed: int, epoch: int) -> np.ndarray:
    """Returns the permutation of ``range(images)``, int64, in which an epoch visits them."""
    return np.random.default_rng([seed, epoch]).permutation(images)


def balanced_order(labels: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """Returns as many positions as there are images, int64, from each class equally many.

    A class's images are drawn in turn, in an order of the epoch's own, so that none is repeated
    before all of the class were drawn.

    Args:
        labels: int64 [n].
        seed: of the draw; epoch: likewise.
    """
    generator = np.random.default_rng([seed, epoch])
    classes = np.unique(labels)
    counts = np.full(len(classes), len(labels) // len(classes))
    counts[generator.permutation(len(classes))[: len(labels) % len(classes)]] += 1
    drawn = []
    for label, count in zip(classes, counts, strict=True):
        members = np.flatnonzero(labels == label)
        rounds = [generator.permutation(members) for _ in range(-(-count // len(members)))]
        drawn.append(np.concatenate([*rounds, members[:0]])[:count])
    return generator.permutation(np.concatenate(drawn))


def repetitions(order: np.ndarray) -> np.ndarray:
    """Returns how often each position came before, int64 [n]."""
    repetitions = np.zeros(len(order), np.int64)
    _, counts = np.unique(order, return_counts=True)
    first = np.repeat(np.cumsum(counts) - counts, counts)
    repetitions[np.argsort(order, kind="stable")] = np.arange(len(order)) - first
    return repetitions
