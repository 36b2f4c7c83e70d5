"""Paths as people write them."""

import os
from pathlib import Path

from tfft.errors import UsageError
from tfft.system.printable import unicode


def expanded(path: str | Path) -> Path:
    """Returns a path with ``~`` at its start as the home directory, where that is known.

    Shells leave it as it is in ``--option=~/path``, in recipes and in quotes.

    Raises:
        UsageError: The path is not UTF-8, so that neither recipes and JSON files nor TensorFlow
            could name it. (Files within a folder of photos may be called anything.)
    """
    if (shown := unicode(str(path))) != str(path):
        raise UsageError(f"a path must be UTF-8: rename this one. Received: {shown}")
    return Path(os.path.expanduser(path))  # noqa: PTH111 - Path.expanduser fails where it is not
