"""Results that say what they are where a person prints them: a few lines, never an array."""

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfft.system.cells import cell, lines_html
from tfft.system.printable import printable

# By which of its metrics a head is judged; see `tfft.metrics.heads`.
_MAIN = ("top1", "f1", "mean_iou", "mae")
# Metrics of a head that are shown beside their intervals; the object has them all.
_SHOWN = 4


class Readable:
    """A result whose text is a few lines: `print` and a notebook show them, a console the first.

    A dataclass that is one says ``repr=False``, so that it gets no text with all its fields.
    """

    def lines(self) -> list[str]:
        """Returns the text: one line that says the most, then what else a person wants to know."""
        raise NotImplementedError

    def __str__(self) -> str:
        first, *others = self.lines()
        return printable("\n".join([first, *(f"  {line}" for line in others)]))

    def __repr__(self) -> str:
        return printable(f"<{type(self).__name__} {self.lines()[0]}>")

    def _repr_html_(self) -> str:
        return cell(lines_html(self.lines()))


def main_metrics(metrics: Mapping[str, Mapping[str, Any]]) -> str:
    """Returns the metric by which each head is judged: ``label top1 0.893``; empty without any."""
    shown = []
    for head, values in metrics.items():
        name = next((name for name in _MAIN if _is_number(values.get(name))), None)
        if name is not None:
            shown.append(f"{head} {name} {values[name]:.3f}")
    return ", ".join(shown)


def metric_lines(metrics: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Returns a line for each head: its first metrics, those with a 95 % interval with it."""
    lines = []
    for head, values in metrics.items():
        shown = [
            f"{name} {value:.3f}{interval_text(values.get(f'{name}_interval'))}"
            for name, value in values.items()
            if _is_number(value) and name != "examples"
        ]
        lines.append(f"{head}: {', '.join(shown[:_SHOWN])}")
    return lines


def interval_text(interval: Any) -> str:
    """Returns `` [0.871, 0.911]``, with the space before it; empty without an interval."""
    return "" if interval is None else " [{:.3f}, {:.3f}]".format(*interval)


def counted(count: int, noun: str) -> str:
    """Returns a number with its noun: ``1 image``, ``1,200 images``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def by_name(counts: Mapping[str, int]) -> str:
    """Returns numbers by what they count: ``12 train, 4 validation``."""
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())


def size_text(size: float) -> str:
    """Returns a number of bytes as people read it: ``819.2 kB``, ``4.5 MB``, ``1.23 GB``."""
    if size >= 1e9:
        return f"{size / 1e9:.2f} GB"
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.1f} kB"


def command_text(*words: object) -> str:
    """Returns the command `tfft WORDS` as a shell takes it: ``tfft export 'runs/my dogs'``."""
    return shlex.join(["tfft", *map(str, words)])


def install_command(extra: str) -> str:
    """Returns the command that installs an extra of tfft where this tfft is installed."""
    clone = Path(__file__).parents[2]
    tfft = (
        ["-e", f"{clone}[{extra}]"] if (clone / "pyproject.toml").is_file() else [f"tfft[{extra}]"]
    )
    return shlex.join([sys.executable, "-m", "pip", "install", *tfft])


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
