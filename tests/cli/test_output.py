"""stdout has the results and nothing else; progress goes to stderr."""

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from rich.table import Table
from rich.text import Text

import tfft.cli.output
from tfft.cli.main import run
from tfft.cli.output import new_table, print_json, print_rich, results_stream, say, wrapped
from tfft.cli.progress import LineProgress, shown_progress
from tfft.system.printable import printable_name
from tfft.system.progress import SILENT, speed_text, values_text

CHATTER = """
import os
from tfft.cli.output import print_json, results_stream
with results_stream() as results:
    print("chatter of a Python library")
    os.write(1, b"chatter of a C++ library\\n")
    print_json(results, {"a": 1})
print("after")
"""


def test_what_libraries_print_to_stdout_goes_to_stderr():
    done = subprocess.run(
        [sys.executable, "-c", CHATTER], capture_output=True, text=True, check=True
    )
    assert done.stdout == '{\n  "a": 1\n}\nafter\n'
    assert "chatter of a Python library" in done.stderr
    assert "chatter of a C++ library" in done.stderr


def test_json_is_readable_in_any_locale_and_has_no_nan():
    stream = io.StringIO()
    print_json(stream, {"label": "Löwenzahn"})
    assert stream.getvalue().isascii()
    assert json.loads(stream.getvalue()) == {"label": "Löwenzahn"}
    with pytest.raises(ValueError, match="Out of range"):
        print_json(stream, {"loss": float("nan")})


def test_tables_have_no_blank_edges_outside_a_terminal():
    stream = io.StringIO()
    table = Table()
    table.add_column("x" * 120)
    print_rich(stream, table, table)
    lines = stream.getvalue().splitlines()
    assert lines[0] != ""
    assert lines.count("") == 1
    assert all(line == line.rstrip() for line in lines)
    assert "x" * 120 in lines[1]


MARKUP = ("dog [a]", "a [/b] c", "[bold]x[/bold]", ":dog:", "\\[d]", "e\x1b[2J\x07")


@pytest.mark.parametrize("name", MARKUP)
def test_no_name_is_read_as_markup_or_sent_as_a_command_to_the_terminal(name, capsys):
    table = new_table([name], ["number"], f"title {name}")
    table.add_row(name, "1")
    table.caption = f"caption {name}"
    stream = io.StringIO()
    print_rich(stream, table, Text(f"text {name}"), f"path {name}")
    shown = printable_name(name)
    text = stream.getvalue()
    assert all(f"{part} {shown}" in text for part in ("title", "caption", "path"))
    of_text = shown.removesuffix("\\x07")  # Rich drops a bell
    assert f"text {of_text}" in text
    assert text.count(of_text) == 6
    assert "\x1b" not in text
    say(f"message {name}")
    task = LineProgress().start(name, 1)
    task.advance(1, state=name)
    task.close()
    LineProgress().message(name)
    assert capsys.readouterr().err == (
        f"message {shown}\n{shown}: 1/1 images in 0 s, state {shown}\n{shown}\n"
    )


@pytest.mark.parametrize("name", MARKUP)
def test_bars_show_names_as_they_are(name, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with shown_progress(quiet=False) as progress:
        task = progress.start(f"start {name}", 1)
        task.advance(1, state=f"state {name}")
        task.close()
        progress.message(f"message {name}")
    shown = capsys.readouterr().err
    assert all(f"{part} {printable_name(name)}" in shown for part in ("start", "state", "message"))


def test_a_message_is_wrapped_at_words_and_what_can_be_copied_stays_whole():
    command = "tfft train classifier --data 'my photos/a' --seed 3"
    text = f"  one two three: {command}. It isn't 'a b c' yet"
    assert wrapped(text, 30).split("\n") == [
        "  one two three:",
        f"  {command}.",
        "  It isn't 'a b c' yet",
    ]
    assert wrapped("a/very-long/path-of x\n\n  short", 8) == "a/very-long/path-of\nx\n\n  short"


def test_all_that_is_printed_goes_through_one_place():
    """So that no name gets to a terminal by another way."""
    ways = re.compile(r"(?<![.\w])(click\.echo|click\.secho|Console|Table|print)\(")
    root = Path(tfft.cli.output.__file__).parent
    found = {
        (file.name, way) for file in root.glob("*.py") for way in ways.findall(file.read_text())
    }
    assert found == {
        ("output.py", "click.echo"),
        ("output.py", "Console"),
        ("progress.py", "Console"),
    }


def test_an_error_is_shown_without_control_characters(capsys):
    assert run(["data", "check", "no\x1b[2Jwhere"]) == 2
    assert "no\\x1b[2Jwhere" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["data", "check"], ["predict", "model"]])
def test_a_path_in_a_closed_folder_is_one_message(command, tmp_path, monkeypatch, capsys):
    stat = os.stat

    def refuse(path, **options):
        if str(path) == str(tmp_path / "closed" / "photos"):
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, **options)

    monkeypatch.setattr("os.stat", refuse)
    assert run([*command, str(tmp_path / "closed" / "photos")]) == 2
    message = f"tfft: no permission to open {tmp_path / 'closed' / 'photos'}.\n"
    assert capsys.readouterr().err == message


def test_results_may_go_to_a_captured_stdout(capsys):
    with results_stream() as results:
        results.write("result")
    assert capsys.readouterr().out == "result"


def test_quiet_shows_no_progress():
    with shown_progress(quiet=True) as progress:
        assert progress is SILENT


def test_without_a_terminal_progress_is_a_line_at_the_end_of_each_piece_of_work(capsys):
    with shown_progress(quiet=False) as progress:
        assert isinstance(progress, LineProgress)
        task = progress.start("epoch 1/2", 64)
        task.advance(32, loss=0.75, top1=0.5)
        task.advance(32, loss=0.5, top1=0.625)
        task.close()
        task.close()
        progress.message("done")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "epoch 1/2: 64/64 images in 0 s, loss 0.5  top1 0.625",
        "done",
    ]


def test_work_that_fails_half_way_says_how_far_it_came(capsys):
    task = LineProgress().start("scanning", None, "files")
    task.advance(3)
    task.close()
    assert capsys.readouterr().err == "scanning: 3 files in 0 s\n"


def test_on_a_terminal_there_are_bars(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with shown_progress(quiet=False) as progress:
        progress.message("run: runs/x [not markup]")
        task = progress.start("training [1/2]", 10)
        task.advance(10, loss=1.0)
        task.close()
        unknown = progress.start("downloading", None, "bytes")
        unknown.advance(2_000_000)
        unknown.close()
        progress.message("between")
    errors = capsys.readouterr().err
    for text in ("run: runs/x [not markup]", "training [1/2]", "10/10", "loss 1", "between"):
        assert text in errors


def test_a_path_in_a_message_between_bars_is_in_one_piece(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    path = f"runs/{'long-name-' * 9}/model.keras"
    with shown_progress(quiet=False) as progress:
        progress.start("training", 10)
        progress.message(f"run: {path}")
    assert path in capsys.readouterr().err


def test_values_and_speeds_are_short():
    assert values_text({"loss": 0.123456, "steps": 12345.0, "phase": "2/2"}) == (
        "loss 0.1235  steps 12345  phase 2/2"
    )
    assert speed_text(1234.5, "images") == "1234 images/s"
    assert speed_text(0.25, "values") == "4.0 s each"
    assert speed_text(2_500_000.0, "bytes") == "2.5 MB/s"


@pytest.mark.parametrize("command", [["evaluate"], ["predict", "model"], ["train", "--resume"]])
def test_a_path_longer_than_any_is_one_short_message(command, capsys):
    assert run([*command, "a" * 5_000]) in (1, 2)
    message = capsys.readouterr().err
    assert message.startswith("tfft: ")
    assert "Traceback" not in message
    assert len(message) < 6_000
