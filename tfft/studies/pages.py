"""A comparison as JSON, Markdown and one self-contained HTML page."""

import base64
import html
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tfft.metrics.intervals import Interval
from tfft.studies.compare import Study
from tfft.studies.results import Comparison, Results, Row
from tfft.studies.verdict import p_text, percent, verdicts
from tfft.system.files import write_text
from tfft.system.formats import STUDY

# What a table shows where there is no value.
_NOTHING = "-"
Table = tuple[Sequence[str], list[list[str]]]

_STYLE = """\
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding: .3rem 0; }
th, td { padding: .3rem .7rem; border-bottom: 1px solid #8886; }
th, td { text-align: right; white-space: nowrap; }
th:first-child { text-align: left; }
tbody th { font-weight: 400; }
img { max-width: 100%; height: auto; background: #fff; }
.scroll { overflow-x: auto; }
.negative_transfer, .worse_than_best { border-left: 4px solid #D55E00; padding-left: .8rem; }
.gain { border-left: 4px solid #009E73; padding-left: .8rem; }
.no_difference { border-left: 4px solid #888; padding-left: .8rem; }
ul { list-style: none; padding: 0; } li { margin: .6rem 0; }
"""
_NOTES = (
    "Intervals are at 95 %: over images by bootstrap, for these models; over seeds by Student's t. "
    "A verdict rests on the difference and its uncertainty over both images and seeds, with its "
    "p-value corrected by Holm; McNemar's exact test is about these models alone. Seconds are for "
    "a whole run with its start; features that another run has cached are not counted again."
)


def comparison_json(study: Study, results: Results) -> dict[str, Any]:
    """Returns what ``tfft compare --json`` prints."""
    return {
        "study": str(study.path),
        "head": results.head,
        "test_images": results.test_images,
        "target": {f"{fraction:g}": target for fraction, target in results.target.items()},
        "rows": [row.to_json() for row in results.rows],
        "with_scratch": [comparison.to_json() for comparison in results.with_scratch],
        "with_best": [comparison.to_json() for comparison in results.with_best],
        "verdicts": [verdict.to_json() for verdict in verdicts(results)],
        "failed": study.failed,
    }


def write_pages(study: Study, results: Results, curves: Path | None) -> None:
    """Writes ``comparison.json``, ``.md`` and ``.html`` into the directory of a study."""
    STUDY.write(study.path / "comparison.json", comparison_json(study, results))
    write_text(study.path / "comparison.md", markdown_page(study, results, curves))
    write_text(study.path / "comparison.html", html_page(study, results, curves))


def tables(results: Results) -> dict[str, Table]:
    """Returns two tables (columns, rows of text) for each part of the data, by title."""
    found = {}
    for fraction in results.fractions:
        images = results.at(fraction)[0].train_images
        title = f"{percent(fraction)} of the training data, {images:,} images"
        found[title] = _accuracy_table(results, fraction)
        found[f"{title}: cost"] = _cost_table(results, fraction)
    return found


def markdown_page(study: Study, results: Results, curves: Path | None) -> str:
    """Returns the comparison as Markdown."""
    lines = [f"# {_title(study)}", "", f"{results.test_images:,} test images.", ""]
    lines += [f"- {verdict.text}" for verdict in verdicts(results)]
    for title, table in tables(results).items():
        lines += ["", f"## {title}", markdown_table(table)]
    if curves is not None:
        lines += ["", f"![top-1 against the number of training images]({curves.name})"]
    lines += ["", _NOTES, *(f"\nFailed: `{run}`: {why}" for run, why in study.failed.items())]
    return "\n".join(lines) + "\n"


def markdown_table(table: Table) -> str:
    """Returns a table as Markdown."""
    columns, rows = table
    rule = ["---", *["---:"] * (len(columns) - 1)]
    lines = [[cell.replace("|", "\\|") for cell in line] for line in (columns, rule, *rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def html_page(study: Study, results: Results, curves: Path | None) -> str:
    """Returns the comparison as one self-contained page."""
    title = html.escape(_title(study))
    said = "\n".join(
        f'<li class="{verdict.kind}">{html.escape(verdict.text)}</li>'
        for verdict in verdicts(results)
    )
    parts = [f"<h1>{title}</h1>", f"<p>{results.test_images:,} test images.</p>"]
    parts += [f"<ul>\n{said}\n</ul>"]
    if curves is not None:
        picture = base64.b64encode(curves.read_bytes()).decode()
        alt = "Line chart: test top-1 against the number of training images, one line per arm."
        parts.append(f'<p><img alt="{alt}" src="data:image/png;base64,{picture}"></p>')
    parts += [_html_table(name, table) for name, table in tables(results).items()]
    parts.append(f"<p>{html.escape(_NOTES)}</p>")
    parts += [
        f"<p>Failed: <code>{html.escape(run)}</code>: {html.escape(why)}</p>"
        for run, why in study.failed.items()
    ]
    body = "\n".join(parts)
    return (
        f'<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title>\n<style>\n{_STYLE}</style></head>\n<body>\n{body}\n</body>\n</html>\n"
    )


def _title(study: Study) -> str:
    return f"Comparison of {', '.join(arm.name for arm in study.arms)}"


def _html_table(title: str, table: Table) -> str:
    columns, rows = table

    def heads(texts: Iterable[str], scope: str) -> str:
        return "".join(f'<th scope="{scope}">{html.escape(text)}</th>' for text in texts)

    def cells(texts: Iterable[str]) -> str:
        return "".join(f"<td>{html.escape(text)}</td>" for text in texts)

    body = "\n".join(f"<tr>{heads(row[:1], 'row')}{cells(row[1:])}</tr>" for row in rows)
    name = html.escape(title)
    return (
        # A region that scrolls must be reachable with the keyboard.
        f'<div class="scroll" role="region" aria-label="{name}" tabindex="0">'
        f"<table><caption>{name}</caption>\n"
        f"<thead><tr>{heads(columns, 'col')}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


def _accuracy_table(results: Results, fraction: float) -> Table:
    scratch = {c.arm: c for c in results.with_scratch if c.fraction == fraction}
    best = {c.arm: c for c in results.with_best if c.fraction == fraction}
    columns: dict[str, Callable[[Row], str]] = {
        "arm": lambda row: row.arm,
        "runs": lambda row: str(row.seeds),
        "top-1": lambda row: f"{row.top1:.4f}",
        "over images": lambda row: _span(row.over_images),
        "over seeds": lambda row: _span(row.over_seeds) if row.over_seeds else _NOTHING,
    }
    for name, found in (("scratch", scratch), ("the best", best)):
        if found:
            columns[f"points from {name}"] = partial(_points, found)
            columns[f"p, McNemar's ({name})"] = partial(_tests, found)
    return list(columns), [[of(row) for of in columns.values()] for row in results.at(fraction)]


def _cost_table(results: Results, fraction: float) -> Table:
    target = results.target[fraction]
    to_target = "s to target" if target is None else f"s to validation {target:.3f}"
    columns: dict[str, Callable[[Row], str]] = {
        "arm": lambda row: row.arm,
        "s a run": lambda row: _number(row.seconds),
        "CPU s": lambda row: _number(row.cpu_seconds),
        to_target: lambda row: _number(row.seconds_to_target),
        "images seen": lambda row: f"{row.images_seen:,}",
        "trainable parameters": lambda row: f"{row.trainable_parameters:,}",
        "peak MB": lambda row: _number(row.peak_memory_mb),
    }
    return list(columns), [[of(row) for of in columns.values()] for row in results.at(fraction)]


def _span(interval: Interval) -> str:
    return f"{interval.low:.3f} to {interval.high:.3f}"


def _points(found: Mapping[str, Comparison], row: Row) -> str:
    if row.arm not in found:
        return _NOTHING
    difference = found[row.arm].difference
    low, high = 100 * difference.low, 100 * difference.high
    return f"{100 * difference.mean:+.1f} ({low:+.1f} to {high:+.1f})"


def _tests(found: Mapping[str, Comparison], row: Row) -> str:
    if row.arm not in found:
        return _NOTHING
    comparison = found[row.arm]
    return f"{p_text(comparison.p_corrected)}, {p_text(comparison.mcnemar)}"


def _number(value: float | None) -> str:
    return _NOTHING if value is None else f"{value:,.0f}"
