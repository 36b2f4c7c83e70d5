"""Pictures by Matplotlib (extra `plots`), as files of the kind that their suffix says."""

import io
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from tfft.errors import UsageError
from tfft.system.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SUFFIXES = (".png", ".svg", ".pdf")


def require_plots() -> ModuleType:
    """Returns Matplotlib's figure module, which draws without a display.

    Raises:
        UsageError: Matplotlib is not installed.
    """
    try:
        from matplotlib import figure
    except ImportError as error:
        raise UsageError(
            f"pictures need the extra `plots`: pip install 'tfft[plots]' ({error})"
        ) from error
    return figure


def require_picture(path: Path) -> None:
    """Checks that a picture can be made, before hours are spent on what it shows.

    Raises:
        UsageError: Matplotlib is not installed, or the suffix is not that of a picture.
    """
    if path.suffix not in _SUFFIXES:
        raise UsageError(f"--plot takes a file {', '.join(_SUFFIXES)}. Received: {path}")
    require_plots()


def write_picture(figure: "Figure", path: Path) -> None:
    """Writes a picture; its kind follows from the suffix."""
    picture = io.BytesIO()
    figure.savefig(picture, format=path.suffix[1:])
    with atomic_path(path) as temporary:
        temporary.write_bytes(picture.getvalue())
