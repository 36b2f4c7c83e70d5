"""Probes by depth as a picture."""

from pathlib import Path

from tfft.system.pictures import require_plots, write_picture
from tfft.transfer.probes.probe import Probe


def write_plot(probe: Probe, path: Path) -> None:
    """Writes the picture; its kind follows from the suffix."""
    blocks = probe.blocks
    size_inches = (max(6.0, 0.45 * len(blocks) + 2), 4.2)
    figure = require_plots().Figure(figsize=size_inches, dpi=120, layout="constrained")
    axes = figure.add_subplot()
    top1 = [block.top1 for block in blocks]
    below = [block.top1 - block.interval.low for block in blocks]
    above = [block.interval.high - block.top1 for block in blocks]
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
    write_picture(figure, path)
