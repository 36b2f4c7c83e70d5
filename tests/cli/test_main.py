"""What `tfft` does before and after any command: finding it, errors, exit codes."""

import os
import signal
import subprocess
import sys

import click
import pytest

from tfft.cli import main as command_line
from tfft.errors import BackboneError, GateError, TfftError

LEAVES = [
    ("quickstart",),
    ("train",),
    ("lr-find",),
    ("evaluate",),
    ("calibrate",),
    ("compare",),
    ("tune",),
    ("advise",),
    ("export",),
    ("report",),
    ("publish",),
    ("serve-check",),
    ("predict",),
    ("embed",),
    ("benchmark",),
    ("data", "apply"),
    ("data", "audit"),
    ("data", "check"),
    ("data", "prepare"),
    ("data", "show"),
    ("data", "split"),
    ("desk",),
    ("probe",),
    ("cache", "clean"),
    ("cache", "list"),
    ("rank",),
    ("backbones", "check"),
    ("backbones", "describe"),
    ("backbones", "list"),
]


def find_command(path: tuple[str, ...]) -> click.Command:
    command: click.Command = command_line.cli
    for name in path:
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), name)
        assert found is not None
        command = found
    return command


def all_leaves(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    leaves = []
    for name in group.list_commands(click.Context(group)):
        command = find_command((*path, name))
        is_group = isinstance(command, click.Group)
        leaves += all_leaves(command, (*path, name)) if is_group else [(*path, name)]
    return leaves


def test_these_are_all_commands():
    assert all_leaves(command_line.cli) == LEAVES


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_help_of_every_command_has_an_example_of_itself(path):
    command = find_command(path)
    settings = (
        command_line.cli.context_settings
    )  # a command keeps the help option it is first given
    context = click.Context(command, info_name=" ".join(("tfft", *path)), **settings)
    text = command.get_help(context)
    _, example = text.split("Example:")
    assert f"  tfft {' '.join(path)}" in example


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_every_command_can_be_quiet_and_explains_each_option(path):
    options = [p for p in find_command(path).params if isinstance(p, click.Option)]
    assert {"-q", "--quiet"} <= {name for option in options for name in option.opts}
    assert [option.name for option in options if not option.help] == []


def test_an_unknown_command_names_the_nearest_and_exits_2(tfft):
    done = tfft("trian")
    assert done.returncode == 2
    assert done.stderr.startswith("tfft: no command 'trian'. Did you mean 'train'?")
    assert done.stdout == ""


def test_an_unknown_option_names_the_nearest_and_exits_2(tfft):
    done = tfft("train", "quickstart", "--reusme", "runs/x")
    assert done.returncode == 2
    assert "--resume" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_argument_says_how_the_command_is_used(tfft):
    done = tfft("predict", "model.tflite")
    assert done.returncode == 2
    assert "tfft predict" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("error", "code"), [(TfftError("a"), 1), (BackboneError("a"), 2), (GateError("a"), 3)]
)
def test_an_error_of_tfft_is_one_message_and_its_exit_code(monkeypatch, capsys, error, code):
    def fail(**options):
        raise error

    monkeypatch.setattr(find_command(("backbones",)), "callback", fail)
    assert command_line.run(["backbones"]) == code
    assert capsys.readouterr().err == "tfft: a\n"


def test_a_bug_keeps_its_traceback(monkeypatch):
    def fail(**options):
        raise ZeroDivisionError

    monkeypatch.setattr(find_command(("backbones",)), "callback", fail)
    with pytest.raises(ZeroDivisionError):
        command_line.run(["backbones"])


def test_ctrl_c_says_so_with_what_to_do_next_and_exits_130(monkeypatch, capsys):
    def interrupt(**options):
        error = KeyboardInterrupt()
        error.add_note("go on with: tfft train --resume runs/x")
        raise error

    monkeypatch.setattr(find_command(("backbones",)), "callback", interrupt)
    assert command_line.run(["backbones"]) == 130
    assert capsys.readouterr().err.split("\n") == [
        "",
        "tfft: stopped.",
        "go on with: tfft train --resume runs/x",
        "",
    ]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_a_command_as_ctrl_c_does_with_an_exit_code_of_its_own(
    monkeypatch, capsys, number, code
):
    def interrupted(**options):
        try:
            signal.raise_signal(number)
        except KeyboardInterrupt as interrupt:
            interrupt.add_note("go on with: tfft train --resume runs/x")
            raise

    monkeypatch.setattr(find_command(("backbones",)), "callback", interrupted)
    assert command_line.run(["backbones"]) == code
    said = f"tfft: stopped by {number.name}.\ngo on with: tfft train --resume runs/x\n"
    assert capsys.readouterr().err.lstrip("\n") == said


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_an_interrupt_while_the_program_starts_shows_no_traceback(tmp_path):
    code = (
        "import time; from tfft.cli import main; "
        "main.cli.main = lambda *a, **k: (print('begun', flush=True), time.sleep(30)); "
        "main.main([])"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=10)
    assert (process.returncode, errors) == (130, "tfft: stopped.\n")


def test_a_reader_that_goes_away_is_no_error(tmp_path):
    command = f"{sys.executable} -m tfft backbones --json | head -n 1"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.stdout, done.stderr) == ("[\n", "")


@pytest.mark.parametrize(
    ("arguments", "streams", "code", "said"),
    [
        ("backbones --json", ">/dev/full", 1, f"cannot print the results: {os.strerror(28)}"),
        ("backbones", ">&-", 1, "cannot print the results: stdout is closed"),
        ("--version", ">/dev/full", 1, "the disk is full"),
        ("train nope", "2>/dev/full", 2, ""),
        ("train nope", "2>&-", 2, ""),
        ("backbones", ">&- 2>&-", 1, ""),
    ],
)
def test_streams_that_are_closed_or_full_are_one_message_or_none(arguments, streams, code, said):
    command = f"{sys.executable} -m tfft {arguments} {streams}"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == code
    assert done.stderr.count("\n") == bool(said)
    assert done.stderr.startswith(f"tfft: {said}" if said else "")


def test_version_is_the_packages(tfft):
    from tfft import __version__

    assert tfft("--version").stdout == f"tfft, version {__version__}\n"
