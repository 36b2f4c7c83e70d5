"""Keys of 32 bytes by which things are known in the cache: sorted, and looked up all at once."""

from importlib.metadata import version

import numpy as np

KEY_BYTES = 32
# What decodes images, converts models and computes outputs.
_DECISIVE_PACKAGES = ("tfft", "tensorflow", "keras", "ai-edge-litert")


def decisive_versions() -> dict[str, str]:
    """Returns the versions of the packages that decide what is computed, a part of every key."""
    return {name: version(name) for name in _DECISIVE_PACKAGES}


def comparable(keys: np.ndarray) -> np.ndarray:
    """Returns keys uint8 [n, 32] as values that can be sorted and compared, [n]."""
    return np.ascontiguousarray(keys, np.uint8).view(f"V{KEY_BYTES}").reshape(-1)


def places_of(keys: np.ndarray, ordered: np.ndarray) -> np.ndarray:
    """Returns the place of each key among others, int64 [n]; -1 where it is none of them.

    Args:
        keys: Keys, as `comparable` gives them, [n].
        ordered: The others, sorted, [m].
    """
    if not len(ordered):
        return np.full(len(keys), -1)
    places = np.minimum(np.searchsorted(ordered, keys), len(ordered) - 1)
    return np.where(ordered[places] == keys, places, -1)
