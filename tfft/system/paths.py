"""Paths as people write them."""

import os
from pathlib import Path


def expanded(path: str | Path) -> Path:
    """Returns a path with ``~`` at its start as the home directory, where that is known.

    Shells leave it as it is in ``--option=~/path``, in recipes and in quotes.
    """
    return Path(os.path.expanduser(path))  # noqa: PTH111 - Path.expanduser fails where it is not
