"""Names of classes and files that are markup to a library, or commands to a terminal."""

import csv
import random
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from tally import tally

from tfft.cli.main import run
from tfft.system.printable import printable_name

_PIECES = (
    *("[a]", "[/b]", "[bold red]", "[link=x]", "[[", "]", "\\[", "[/]", ":dog:", "{0}", "%s"),
    *("\x1b[2J", "\x1b]0;title\x07", "\x9b31m", "\r", "\n", "\t", "\u202e", "\x7f"),
    *("dog", " ", "ü", "蒲公英", "🐶", "'", '"', "$HOME", "`id`", "-", "<b>", "&amp;"),
)


def _names(count: int) -> Iterator[str]:
    choose = random.Random(0)
    while count:
        name = "".join(choose.choices(_PIECES, k=choose.randrange(1, 6))).strip()
        if name and not name.startswith("."):
            yield name
            count -= 1


def _controls(text: str) -> list[str]:
    return [letter for letter in text if letter != "\n" and unicodedata.category(letter) == "Cc"]


def _is_shown_or_refused(root: Path, name: str, capsys: pytest.CaptureFixture) -> bool:
    """Checks a manifest with a class of a name, and with a file of the name that is no image."""
    root.mkdir()
    file = f"_{name.replace('/', '')}.png"
    (root / file).write_bytes(b"")
    for number in range(2):
        Image.new("RGB", (8, 9), (number, 30, 60)).save(root / f"{number}.png")
    with (root / "list.csv").open("w", newline="") as stream:
        rows = (("path", "label"), ("0.png", name), ("1.png", "other"), (file, "other"))
        csv.writer(stream).writerows(rows)
    code = run(["data", "check", str(root / "list.csv"), "--quiet"])
    shown = capsys.readouterr()
    text = "".join(shown.out.split())  # tables wrap at spaces
    escaped = "".join(printable_name(name).split())
    is_refused = name != printable_name(name) and f"Rename: {printable_name(name)}" in shown.err
    of_file = "".join(printable_name(file).split())
    is_shown = escaped in text and of_file in text and name == printable_name(name)
    return code == 2 and not _controls(shown.out + shown.err) and (is_refused or is_shown)


@pytest.mark.slow
@pytest.mark.parametrize("count", [150, pytest.param(3_000, marks=pytest.mark.full)])
def test_any_name_is_shown_as_it_is_or_refused(tmp_path, capsys, count):
    names = list(_names(count))
    held = sum(
        _is_shown_or_refused(tmp_path / str(number), name, capsys)
        for number, name in enumerate(names)
    )
    tally(
        "names",
        "The name of a class or a file is shown as it is, never as markup or as a command to the "
        "terminal; a class whose name is not one line of text is refused by name.",
        tried=count,
        held=held,
    )
    assert held == count
