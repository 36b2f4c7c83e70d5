"""The figures of a report as PNG files, for slides and articles."""

from collections.abc import Callable, Iterable
from pathlib import Path

from tfft.errors import UsageError
from tfft.reports.drawing import Figure
from tfft.reports.page import figure_style
from tfft.system.files import atomic_path, require_writable
from tfft.system.readable import install_command

_SCALE = 2


def require_pngs(directory: Path) -> None:
    """Checks that figures can be drawn and written to a directory, before they are computed.

    Raises:
        UsageError: The renderer is not installed.
        TfftError: The directory cannot be written to or made.
    """
    _renderer()
    require_writable(directory)


def write_pngs(figures: Iterable[Figure], directory: Path) -> list[Path]:
    """Writes each figure as ``<name>.png``, twice as large as in the page.

    Raises:
        UsageError: The renderer is not installed.
        TfftError: The files cannot be written.
    """
    svg_to_bytes = _renderer()
    written = []
    for figure in figures:
        path = directory / f"{figure.name}.png"
        png = svg_to_bytes(
            str(figure.svg), style_sheet=figure_style(), zoom=_SCALE, background="#ffffff"
        )
        with atomic_path(path) as temporary:
            temporary.write_bytes(bytes(png))
        written.append(path)
    return written


def _renderer() -> Callable[..., bytes]:
    try:
        from resvg_py import svg_to_bytes
    except ImportError as error:
        raise UsageError(
            f"--png needs the extra `plots`: {install_command('plots')} ({error})"
        ) from error
    return svg_to_bytes
