"""Writes docs/cli.md from the commands themselves. Run by `make docs`."""

from collections.abc import Iterator
from pathlib import Path

import click

from tfft.cli.main import cli

TARGET = Path(__file__).with_name("cli.md")
HEADER = "# Commands\nGenerated from the code by `make docs`.\n"


def main() -> None:
    """Writes the page."""
    TARGET.write_text(page(), encoding="utf-8")


def page() -> str:
    """Returns the page: the help of every command, in the order of `tfft --help`."""
    sections = [
        f"## {name}\n```text\n{text.rstrip()}\n```\n" for name, text in _helps(cli, "tfft", None)
    ]
    return "\n".join([HEADER, *sections])


def _helps(
    command: click.Command, name: str, parent: click.Context | None
) -> Iterator[tuple[str, str]]:
    context = click.Context(command, info_name=name, parent=parent, **command.context_settings)
    context.max_content_width = context.terminal_width = 100
    yield context.command_path, command.get_help(context)
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            if found is not None:
                yield from _helps(found, child, context)


if __name__ == "__main__":
    main()
