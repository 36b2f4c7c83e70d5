"""`tfft cache`: the entries of the cache, and how to make room."""

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table
from rich.text import Text

import tfft
from tfft.cli.options import Number, json_option, quiet_option
from tfft.cli.output import new_table, print_json, print_result, print_rich, results_stream
from tfft.errors import UsageError
from tfft.system.readable import size_text

if TYPE_CHECKING:
    from tfft.cache.room import Listed

_UNITS_S = {"h": 3600, "d": 86_400, "w": 7 * 86_400}


@click.group()
def command() -> None:
    """List and clean the cache of features.

    The cache holds features and activations that backbones computed, each by the content of its
    example, and models that were converted so that they answer sooner. All of it can be made again;
    training removes the features that were not used for longest when train.cache.max_gb is reached.

    \b
    Example:
      tfft cache list
      tfft cache clean --older-than 30d
    """


@command.command("list")
@json_option
@quiet_option
def list_command(as_json: bool, quiet: bool) -> None:
    """List what was computed by which weights from which inputs, the last used first.

    \b
    Example:
      tfft cache list
    """
    entries = tfft.cache_entries()
    with results_stream() as results:
        size = size_text(sum(entry.bytes for entry in entries))
        total = f"{_count(len(entries))}, {size} in {tfft.cache_path()}"
        listed = [_to_json(entry) for entry in entries]
        print_result(results, as_json, listed, *([_table(entries)] if entries else []), total)


@command.command("clean")
@click.option(
    "--older-than", metavar="AGE", help="Remove entries not used for this long: 12h, 30d, 8w."
)
@click.option(
    "--max-gb",
    type=Number(min=0),
    help="Remove the least recently used entries until the rest fits.",
)
@click.option("--all", "everything", is_flag=True, help="Remove everything.")
@json_option
@quiet_option
def clean_command(
    older_than: str | None, max_gb: float | None, everything: bool, as_json: bool, quiet: bool
) -> None:
    """Remove entries, also those that killed runs left half written.

    Entries in use stay.

    \b
    Example:
      tfft cache clean --older-than 30d
      tfft cache clean --max-gb 5
      tfft cache clean --all
    """
    if not everything and older_than is None and max_gb is None:
        raise UsageError("nothing to remove. Give --older-than AGE, --max-gb N or --all.")
    older_than_s = None
    if older_than is not None:
        age = re.fullmatch(r"(\d+(?:\.\d+)?)([hdw])", older_than)
        if age is None:
            raise UsageError(
                f"--older-than takes hours, days or weeks: 12h, 30d, 8w. Received: {older_than}"
            )
        older_than_s = float(age[1]) * _UNITS_S[age[2]]
    removed = tfft.clean_cache(max_gb=0.0 if everything else max_gb, older_than_s=older_than_s)
    left = tfft.cache_entries()
    with results_stream() as results:
        if as_json:
            report = {"removed": [_to_json(e) for e in removed], "left": len(left)}
            print_json(results, report)
            return
        freed = sum(entry.bytes for entry in removed)
        in_use = sum(entry.in_use for entry in left)
        kept = f", {in_use} of them in use" if in_use else ""
        print_rich(
            results,
            Text(f"removed: {_count(len(removed))}, {size_text(freed)}; left: {len(left)}{kept}"),
        )


def _to_json(entry: "Listed") -> dict[str, Any]:
    return {
        "path": str(entry.path),
        "bytes": entry.bytes,
        "used": _time(entry.used).isoformat(timespec="seconds"),
        "in_use": entry.in_use,
        "examples": entry.examples,
        **entry.about,
    }


def _table(entries: list["Listed"]) -> Table:
    """Returns a line for all entries that hold the same of different examples."""
    alike: dict[str, list[Listed]] = {}
    for entry in entries:
        alike.setdefault(json.dumps(entry.about, sort_keys=True), []).append(entry)
    table = new_table(["what", "backbone", "weights", "inputs"], ["examples", "size"])
    table.add_column("last used")
    for found in alike.values():
        about, last = found[0].about, max(entry.used for entry in found)
        named = [entry.examples for entry in found if entry.examples is not None]
        in_use = any(entry.in_use for entry in found)
        table.add_row(
            str(about.get("what", "?")) + (f", view {about['view']}" if about.get("view") else ""),
            *(str(about.get(name, "")) for name in ("backbone", "weights", "inputs")),
            f"{sum(named):,}" if named else "older format, not used" if "images" in about else "",
            size_text(sum(entry.bytes for entry in found)),
            "in use" if in_use else f"{_time(last):%Y-%m-%d %H:%M}",
        )
    return table


def _count(entries: int) -> str:
    return f"{entries} {'entry' if entries == 1 else 'entries'}"


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
