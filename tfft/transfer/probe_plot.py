"""Probes by depth as a picture."""

import importlib.util
from pathlib import Path

from tfft.errors import UsageError
from tfft.system.files import atomic_path
from tfft.transfer.probe import Probe

_SUFFIXES = (".png", ".svg", ".pdf")


def require_plot(path: Path) -> None:
    """Checks that a picture can be made, before hours are spent on what it shows.

    Raises:
        UsageError: Matplotlib is not installed, or the suffix is not that of a picture.
    """
    if path.suffix not in _SUFFIXES:
        raise UsageError(f"--plot takes a file {', '.join(_SUFFIXES)}. Received: {path}")
    if importlib.util.find_spec("matplotlib") is None:
        raise UsageError("--plot needs Matplotlib: pip install 'tfft[plots]'")


def write_plot(probe: Probe, path: Path) -> None:
    """Writes the picture; its kind follows from the suffix."""
    from matplotlib.figure import Figure

    blocks = probe.blocks
    figure = Figure(figsize=(max(6.0, 0.45 * len(blocks) + 2), 4.2), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    top1 = [block.top1 for block in blocks]
    below = [block.top1 - block.interval[0] for block in blocks]
    above = [block.interval[1] - block.top1 for block in blocks]
    axes.errorbar(range(len(blocks)), top1, yerr=(below, above), fmt="o-", capsize=3)
    first = [block.block for block in blocks].index(probe.sufficient.block)
    axes.axvline(first, linestyle=":", color="grey")
    axes.annotate(
        "not shown to be worse\nthan the best",
        (first, 0.02),
        xycoords=("data", "axes fraction"),
        xytext=(-4, 0),
        textcoords="offset points",
        ha="right",
        fontsize=8,
        color="grey",
    )
    axes.set_xticks(range(len(blocks)), [block.block for block in blocks], rotation=60, ha="right")
    axes.set_ylabel(f"top-1 on {probe.validation_images:,} validation images")
    axes.set_title(f"linear probe after each block of {probe.backbone}", loc="left", fontsize=11)
    axes.grid(axis="y", alpha=0.3)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format=path.suffix[1:])
