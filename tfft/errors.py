"""The error family of tfft.

Every error that a user can cause is a `TfftError`: the command line prints its message without a
traceback and exits with its `exit_code`. Anything else that is raised is a bug and keeps its
traceback.

A message says what is wrong, where, what is allowed or what to do, and ends with
``Received: …`` where a value was given.
"""

import difflib
from collections.abc import Iterable, Mapping

_LONGEST_NAME = 200


class TfftError(Exception):
    """Something failed that the user can understand and act on (exit code 1)."""

    exit_code = 1


class UsageError(TfftError):
    """The command line is wrong, or names something that is not there (exit code 2)."""

    exit_code = 2


class RecipeError(UsageError):
    """A recipe is wrong. Its message lists every fault, a line each (exit code 2)."""


class TfftWarning(UserWarning):
    """Something is not as a user may expect, and the work goes on; the message says what to do."""


class RecipeWarning(TfftWarning):
    """Something in a recipe is read in another way than it was written; the message says how."""


class DataError(UsageError):
    """The data are not what the recipe says, or a file of them is unusable (exit code 2)."""


class UnreadableImagesError(DataError):
    """Some images of a batch cannot be read.

    Attributes:
        reasons: why, by position in the batch.
    """

    def __init__(self, reasons: Mapping[int, str]) -> None:
        super().__init__(next(iter(reasons.values())))
        self.reasons = dict(reasons)


class NotFiniteError(TfftError):
    """A loss or a weight is NaN or infinite, so that training cannot go on (exit code 1)."""


class ServerError(TfftError):
    """A server did not answer in time, or not what was asked (exit code 1)."""


class BackboneError(UsageError):
    """A backbone cannot be built as asked, or its weights cannot be found (exit code 2)."""


class ModelFileError(UsageError):
    """A MODEL is not there, or is not one that tfft wrote or can read (exit code 2)."""


class NewerFormatError(UsageError):
    """A file is of a newer format than this version of tfft reads (exit code 2)."""


class GateError(TfftError):
    """A quality gate was not met: accuracy or parity (exit code 3).

    Attributes:
        result: what did pass, for a command that makes several things; or None.
    """

    exit_code = 3

    def __init__(self, message: str, result: object = None) -> None:
        super().__init__(message)
        self.result = result


def shortened(text: str, most: int = 80) -> str:
    """Returns a text of `most` characters, with … at its end where there were more."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def nearest(name: str, allowed: Iterable[str], cutoff: float = 0.6) -> str:
    """Returns ``" Did you mean 'x'?"`` for the valid spelling nearest to `name`, or ``""``.

    Args:
        name: What was written.
        allowed: Valid spellings.
        cutoff: Share of the letters that must agree, in 0..1, as `difflib` counts them.
    """
    if len(name) > _LONGEST_NAME:  # no slip of the fingers, and slow to compare
        return ""
    by_folded_name = {candidate.lower(): candidate for candidate in allowed}
    found = difflib.get_close_matches(name.lower(), by_folded_name, n=1, cutoff=cutoff)
    return f" Did you mean {by_folded_name[found[0]]!r}?" if found else ""
