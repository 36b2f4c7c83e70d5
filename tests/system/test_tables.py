"""CSV files for people: what a stranger named is text in a spreadsheet, never a formula."""

import csv
import os

import pytest

from tfft.system.tables import written_table


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.reader(stream))


@pytest.mark.parametrize("start", ["=", "+", "-", "@"])
def test_a_text_that_would_be_computed_is_shown(tmp_path, start):
    with written_table(tmp_path / "a.csv", ["path"]) as write:
        write([f"{start}HYPERLINK(1)"])
    assert rows_of(tmp_path / "a.csv") == [["path"], [f"'{start}HYPERLINK(1)"]]


def test_numbers_stay_numbers_and_nothing_is_an_empty_cell(tmp_path):
    with written_table(tmp_path / "a.csv", ["value", "error"]) as write:
        write([-4.25, None])
    assert rows_of(tmp_path / "a.csv")[1] == ["-4.25", ""]


def test_any_name_is_one_cell_of_text(tmp_path):
    names = ['a,"b".jpg', "\t=x.jpg", "two\nlines.jpg", os.fsdecode(b"caf\xe9.jpg")]
    with written_table(tmp_path / "a.csv", names) as write:
        write(names)
    shown = ['a,"b".jpg', "\\x09=x.jpg", "two\\x0alines.jpg", "caf\\xe9.jpg"]
    assert rows_of(tmp_path / "a.csv") == [shown, shown]


def test_a_table_that_is_interrupted_is_not_there(tmp_path):
    with pytest.raises(KeyboardInterrupt), written_table(tmp_path / "a.csv", ["a"]) as write:
        write([1])
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
