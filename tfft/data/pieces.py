"""What no cut may part: copies of an image, and images of one group."""

from collections.abc import Sequence

import numpy as np


def piece_names(digests: np.ndarray, groups: Sequence[str] | None = None) -> list[str]:
    """Returns the name of the piece that each image belongs to.

    Images with the same bytes are of one piece, and so are images of one group, and whatever hangs
    together by both. A piece is named after the first of its groups, or else after the bytes of its
    image, so that its name stays when images are added, unless one of them joins two groups.

    Args:
        digests: uint8 [N, 32], sha256 of each image's bytes.
        groups: N names of groups, "" for images of none; None if there are none at all.

    Returns:
        N names.
    """
    copies = [digest.tobytes().hex() for digest in digests]
    if groups is None:
        return copies
    parents: dict[str, str] = {}

    def root(name: str) -> str:
        while parents.setdefault(name, name) != name:
            parents[name] = name = parents[parents[name]]
        return name

    # Names of groups, which have a mark of their own, come before names of copies.
    marked = [f" {group}" if group else copy for group, copy in zip(groups, copies, strict=True)]
    for group, copy in zip(marked, copies, strict=True):
        first, second = sorted((root(group), root(copy)))
        parents[second] = first
    return [root(copy) for copy in copies]
