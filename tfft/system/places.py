"""Where tfft keeps what it can make again."""

import os
from pathlib import Path

import platformdirs


def cache_directory(kind: str) -> Path:
    """Returns the directory for caches of one kind, such as ``"features"`` or ``"datasets"``.

    It is ``$TFFT_CACHE_DIR/<kind>``, or the user cache directory of the system.
    """
    root = os.environ.get("TFFT_CACHE_DIR") or platformdirs.user_cache_dir("tfft")
    return Path(root) / kind
