"""How a command prints: results to stdout, everything else to stderr."""

import contextlib
import io
import json
import os
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

import click

from tfft.errors import TfftError
from tfft.system.printable import printable, unicode

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

# A command, to the end of its sentence, and what a shell would take for one word.
_TOGETHER = re.compile(r"\btfft [a-z].*?(?=[.,;:)]? *$|[.,;:)] )|(?<![\w'])'[^']+'(?!\w)")


@contextlib.contextmanager
def results_stream() -> Iterator[TextIO]:
    """Yields the stream for results.

    Until it is closed, everything that libraries print to stdout, from Python or C++, goes to
    stderr, so that stdout has the results and nothing else.

    Raises:
        TfftError: The results cannot be printed: stdout is closed, or full.
    """
    if sys.stdout is None:
        yield io.StringIO()
        raise TfftError("cannot print the results: stdout is closed")
    sys.stdout.flush()
    if not _is_process_stdout(sys.stdout):
        yield sys.stdout
        return
    original = os.dup(1)
    os.dup2(2, 1)
    try:
        binary = io.BufferedWriter(_Stdout(os.dup(original), "w"))
        with io.TextIOWrapper(
            binary, encoding="utf-8", errors="surrogateescape", line_buffering=True
        ) as stream:
            yield stream
    finally:
        sys.stdout.flush()
        os.dup2(original, 1)
        os.close(original)


class _Stdout(io.FileIO):
    """Standard output; what keeps it from being written is one message."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:  # its reader is gone, as with `| head`
            raise
        except OSError as error:
            raise TfftError(f"cannot print the results: {error.strerror}") from error


def leave_stdout() -> None:
    """Drops what stdout could not take, so that it does not fail again when Python ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def _is_process_stdout(stream: TextIO) -> bool:
    try:
        return stream.fileno() == 1
    except io.UnsupportedOperation:
        return False


def say(*lines: str) -> None:
    """Prints lines to stderr, with escapes for what a terminal would take for a command.

    On a terminal they are wrapped as `wrapped` does. Where stderr is closed or full they are lost,
    which ends no work.
    """
    with contextlib.suppress(OSError):
        width = _terminal_width()
        for line in lines:
            text = printable(line)
            click.echo(wrapped(text, width) if width else text, err=True)


def _terminal_width() -> int:
    """Returns the number of columns of the terminal that stderr is; 0 if it is none."""
    if not sys.stderr.isatty():
        return 0
    with contextlib.suppress(OSError, ValueError):
        return os.get_terminal_size(sys.stderr.fileno()).columns
    return 0


def wrapped(text: str, width: int) -> str:
    """Wraps a message at spaces, but for those in commands and quotes, which can be copied whole.

    Args:
        text: Lines of text; each keeps its indentation where it goes on.
        width: Number of columns.
    """
    return "\n".join(_wrapped_line(line, width) for line in text.split("\n"))


def _wrapped_line(line: str, width: int) -> str:
    if len(line) <= width:
        return line
    together = _TOGETHER.sub(lambda found: found[0].replace(" ", "\0"), line)
    indent = line[: len(line) - len(line.lstrip(" "))]
    lines = textwrap.wrap(
        together,
        width,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
        replace_whitespace=False,
    )
    return "\n".join(lines).replace("\0", " ")


def json_text(value: Any, indent: int | None = None) -> str:
    """Returns a JSON document in ASCII; of names that are not UTF-8, what can be printed."""
    return json.dumps(_unicode(value), indent=indent, allow_nan=False)


def _unicode(value: Any) -> Any:
    if isinstance(value, dict):
        return {_unicode(name): _unicode(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_unicode(inner) for inner in value]
    if isinstance(value, str) and not value.isascii():
        return unicode(value)
    return value


def print_json(stream: TextIO, value: Any) -> None:
    """Prints one JSON document, in ASCII regardless of the locale."""
    stream.write(json_text(value, indent=2) + "\n")


def new_table(
    text: Sequence[str],
    numbers: Sequence[str] = (),
    title: str | None = None,
    *,
    show_header: bool = True,
) -> "Table":
    """Returns an empty table.

    Args:
        text: Names of the first columns, which are aligned to the left.
        numbers: Names of the columns after them, which are aligned to the right and not wrapped.
        title: Title of the table.
        show_header: Whether the names are shown above the columns.
    """
    from tfft.cli.layout import empty_table

    table = empty_table(title, show_header)
    for name in text:
        table.add_column(name)
    for name in numbers:
        table.add_column(name, justify="right")
    return table


def aligned(lines: Mapping[str, str]) -> str:
    """Returns a line for each name and its value, with the values below each other."""
    broad = max(map(len, lines), default=0)
    return "\n".join(f"{name:<{broad}}  {value}" for name, value in lines.items())


def print_result(stream: TextIO, as_json: bool, value: Any, *parts: "Table | Text | str") -> None:
    """Prints a result: as one JSON document, or its parts as `print_rich` does.

    Args:
        stream: Stream to print to.
        as_json: Whether JSON was asked for.
        value: The result as JSON values.
        parts: The result as tables and text.
    """
    if as_json:
        print_json(stream, value)
    else:
        print_rich(stream, *parts)


def print_rich(stream: TextIO, *parts: "Table | Text | str") -> None:
    """Prints tables and text with a blank line between them; only a terminal limits their width.

    Args:
        stream: Stream to print to.
        parts: Tables, which are fitted to the width; `Text`, which is wrapped at words; and `str`,
            such as paths and commands, whose lines are not wrapped, so that they can be copied.
            None of them is read as markup, and control characters become escapes.
    """
    from rich.console import Console

    width = None if stream.isatty() else 160
    console = Console(file=stream, markup=False, emoji=False, highlight=False, width=width)
    pieces = (piece for part in parts for piece in _pieces(part, console.width))
    stream.write("\n\n".join(_rendered(piece, console) for piece in pieces) + "\n")


def _pieces(part: "Table | Text | str", width: int) -> "Iterator[Table | Text | str]":
    """Yields a part; of a table also title and caption, which may be wider than its columns."""
    from rich.table import Table
    from rich.text import Text

    from tfft.cli.layout import fitted

    if not isinstance(part, Table):
        yield part
        return
    title, caption = str(part.title or ""), str(part.caption or "")
    part.title = part.caption = None
    if title:
        yield Text(printable(title), style="table.title")
    yield fitted(part, width)
    if caption:
        yield Text(printable(caption), style="table.caption")


def _rendered(piece: "Table | Text | str", console: "Console") -> str:
    """Returns a piece as it is printed, without blanks at the ends of lines and around it."""
    from rich.text import Text

    if isinstance(piece, str):
        return printable(piece)
    if isinstance(piece, Text):
        piece = Text(printable(piece.plain), style=piece.style)
    with console.capture() as captured:
        console.print(piece)
    return "\n".join(line.rstrip() for line in captured.get().splitlines()).strip("\n")
