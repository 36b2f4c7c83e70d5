"""When a command has ended, its results are on the terminal, whole, and what it suggests works."""

import itertools
import re
import shlex
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest
import terminal
from faults.tally import tally
from interface.example_files import write_example_files

from tfft.cli.main import COMMANDS

WIDTHS = (80, 120)
# The run lies in a folder with a blank in its name, as on many a desk.
RUN = "my runs/phases"
RECIPE = "phases.yaml"
DATA = ("--data", "photos")
URL = "URL"  # stands for the address of a server of the export


class Command(NamedTuple):
    """A command, and what a person must read at its end.

    Attributes:
        words: The command.
        shown: Texts of its results.
    """

    words: tuple[str, ...]
    shown: tuple[str, ...]


# Each uses what those before it made.
TRAIN = Command(("train", RECIPE, *DATA, "--run", RUN), ("label", "top1", f"run: {RUN}", "next: "))
OTHERS = (
    Command(("evaluate", RUN), ("top-1", "95 % interval", "loss")),
    Command(("calibrate", RUN), ("temperature", "calibration error")),
    Command(("export", RUN), ("saved_models/phases/", "accuracy", "MB", "TFLite float32")),
    Command(("predict", RUN, "photos/red/0.png"), ("photos/red/0.png: ", "%")),
    Command(("embed", RUN, "--output", "features.npy"), ("features.npy",)),
    Command(("report", RUN), (f"{RUN}/report.html", "on test images")),
    Command(("data", "check", "photos"), ("validation", "green")),
    Command(("probe", RUN), ("shapes", "95 % interval", "best: ")),
    Command(("lr-find", RECIPE, *DATA, "--steps", "10"), ("phase 1", "the recipe has")),
    Command(("advise", RECIPE, *DATA, "--output", "WIDTH advised.yaml"), ("recipe: ", "next: ")),
    Command(("rank", RECIPE, *DATA, "--backbones", RECIPE), ("probe", "LogME", "hints")),
    Command(
        ("train", "classifier.yaml", *DATA, "--run", "WIDTH wide", "--seed", "WIDTH"),
        ("run: ", "next: "),
    ),
    Command(("compare", RUN, "WIDTH wide"), ("old", "new", "95 % interval")),
    Command(
        ("compare", RUN, "80 wide", "120 wide", "--name", "sWIDTH"),
        ("arm", "cost", "comparison.html"),
    ),
    Command(("tune", RECIPE, *DATA, "--trials", "1", "--name", "t"), ("recipe: ", "best.yaml")),
    Command(("cache", "list"), ("features", "entries")),
    Command(("backbones", "list"), ("EfficientNetLite0", "licence", "348.1")),
    Command(("backbones", "describe", RECIPE), ("parameters", "edges", "shapes")),
    Command(("publish", "saved_models/phases", "published WIDTH"), ("published ",)),
    Command(
        ("benchmark", "saved_models/phases/tflite/1/phases_float32.tflite", "--seconds", "0.02"),
        ("cold", "p50 ms", "images/s"),
    ),
    Command(("serve-check", URL, "--against", RUN, "--images", "4"), ("signature", "label")),
)
# What takes longer.
FULL = (
    Command(("train", RECIPE, *DATA, "--dry-run"), ("edges", "trained, lr", "phase 2: ")),
    Command(("backbones", "check", RECIPE), ("passed",)),
    Command(("quickstart",), ("SavedModel", "reads", "tfft evaluate")),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A directory with photos and a recipe of two phases on a backbone of two blocks."""
    directory = tmp_path_factory.mktemp("screens")
    recipe = write_example_files(directory).read_text()
    phases = (
        "[{unfreeze: none, epochs: 2, learning_rate: 0.01},"
        " {unfreeze: all, epochs: 1, learning_rate: 0.001}]"
    )
    recipe = recipe.replace("[{solver: linear, refit: true}]", phases)
    recipe = recipe.replace("name: classifier", "name: phases")
    (directory / RECIPE).write_text(recipe.replace("export: {tflite: {timed: false}}\n", ""))
    return directory


def faults_of(command: Command, columns: int, place: Path, url: str = "") -> list[str]:
    """Runs a command on a terminal and returns what is wrong with its final screen."""
    words = [word.replace("WIDTH", str(columns)).replace(URL, url) for word in command.words]
    shown = terminal.tfft(words, place, columns)
    results = after_the_bars(shown.lines)
    faults = [f"exit code {shown.code}"] if shown.code else []
    faults += [f"{text!r} is not there" for text in command.shown if not is_in(text, results)]
    faults += [f"cut: {line}" for line in results if re.search(r"\S…", line)]
    faults += [f"label cut: {line}" for line in shown.lines if re.search(r"… *━", line)]
    faults += [f"no such file: {path}" for path in missing(suggested(results, columns), place)]
    return [f"{words} at {columns}: {fault}\n{shown.text}" for fault in faults]


def after_the_bars(lines: list[str]) -> list[str]:
    """Returns the lines below the last bar."""
    bars = [number for number, line in enumerate(lines) if "━" in line]
    return lines[bars[-1] + 1 :] if bars else lines


def is_in(text: str, lines: list[str]) -> bool:
    """Says if a text is shown, be it that the header of a column has wrapped it at a blank."""
    words = set(" ".join(lines).split())
    return text in "".join(lines) or set(text.split()) <= words


def suggested(lines: list[str], columns: int) -> Iterable[list[str]]:
    """Yields the words of each command that is suggested, as a shell reads them when pasted."""
    text = "".join(line if len(line) == columns else f"{line}\n" for line in lines)
    for command in re.findall(r"(?m)(?:^ +|: )(tfft .*)", text):
        yield shlex.split(command, comments=True)


def missing(commands: Iterable[list[str]], place: Path) -> list[str]:
    """Returns the paths in commands that are not there."""
    words = [word for words in commands for word in words[2:] if word not in ("scratch", "DIR")]
    return [word for word in words if "/" in word and not (place / word).exists()]


@pytest.fixture(scope="module")
def trained(place) -> list[str]:
    """What is wrong with the screen after a training, whose run the other commands use."""
    return faults_of(TRAIN, 80, place)


def test_after_a_training_its_result_and_what_comes_next_are_on_the_screen(trained):
    assert trained == []


def test_a_message_is_wrapped_at_words(tmp_path):
    for split in ("train", "test"):
        (tmp_path / split / "cat").mkdir(parents=True)
    arguments = ("train", "classifier", "--data", tmp_path, "--resume", "a run")
    shown = terminal.tfft(arguments, tmp_path, 40)
    assert shown.code == 2 and len(shown.lines) > 2
    whole = terminal.tfft(arguments, tmp_path, 2000)
    assert " ".join(shown.lines) == " ".join(whole.lines)


@pytest.mark.slow
@pytest.mark.parametrize("commands", [OTHERS, pytest.param(FULL, marks=pytest.mark.full)])
@pytest.mark.usefixtures("trained")
def test_the_final_screen_of_each_command_has_its_results(place, commands):
    from serving.serving_api import Model, Server

    faults, held = [], 0
    for command in commands:
        with ExitStack() as served:
            url = ""
            if URL in command.words:
                model = Model("phases", place / "saved_models" / "phases")
                url = served.enter_context(Server(model)).rest_url
            found = [faults_of(command, columns, place, url) for columns in WIDTHS]
        held += found.count([])
        faults += itertools.chain(*found)
    promise = f"The results of {len(commands)} commands are whole on their final screens."
    tally("screens", promise, tried=len(commands) * len(WIDTHS), held=held)
    assert not faults, "\n".join(faults)


def test_no_command_is_left_out():
    named = {command.words[0] for command in (TRAIN, *OTHERS, *FULL)}
    # The desk runs until it is stopped; its own tests read what it prints.
    assert named == set(COMMANDS) - {"desk"}
