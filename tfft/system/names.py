"""The rule for names that become directories, files, heads or outputs of a model."""

import re

from tfft.errors import UsageError

NAME_PATTERN = "[A-Za-z][A-Za-z0-9_-]{0,63}"
# The output of a model that is of no head: how unlike its training data an example is. No head may
# have this name.
UNLIKENESS = "unlikeness"


def is_name(text: str) -> bool:
    """Says if a text may be a name."""
    return re.fullmatch(NAME_PATTERN, text) is not None


def require_name(text: str) -> str:
    """Returns a name that `--name` gives.

    Raises:
        UsageError: The text may not be a name.
    """
    if not is_name(text):
        raise UsageError(
            "a name has up to 64 letters, digits, _ and -, the first one a letter: it becomes a "
            f"directory. Received: --name {text!r}"
        )
    return text
