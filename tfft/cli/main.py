"""The command `tfft`: finds the command asked for, and turns errors into messages and exit codes.

Only click and the table below are imported until a command is chosen, so that help is instant.
"""

import contextlib
import errno
import importlib
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import click

from tfft import __version__
from tfft.cli.output import leave_stdout, say
from tfft.errors import TfftError, TfftWarning, UsageError, nearest, shortened
from tfft.system.own_process import claim_process
from tfft.system.printable import printable_name
from tfft.system.signals import Terminated, signals_interrupt

EXIT_INTERRUPTED = 130

# For each command the module of tfft.cli that has it as `command`, and its line in `tfft --help`.
COMMANDS = {
    "quickstart": ("quickstart", "Train, evaluate, export and predict, offline, in minutes."),
    "train": ("train", "Train a recipe, or resume a stopped run."),
    "lr-find": ("lr_find", "Find a learning rate: the loss while the rate rises."),
    "evaluate": ("evaluate", "Measure a model on a split of its data or on other data."),
    "calibrate": ("calibrate", "Fit the confidence of a run to its accuracy."),
    "compare": ("compare", "Compare ways of training: did transfer help, is the difference real?"),
    "tune": ("tune", "Search the values of a recipe on validation images."),
    "advise": ("advise", "Recommend a strategy for images, and write the recipe that follows it."),
    "export": ("export", "Write a run as SavedModel and TFLite, each checked against Keras."),
    "report": ("report", "Write a page about a run: metrics, mistakes, leaks, exports."),
    "publish": ("publish", "Put a SavedModel where a server looks for it, whole or not at all."),
    "serve-check": ("serve_check", "Compare a served model with its run."),
    "predict": ("predict", "Say what is in images."),
    "embed": ("embed", "Write the features of images to a file, for search and clusters."),
    "benchmark": ("benchmark", "Measure how fast models answer, cold and warm."),
    "data": ("data", "Prepare or check the data of a recipe."),
    "desk": ("desk", "Look at photos, mend their labels and train again, in a browser."),
    "probe": ("probe", "Measure how much of a backbone carries over to the data, by depth."),
    "cache": ("cache", "List and clean the cache of features."),
    "rank": ("rank", "Rank backbones on images, before anything is trained."),
    "backbones": ("backbones", "List, describe and check pretrained backbones."),
}


class LazyGroup(click.Group):
    """A group that imports a command's module when that command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _ = COMMANDS[cmd_name]
        return importlib.import_module(f"tfft.cli.{module}").command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-") and not ctx.resilient_parsing:
            raise click.UsageError(
                f"no command {name!r}.{nearest(name, COMMANDS)} Commands: {', '.join(COMMANDS)}.",
                ctx,
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="`tfft COMMAND --help` explains a command, with an example. Exit codes: 0 done, "
    "1 it failed, 2 the command line, the recipe or the data is wrong, 3 a quality gate was "
    "not met, 130 interrupted (143 by SIGTERM, 129 by SIGHUP).",
)
@click.version_option(__version__, "-V", "--version", prog_name="tfft")
def cli() -> None:
    """From a pretrained backbone to a deployed image classifier.

    \b
    Example:
      tfft train classifier --data photos/
      tfft evaluate runs/classifier
      tfft export runs/classifier
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and ends the process with its exit code."""
    for descriptor in range(3):  # a file that is opened must not be taken for a closed stream
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115 - for as long as the process
    claim_process()
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit code; a bug's exception passes through."""
    try:
        with signals_interrupt(), _shown_warnings():
            result = cli.main(arguments, prog_name="tfft", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.ClickException as error:
        context = error.ctx if isinstance(error, click.UsageError) else None
        say(f"tfft: {error.format_message()}")
        if context is not None:
            say(f"{context.get_usage()}\nMore: {context.command_path} --help")
        return error.exit_code
    except TfftError as error:
        say(f"tfft: {error}")
        return error.exit_code
    except (click.Abort, KeyboardInterrupt) as error:
        interrupt = error if isinstance(error, KeyboardInterrupt) else error.__cause__
        notes = getattr(interrupt, "__notes__", [])  # they say how to continue
        by = f" by {interrupt.name}" if isinstance(interrupt, Terminated) else ""
        say(f"tfft: stopped{by}.", *notes)
        return interrupt.exit_code if isinstance(interrupt, Terminated) else EXIT_INTERRUPTED
    except Exception as error:
        fault = _fault_of_system(error)
        if fault is None:
            raise
        say(f"tfft: {fault}")
        leave_stdout()
        return fault.exit_code
    return result if isinstance(result, int) else 0


def _fault_of_system(error: Exception) -> TfftError | None:
    """Returns the error for a path that was given or a full disk; None for a bug."""
    from tfft.system.disks import full_disk

    if message := full_disk(error):
        return TfftError(message)
    if not isinstance(error, OSError) or error.filename is None:
        return None
    name = printable_name(os.fsdecode(error.filename))
    if isinstance(error, PermissionError):  # on the way to a path that was given
        return UsageError(f"no permission to open {name}.")
    if error.errno == errno.ENAMETOOLONG:
        return UsageError(f"a path that was given is longer than any can be: {shortened(name)}")
    return None


@contextlib.contextmanager
def _shown_warnings() -> Iterator[None]:
    """Shows warnings of tfft as a line on stderr, once for each text."""
    shown: set[str] = set()

    with warnings.catch_warnings():
        show_other = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *where: Any) -> None:
            if not issubclass(category, TfftWarning):
                show_other(message, category, *where)
            elif str(message) not in shown:
                shown.add(str(message))
                say(f"tfft: {message}")

        warnings.showwarning = show
        warnings.simplefilter("always", TfftWarning)
        yield
