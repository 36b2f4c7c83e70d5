"""Fits a table to a terminal without cutting a number or a name.

A table that is too wide wraps its texts and headers at spaces. Where that is not enough, its rows
become columns; where that is too wide as well, each row becomes a paragraph.
"""

from typing import TYPE_CHECKING, Any

from rich import box
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from tfft.system.printable import printable

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Column

# Blanks between two columns; the frame of `box.SIMPLE_HEAD` is one at each end.
_GAP, _EDGES = 2, 2


class PlainTable(Table):
    """A table whose texts are shown as they are: no markup, and escapes for control characters."""

    def add_column(self, header: "RenderableType" = "", **options: Any) -> None:
        super().add_column(_plain(header), **options)

    def add_row(self, *cells: "RenderableType | None", **options: Any) -> None:
        super().add_row(*map(_plain, cells), **options)


def _plain(cell: "RenderableType | None") -> Text:
    if cell is None:
        return Text()
    return Text(printable(cell.plain if isinstance(cell, Text) else str(cell)))


def empty_table(title: str | None = None, show_header: bool = True) -> PlainTable:
    """Returns a table without columns that `fitted` can fit."""
    return PlainTable(
        title=title,
        box=box.SIMPLE_HEAD,
        show_header=show_header,
        collapse_padding=True,
        pad_edge=False,
    )


def fitted(table: Table, width: int) -> Table | str:
    """Returns a table of texts for a terminal with `width` columns; text where no table fits.

    Args:
        table: Table made by `empty_table`; a column that is justified to the right has numbers,
            which are not wrapped.
        width: Number of columns of the terminal.
    """
    for candidate in (table, _transposed(table)):
        widths = _widths(candidate, width)
        if widths is not None:
            for column, its_width in zip(candidate.columns, widths, strict=True):
                column.width = its_width
            return candidate
    return _paragraphs(table)


def _widths(table: Table, width: int) -> list[int] | None:
    """Returns a width for each column at which only spaces become line breaks; None: too narrow."""
    widths, least = [], []
    for column in table.columns:
        head, *cells = _texts(column)
        shown = [head, *cells] if table.show_header else cells
        unbroken = cells if column.justify == "right" else []
        widths.append(max(_longest(text, "\n") for text in shown))
        least.append(max(_longest(text, "\n" if text in unbroken else None) for text in shown))
    room = width - _EDGES - _GAP * (len(widths) - 1)
    if sum(least) > room:
        return None
    while sum(widths) > room:
        shrinkable = (k for k in range(len(widths)) if widths[k] > least[k])
        widths[max(shrinkable, key=widths.__getitem__)] -= 1
    return widths


def _transposed(table: Table) -> Table:
    """Returns a table with a column for each row; the first column has the names of the others."""
    (corner, *rows), *others = map(_texts, table.columns)
    turned = empty_table()
    turned.add_column(corner)
    for name in rows:
        turned.add_column(name, justify="right")
    for name, *cells in others:
        turned.add_row(name, *cells)
    return turned


def _paragraphs(table: Table) -> str:
    """Returns lines for each row: its first cell, then the other cells behind their names."""
    (_, *firsts), *others = map(_texts, table.columns)
    broad = max((cell_len(name) for name, *_ in others), default=0)
    lines = []
    for row, first in enumerate(firsts, start=1):
        lines.append(first)
        for name, *cells in others:
            if cells[row - 1]:
                lines.append(f"  {name}{' ' * (broad - cell_len(name))}  {cells[row - 1]}")
    return "\n".join(lines)


def _texts(column: "Column") -> list[str]:
    """Returns the header and the cells as they are read."""
    return [_plain(cell).plain for cell in (column.header, *column.cells)]


def _longest(text: str, separator: str | None) -> int:
    return max(map(cell_len, text.split(separator)), default=0)
