"""Damaged files: whatever a library raises about one becomes one error that names the file."""

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from tfft.errors import TfftError, shortened
from tfft.system.listing import special_file

# What a library raises by mistake on bytes that it did not expect: its text is about its own code.
_STUMBLES = (AttributeError, TypeError, LookupError, AssertionError, RecursionError, SyntaxError)
_LONGEST = 200
_OF_WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


@contextlib.contextmanager
def reading(
    source: str | Path, what: str, *, advice: str = "", error: type[TfftError] = TfftError
) -> Iterator[None]:
    """Turns whatever a library raises while it reads a file into one error that names the file.

    Readers raise almost any exception on bytes that no writer would have written. Only the call of
    the library belongs inside: a fault of tfft's own code must keep its traceback.

    Args:
        source: File or address that is read, for the message.
        what: What it should be, such as "a JSON file".
        advice: Sentence that says what to do.
        error: Type of the error that is raised.

    Raises:
        TfftError: The file cannot be read, is a pipe or a device, is damaged, or is something else;
            of the type `error`.
        OSError: A disk is full or cannot be written to.
    """
    if special := special_file(source):
        text = f"cannot read {source}: {special}"
        raise error(f"{text}. {advice}" if advice else text)
    try:
        yield
    except TfftError:
        raise
    except OSError as found:
        if found.errno in _OF_WRITING:  # what is read is written elsewhere at the same time
            raise
        if found.strerror is None or not found.errno:  # raised by a library about the content
            raise error(_sentences(source, what, found, advice)) from found
        text = f"cannot read {source}: {found.strerror}"
        raise error(f"{text}. {advice}" if advice else text) from found
    except Exception as found:
        raise error(_sentences(source, what, found, advice)) from found


def reason(error: BaseException) -> str:
    """Returns the first line of what a library says about a file, "" where it says nothing."""
    text = "" if isinstance(error, _STUMBLES) else str(error).strip()
    return shortened(text.splitlines()[0].strip(), _LONGEST) if text else ""


def _sentences(source: str | Path, what: str, error: BaseException, advice: str) -> str:
    because = reason(error).rstrip(".:")
    statement = f"{source} is damaged, or is not {what}" + (f": {because}" if because else "")
    return f"{statement}. {advice}" if advice else statement
