"""What splits are called by those who make data sets."""

import re

_WORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val"),
    "test": ("test", "testing"),
}
_ENDINGS = ("", "set", "data", "images", "split")
_SPLITS = {
    word + ending: split for split, words in _WORDS.items() for word in words for ending in _ENDINGS
}
# What words of a name are kept apart by.
_BETWEEN = re.compile(r"[\s_.-]+")


def split_called(name: str) -> str | None:
    """Returns the split that a name stands for, None if it is the name of none.

    Case does not matter: ``Training``, ``valid``, ``test_set`` and ``val-images`` stand for splits.
    """
    return _SPLITS.get(_BETWEEN.sub("", name).lower())


def split_within(name: str) -> str | None:
    """Returns the split that a word of a name stands for, as in ``seg_train``, or None."""
    found = (split_called(word) for word in _BETWEEN.split(name))
    return next((split for split in found if split), None)
