"""The Python interface to the caches of what is computed once: features and models.

Each function imports what it needs when it is called, so that ``import tfft`` is fast.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tfft.cache.room import Listed


def cache_path() -> Path:
    """Returns the directory of the cache of features and activations.

    Set by ``$TFFT_CACHE_DIR``; otherwise where the system keeps caches.

    Returns:
        The directory, which need not exist yet.

    Example:
        >>> import tfft
        >>> tfft.cache_path().name
        'activations'
    """
    from tfft.cache.store import activation_directory

    return activation_directory()


def cache_entries() -> "list[Listed]":
    """Lists what lies in the cache: features, activations, and converted or kept models.

    Returns:
        The entries, those first that were used last.

    Example:
        >>> import tfft
        >>> entries = tfft.cache_entries()
        >>> sum(entry.bytes for entry in entries) > 0
        True
    """
    from tfft.cache.room import list_entries

    entries = [entry for directory in _directories() for entry in list_entries(directory)]
    return sorted(entries, key=lambda entry: entry.used, reverse=True)


def _directories() -> "tuple[Path, ...]":
    """The directories of all kinds of entries, those first that are small and worth most."""
    from tfft.cache.converted import converted_directory
    from tfft.cache.templates import template_directory

    return converted_directory(), template_directory(), cache_path()


def clean_cache(
    *, max_gb: float | None = None, older_than_s: float | None = None
) -> "list[Listed]":
    """Removes entries of the cache, and what killed runs left half written.

    An entry that a process reads stays. What was removed is computed again when it is needed.

    Args:
        max_gb: Gigabytes that may stay; those entries go first that were not used for longest, and
            models, which are small, after all others. Default: no bound.
        older_than_s: Seconds since the last use after which an entry goes. Default: no bound.

    Returns:
        The entries that were removed.

    Example:
        >>> import tfft
        >>> removed = tfft.clean_cache(max_gb=20, older_than_s=30 * 86_400)
    """
    from tfft.cache.room import list_entries, remove_entries, remove_incomplete

    left = float("inf") if max_gb is None else max_gb * 1e9
    age = float("inf") if older_than_s is None else older_than_s
    removed = []
    for directory in _directories():
        remove_incomplete(directory)
        removed += remove_entries(directory, max_bytes=max(left, 0.0), older_than_s=age)
        left -= sum(entry.bytes for entry in list_entries(directory))
    return removed
