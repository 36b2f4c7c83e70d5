"""Pictures of a study (extra `plots`)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfft.studies.results import Results
from tfft.studies.verdict import percent
from tfft.system.pictures import require_plots, write_picture

_SIZE_INCHES = (7.0, 4.2)
_DPI = 144
# Okabe and Ito 2008: colour-blind people can tell them apart too.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = "osD^vPX"


def draw_learning_curves(results: Results, path: Path) -> None:
    """Draws test top-1 against the number of training images, one line per arm.

    Bars are 95 % intervals over seeds, or over test images if there is one seed.

    Raises:
        UsageError: Matplotlib is not installed.
    """
    figure, axes = _axes()
    arms = list(dict.fromkeys(row.arm for row in results.rows))
    for number, arm in enumerate(arms):
        rows = [row for row in results.rows if row.arm == arm]
        intervals = [row.over_seeds or row.over_images for row in rows]
        below = [max(row.top1 - i.low, 0.0) for row, i in zip(rows, intervals, strict=True)]
        above = [max(i.high - row.top1, 0.0) for row, i in zip(rows, intervals, strict=True)]
        style = {
            "marker": _MARKERS[number % len(_MARKERS)],
            "color": _COLOURS[number % len(_COLOURS)],
            "linestyle": "--" if rows[0].scratch else "-",
        }
        # Side by side, so that bars at the same number of images can be told apart.
        shift = 1.0 + 0.02 * (number - (len(arms) - 1) / 2)
        images = [row.train_images * shift for row in rows]
        axes.errorbar(
            images, [row.top1 for row in rows], [below, above], label=arm, capsize=3, **style
        )
    ticks = {row.train_images: row.fraction for row in results.rows}
    axes.set_xscale("log")
    if len(ticks) == 1:  # else the arms would fill the axis from end to end
        (images_of_all,) = ticks
        axes.set_xlim(images_of_all / 1.3, images_of_all * 1.3)
    axes.set_xticks(list(ticks), [f"{n:,}\n{percent(f)}" for n, f in ticks.items()], minor=False)
    axes.minorticks_off()
    axes.set_xlabel("training images")
    axes.set_ylabel(f"top-1 on {results.test_images:,} test images")
    axes.legend(frameon=False)
    write_picture(figure, path)


def draw_range_test(
    learning_rates: Sequence[float], losses: Sequence[float], suggestion: float | None, path: Path
) -> None:
    """Draws the loss of a learning-rate range test against the learning rate.

    Raises:
        UsageError: Matplotlib is not installed.
    """
    figure, axes = _axes()
    axes.plot(learning_rates, losses, color=_COLOURS[0])
    if suggestion is not None:
        axes.axvline(suggestion, color=_COLOURS[1], linestyle="--", label=f"{suggestion:.2g}")
        axes.legend(frameon=False, title="suggestion")
    axes.set_xscale("log")
    axes.set_xlabel("learning rate")
    axes.set_ylabel("training loss, smoothed")
    write_picture(figure, path)


def _axes() -> tuple[Any, Any]:
    figure = require_plots().Figure(figsize=_SIZE_INCHES, dpi=_DPI, layout="constrained")
    axes = figure.subplots()
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes
