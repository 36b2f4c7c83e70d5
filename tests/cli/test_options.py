"""What options take, whichever command they are of."""

from pathlib import Path
from typing import Any

import click
import pytest

from tfft.cli import main as command_line
from tfft.cli.options import Number, PathType
from tfft.config.loading.load import load_recipe
from tfft.errors import UsageError


def _commands(group: click.Group) -> list[click.Command]:
    context = click.Context(group)
    made = [group.get_command(context, name) for name in group.list_commands(context)]
    return [
        leaf
        for command in made
        for leaf in (_commands(command) if isinstance(command, click.Group) else [command])
        if leaf is not None
    ]


def test_every_path_of_every_command_may_begin_with_a_tilde():
    types = [p.type for command in _commands(command_line.cli) for p in command.params]
    paths = [type_ for type_ in types if isinstance(type_, click.Path)]
    assert len(paths) > 15
    assert {type(path) for path in paths} == {PathType}


def test_every_number_of_every_command_is_finite(capsys: pytest.CaptureFixture[str]):
    types = [p.type for command in _commands(command_line.cli) for p in command.params]
    numbers = [type_ for type_ in types if isinstance(type_, click.types.FloatParamType)]
    assert len(numbers) > 8
    assert {type(number) for number in numbers} == {Number}
    for text in ("nan", "inf", "1e999"):
        assert command_line.run(["evaluate", "gone", "--min-top1", text]) == 2
        assert command_line.run(["predict", "gone", "a.jpg", "--timeout", text]) == 2
    assert "'--timeout': nan is not a finite number." in capsys.readouterr().err


def test_an_option_with_an_equals_sign_means_the_home_directory_by_a_tilde(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "mine").touch()
    given: dict[str, Any] = {}
    monkeypatch.setattr("tfft.train", lambda recipe, **options: given.update(options) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        command_line.run(["train", "classifier", "--data=~/photos", "--run=~/run"])
    assert (given["data"], given["run"]) == (tmp_path / "photos", tmp_path / "run")


def test_a_path_of_a_recipe_may_begin_with_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    loaded = load_recipe("classifier", overrides=["data.path=~/photos"])
    assert loaded.data.model_dump()["path"] == tmp_path / "photos"
    own = ["backbone={kind: keras, path: ~/own.keras, input_range: [0, 1]}"]
    loaded = load_recipe("classifier", data=tmp_path, overrides=own)
    assert loaded.backbone.model_dump()["path"] == str(tmp_path / "own.keras")


def test_a_home_directory_that_is_not_known_is_no_traceback(tmp_path: Path):
    with pytest.raises(UsageError, match="~nobody-of-this-name"):
        load_recipe("~nobody-of-this-name/recipe.yaml")


def test_every_command_that_loads_a_model_can_allow_what_its_graph_does():
    loading = [
        command
        for command in _commands(command_line.cli)
        for parameter in command.params
        if isinstance(parameter, click.Argument) and parameter.name in ("run", "model", "models")
    ]
    missing = [c.name for c in loading if "allow_ops" not in {p.name for p in c.params}]
    assert len(loading) >= 7
    assert missing == []
