"""What the documents say is there, is there."""

import json
import re
import runpy
import shlex
from pathlib import Path

import click
import pytest

import tfft
from tfft.cli.main import cli

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TALLIES = json.loads((ROOT / "tests" / "faults" / "tallies.json").read_text(encoding="utf-8"))
GENERATED = ("cli.md", "python.md", "recipes.md", "reliability.md")
WRITTEN_PAGES = [page for page in PAGES if page.name not in GENERATED]


def commands_in(page: Path) -> list[str]:
    """The `tfft …` lines of the fenced blocks of a page."""
    blocks = re.findall(r"```(?:text|sh)\n(.*?)```", page.read_text(encoding="utf-8"), re.S)
    lines = [line.partition("  #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line.removeprefix("$ ") for line in lines if re.match(r"(\$ )?tfft [a-z]", line)]


def parse(command: click.Command, arguments: list[str], path: str) -> None:
    """Parses arguments as the command line does, without running the command.

    Raises:
        click.UsageError: There is no such command or option.
    """
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=path)
        name, found, others = command.resolve_command(context, arguments)
        assert found is not None, name
        parse(found, others, f"{path} {name}")
    else:
        command.make_context(path, arguments)


def test_the_page_of_commands_is_what_the_commands_say():
    generator = runpy.run_path(str(ROOT / "docs" / "generate_cli.py"))
    written = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert written == generator["page"](), "run `make docs`"


def test_the_page_of_the_python_interface_is_what_the_functions_say():
    generator = runpy.run_path(str(ROOT / "docs" / "generate_python.py"))
    written = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    assert written == generator["page"](), "run `make docs`"
    named = set(re.findall(r"^### tfft\.(\w+)$", written, re.M))
    assert named == set(tfft.__all__) - {"__version__"}


def test_the_page_of_reliability_is_what_the_tests_of_faults_counted():
    generator = runpy.run_path(str(ROOT / "docs" / "generate_reliability.py"))
    written = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    assert written == generator["page"](), "run `make docs`"


@pytest.mark.parametrize("row", TALLIES, ids=lambda row: row["promise"][:40])
def test_what_a_promise_was_tried_with_is_there_and_every_time_it_held(row):
    file, _, name = row["test"].partition("::")
    assert f"def {name.partition('[')[0]}(" in (ROOT / file).read_text(encoding="utf-8")
    assert 0 < row["held"] == row["tried"]


@pytest.mark.parametrize("page", WRITTEN_PAGES, ids=lambda page: page.name)
def test_commands_in_the_documents_exist(page):
    for line in commands_in(page):
        parse(cli, shlex.split(line.replace("…", ""))[1:], "tfft")


def test_the_readme_shows_the_main_commands():
    shown = {line.split()[1] for line in commands_in(ROOT / "README.md")}
    assert {"train", "evaluate", "export", "predict", "data", "backbones"} <= shown


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_documents_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.S)
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (page.parent / target).exists(), target


def test_make_targets_in_the_documents_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    for page in PAGES:
        named = set(re.findall(r"`make ([a-z-]+)`", page.read_text(encoding="utf-8")))
        assert named <= targets, page


def test_the_files_that_the_page_of_the_tests_lists_exist():
    tests = ROOT / "tests"
    named = re.findall(r"^\| `([\w/]+\.py)` \|", (tests / "README.md").read_text(), re.M)
    assert len(named) > 40
    assert [name for name in named if not (tests / name).is_file()] == []


def test_bundled_recipes_that_the_documents_name_exist():
    named = {
        line.split()[2]
        for page in WRITTEN_PAGES
        for line in commands_in(page)
        if re.match(r"tfft train [a-z_0-9]+(\s|$)", line)
    }
    assert named <= {path.stem for path in (ROOT / "configs").glob("*.yaml")}
