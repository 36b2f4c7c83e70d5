"""Results as a notebook shows them: HTML that takes its colours from the notebook's own theme.

Every text is escaped: names of files and classes are anybody's.
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from tfft.system.printable import printable


def cell(*parts: str) -> str:
    """Returns parts, which are HTML, as one cell; what is too wide for it is scrolled."""
    return f'<div style="overflow-x: auto">{"".join(parts)}</div>'


def lines_html(lines: Sequence[str]) -> str:
    """Returns lines of text as a paragraph, the first of them strong; nothing of none."""
    if not lines:
        return ""
    first, *others = map(text_html, lines)
    return f"<p>{'<br>'.join([f'<strong>{first}</strong>', *others])}</p>"


def table_html(columns: Mapping[str, Sequence[object]]) -> str:
    """Returns a table; nothing if it has no row.

    Args:
        columns: Values by the name of their column: texts, which are aligned to the left, or
            numbers, to the right; None is an empty cell.
    """
    rows = list(zip(*columns.values(), strict=True))
    if not rows:
        return ""
    sides = [_side(values) for values in columns.values()]
    head = "".join(map(_header, columns, sides))
    body = "".join(f"<tr>{''.join(map(_cell, row, sides))}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def folded(summary: str, content: str) -> str:
    """Returns HTML that is shown when its summary, a text, is clicked; nothing of nothing."""
    if not content:
        return ""
    return f"<details><summary>{text_html(summary)}</summary>{content}</details>"


def metrics_html(
    metrics: Mapping[str, Any], names: Mapping[str, str] | None = None, title: str = "metric"
) -> str:
    """Returns a table of metrics, with their 95 % intervals where they have some.

    Args:
        metrics: Metrics of a head by name; the interval of ``x`` is ``x_interval``.
        names: Those that are shown, in order, and what they are called; default: all, by their
            names.
        title: Name of the first column.
    """
    names = {name: name for name in metrics if name != "examples"} if names is None else names
    shown = {n: text for n, text in names.items() if isinstance(metrics.get(n), int | float)}
    columns: dict[str, Sequence[object]] = {
        title: list(shown.values()),
        "value": [float(metrics[name]) for name in shown],
    }
    intervals = [metrics.get(f"{name}_interval") for name in shown]
    if any(intervals):
        columns["95 % interval"] = [
            f"{each[0]:.4f} to {each[1]:.4f}" if each else "" for each in intervals
        ]
    return table_html(columns)


def text_html(text: str) -> str:
    """Returns a text as HTML; control characters become escapes."""
    return escape(printable(text))


def _side(values: Sequence[object]) -> str:
    return "left" if any(isinstance(value, str) for value in values) else "right"


def _header(name: str, side: str) -> str:
    return f'<th style="text-align: {side}">{text_html(name)}</th>'


def _cell(value: object, side: str) -> str:
    text = "" if value is None else f"{value:.4f}" if isinstance(value, float) else value
    text = f"{text:,}" if isinstance(text, int) else text
    return f'<td style="text-align: {side}">{text_html(str(text))}</td>'
