"""Class names and shares as text for people."""

import re
from collections.abc import Sequence

_WORDNET = re.compile(r"n\d{8}-(?=.)")


def display_names(class_names: Sequence[str]) -> tuple[str, ...]:
    """Returns the names to show, without the WordNet numbers that all of them may begin with.

    ``n02085936-maltese_dog`` is shown as ``maltese dog``, unless two classes would then have the
    same name.
    """
    if not class_names or not all(_WORDNET.match(name) for name in class_names):
        return tuple(class_names)
    shown = tuple(_WORDNET.sub("", name, count=1).replace("_", " ") for name in class_names)
    return shown if len(set(shown)) == len(shown) else tuple(class_names)


def percent(share: float | None) -> str:
    """Returns a share of 0..1 as ``97.2 %``, with a space that does not break over two lines."""
    return "" if share is None else f"{100 * share:.1f}\N{NO-BREAK SPACE}%"
