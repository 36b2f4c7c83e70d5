"""Tables and lines on a terminal: nothing is cut, and what is to be copied is in one piece."""

import io

import pytest
from rich.text import Text

from tfft.cli.layout import fitted
from tfft.cli.output import new_table, print_rich


class Terminal(io.StringIO):
    """A stream that says it is a terminal; its width is that of the variable COLUMNS."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def printed(monkeypatch):
    """Prints on a terminal of a width and returns the lines."""

    def print_on(columns: int, *parts) -> list[str]:
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("TERM", "xterm")
        stream = Terminal()
        print_rich(stream, *parts)
        return Text.from_ansi(stream.getvalue()).plain.splitlines()

    return print_on


def rates(title=None):
    table = new_table(["backbone"], ["probe top-1", "multiply-adds", "95 % interval"], title)
    table.add_row("EfficientNetLite0", "0.912", "0.41 G", "0.871 to 0.943")
    table.add_row("ResNet50", "0.931", "3.86 G", "0.893 to 0.958")
    return table


def cells(lines: list[str]) -> set[str]:
    return {cell.strip() for line in lines for cell in line.split("  ") if cell.strip()}


@pytest.mark.parametrize("columns", [200, 80, 60, 52, 40, 32])
def test_no_number_and_no_name_is_cut_on_a_terminal_of_any_width(printed, columns):
    lines = printed(columns, rates())
    assert max(map(len, lines)) <= columns
    numbers = {"0.912", "0.931", "0.41 G", "3.86 G", "0.871 to 0.943", "0.893 to 0.958"}
    assert {"EfficientNetLite0", "ResNet50"} | numbers <= cells(lines)
    assert "…" not in "".join(lines)


def test_headers_wrap_at_spaces_first(printed):
    above, header, *_ = printed(60, rates())
    assert above.split() == ["probe"]
    assert header.split() == ["backbone", "top-1", "multiply-adds", *["95", "%", "interval"]]


def test_rows_become_columns_where_the_columns_do_not_fit(printed):
    lines = printed(52, rates())
    assert lines[0].split() == ["backbone", "EfficientNetLite0", "ResNet50"]
    assert ["probe", "top-1", "0.912", "0.931"] in [line.split() for line in lines]


def test_a_row_becomes_a_paragraph_where_no_table_fits():
    assert fitted(rates(), 40) == (
        "EfficientNetLite0\n"
        "  probe top-1    0.912\n"
        "  multiply-adds  0.41 G\n"
        "  95 % interval  0.871 to 0.943\n"
        "ResNet50\n"
        "  probe top-1    0.931\n"
        "  multiply-adds  3.86 G\n"
        "  95 % interval  0.893 to 0.958"
    )


def test_a_title_is_as_wide_as_the_terminal(printed):
    title = "saved_models/classifier/1 on the test images, 1,200 images"
    assert printed(80, rates(title))[:2] == [title, ""]


def test_words_wrap_but_lines_to_copy_do_not(printed):
    command = f"tfft evaluate {'a-long-name/' * 9}"
    lines = printed(40, Text("one word and another " * 4), command)
    assert len(lines) == 5
    assert lines[-1] == command


def test_a_broad_character_counts_as_two():
    table = new_table(["class"], ["images"])
    table.add_row("柴犬" * 8, "12")
    assert not isinstance(fitted(table, 44), str)
    assert isinstance(fitted(table, 30), str)
