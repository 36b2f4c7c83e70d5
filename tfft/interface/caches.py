"""The Python interface to the cache of what is computed once.

Each function imports what it needs when it is called, so that ``import tfft`` is fast.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tfft.cache.room import Listed


def cache_path() -> Path:
    """Returns the directory of the cache of features and activations."""
    from tfft.cache.store import activation_directory

    return activation_directory()


def cache_entries() -> "list[Listed]":
    """Returns what lies in the cache, those entries first that were used last."""
    from tfft.cache.room import list_entries

    return list_entries(cache_path())


def clean_cache(
    *, max_gb: float | None = None, older_than_s: float | None = None
) -> "list[Listed]":
    """Removes entries of the cache that are not in use, and what killed runs left half written.

    Args:
        max_gb: what may stay; those go first that were not used for longest.
        older_than_s: seconds since the last use after which an entry goes.

    Returns:
        The entries that were removed.
    """
    from tfft.cache.room import remove_entries, remove_incomplete

    remove_incomplete(cache_path())
    unbounded = float("inf")
    return remove_entries(
        cache_path(),
        max_bytes=unbounded if max_gb is None else max_gb * 1e9,
        older_than_s=unbounded if older_than_s is None else older_than_s,
    )
