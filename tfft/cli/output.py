"""How a command prints: results to stdout, everything else to stderr."""

import contextlib
import io
import json
import os
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table


@contextlib.contextmanager
def results_stream() -> Iterator[TextIO]:
    """Yields the stream for results.

    Until it is closed, everything that libraries print to stdout, from Python or C++, goes to
    stderr, so that stdout has the results and nothing else.
    """
    sys.stdout.flush()
    if not _is_process_stdout(sys.stdout):
        yield sys.stdout
        return
    original = os.dup(1)
    os.dup2(2, 1)
    try:
        with os.fdopen(
            os.dup(original), "w", encoding="utf-8", errors="surrogateescape", buffering=1
        ) as stream:
            yield stream
    finally:
        sys.stdout.flush()
        os.dup2(original, 1)
        os.close(original)


def _is_process_stdout(stream: TextIO) -> bool:
    try:
        return stream.fileno() == 1
    except io.UnsupportedOperation:
        return False


def print_json(stream: TextIO, value: Any) -> None:
    """Prints one JSON document, in ASCII regardless of the locale."""
    stream.write(json.dumps(value, indent=2, allow_nan=False) + "\n")


def new_table(
    text: Sequence[str], numbers: Sequence[str] = (), title: str | None = None
) -> "Table":
    """Returns an empty table.

    Args:
        text: Names of the first columns, which are aligned to the left.
        numbers: Names of the columns after them, which are aligned to the right.
        title: Title of the table.
    """
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for name in text:
        table.add_column(name)
    for name in numbers:
        table.add_column(name, justify="right")
    return table


def print_rich(stream: TextIO, *renderables: "RenderableType") -> None:
    """Prints tables and text with a blank line between them; only a terminal limits their width."""
    from rich.console import Console

    console = Console(file=stream, highlight=False, width=None if stream.isatty() else 160)
    texts = []
    for renderable in renderables:
        with console.capture() as captured:
            console.print(renderable)
        lines = [line.rstrip() for line in captured.get().splitlines()]
        texts.append("\n".join(lines).strip("\n"))
    stream.write("\n\n".join(texts) + "\n")
