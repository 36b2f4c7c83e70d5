"""Tables of measured cells for the docs."""

import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scipy.stats import t as student_t

from tfft.metrics.intervals import wilson_interval
from tfft.system.files import write_text


def table_text(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def interval_text(cells: Sequence[dict[str, Any]], metric: str = "top1") -> str:
    """Returns a mean over seeds, or the value of one seed, with its 95 % interval.

    Over seeds the interval is Student's t; for one seed it is that of a proportion (Wilson) on its
    test images.
    """
    values = [cell[metric] for cell in cells]
    mean = statistics.mean(values)
    if len(values) == 1:
        examples = cells[0]["examples"]
        low, high = wilson_interval(round(mean * examples), examples)
        return f"{mean:.3f} ({low:.3f} to {high:.3f})"
    spread = statistics.stdev(values) / math.sqrt(len(values))
    half = float(student_t.ppf(0.975, len(values) - 1)) * spread
    return f"{mean:.3f} ± {half:.3f}"


def put_into(page: Path, name: str, text: str) -> None:
    """Replaces the text between ``<!-- NAME -->`` and ``<!-- /NAME -->`` of a page."""
    before, _, rest = page.read_text(encoding="utf-8").partition(f"<!-- {name} -->\n")
    _, found, after = rest.partition(f"<!-- /{name} -->")
    if not found:
        raise ValueError(f"{page} has no place for {name}")
    write_text(page, f"{before}<!-- {name} -->\n{text}\n{found}{after}")
