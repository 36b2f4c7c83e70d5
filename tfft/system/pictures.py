"""Pictures drawn by Matplotlib (extra `plots`), in the format that the suffix of the file names."""

import io
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from tfft.errors import UsageError
from tfft.system.files import atomic_path
from tfft.system.readable import install_command

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
            f"pictures need the extra `plots`: {install_command('plots')} ({error})"
        ) from error
    return figure


def require_picture(path: Path) -> None:
    """Requires that a picture can be written to `path`, before hours are spent on its content.

    Raises:
        UsageError: Matplotlib is not installed, or the suffix is not one of a picture.
    """
    if path.suffix not in _SUFFIXES:
        raise UsageError(f"--plot takes a file {', '.join(_SUFFIXES)}. Received: {path}")
    require_plots()


def write_picture(figure: "Figure", path: Path) -> None:
    """Writes a picture in the format that the suffix of `path` names."""
    picture = io.BytesIO()
    figure.savefig(picture, format=path.suffix[1:])
    with atomic_path(path) as temporary:
        temporary.write_bytes(picture.getvalue())
