"""What a run keeps of a training that stops before its end, and what the user is told."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from tfft.errors import NotFiniteError, TfftError
from tfft.runs.run import Run, record
from tfft.system.disks import full_disk
from tfft.system.readable import command_text


@contextmanager
def recorded_if_stopped(
    run: Run,
    *,
    keep_best: Callable[[], bool] = lambda: False,
    has_weights: Callable[[], bool] = lambda: False,
) -> Iterator[None]:
    """Notes in the run why its training stopped, and says how to go on.

    Args:
        run: The run.
        keep_best: Function that writes the model of the best weights so far after an interrupt, and
            returns whether there are any.
        has_weights: Function that says whether any weights were saved.
    """
    try:
        yield
    except KeyboardInterrupt as interrupt:
        try:
            if keep_best():
                interrupt.add_note(
                    f"{run.path} has the best weights so far and can be used as it is."
                )
            record(run, status="interrupted")
        except TfftError as error:  # such as a full disk: it is resumed all the same
            interrupt.add_note(str(error))
        interrupt.add_note(f"Go on with: {command_text('train', '--resume', run.path)}")
        raise
    except NotFiniteError as error:
        record(run, status="not finite", error=str(error))
        if has_weights():
            advice = f"A model of the best weights before that: {finish_command(run)}"
            raise NotFiniteError(f"{error} {advice}") from error
        raise
    except TfftError as error:
        with suppress(TfftError):  # on a full disk this cannot be noted either
            record(run, status="failed", error=str(error))
        if error.__cause__ is not None and full_disk(error.__cause__):
            go_on = f"The run goes on with: {command_text('train', '--resume', run.path)}"
            raise TfftError(f"{error} {go_on}") from error
        raise


def finish_command(run: Run) -> str:
    """Returns the command that makes a model of the best weights so far."""
    return command_text("train", "--resume", run.path, "--finish")
