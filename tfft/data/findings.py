"""What the splits of a data set show: equal images, unequal classes, untested classes."""

from collections.abc import Mapping
from typing import Any

from tfft.data.index import ImageIndex


def duplicates(splits: Mapping[str, ImageIndex]) -> tuple[tuple[tuple[str, str], ...], ...]:
    """Returns the images that occur more than once, byte for byte.

    Args:
        splits: Images by split, with their digests.

    Returns:
        For each such image, the (split, name) of all its occurrences.
    """
    places: dict[bytes, list[tuple[str, str]]] = {}
    for split, index in splits.items():
        digests = () if index.digests is None else index.digests
        for name, digest in zip(index.ids, digests, strict=True):
            places.setdefault(digest.tobytes(), []).append((split, name))
    return tuple(tuple(found) for found in places.values() if len(found) > 1)


def class_sizes(counts: Mapping[str, Mapping[str, int]]) -> dict[str, Any] | None:
    """Returns how unequal classes are.

    Args:
        counts: Number of images by split and class.

    Returns:
        ``smallest`` and ``largest``, each with ``name`` and ``images`` in all splits together, and
        ``ratio`` of the two numbers, which is None where the smallest has no image. None where
        there are not two classes: the images have other targets.
    """
    total: dict[str, int] = {}
    for classes in counts.values():
        for name, count in classes.items():
            total[name] = total.get(name, 0) + count
    if len(total) < 2:
        return None
    smallest, largest = (extreme(total, key=total.__getitem__) for extreme in (min, max))
    ratio = round(total[largest] / total[smallest], 2) if total[smallest] else None
    return {
        "smallest": {"name": smallest, "images": total[smallest]},
        "largest": {"name": largest, "images": total[largest]},
        "ratio": ratio,
    }


def untested(counts: Mapping[str, Mapping[str, int]]) -> tuple[str, ...]:
    """Returns the classes without a test image, where there are test images at all.

    Args:
        counts: Number of images by split and class.
    """
    return tuple(name for name, count in counts.get("test", {}).items() if not count)


def gap_notes(counts: Mapping[str, Mapping[str, int]]) -> tuple[str, ...]:
    """Says which classes cannot be learnt, or not be measured, for want of images.

    Args:
        counts: Number of images by split and class.
    """
    unlearnt = [name for name, count in counts.get("train", {}).items() if not count]
    missing = {
        "no training image of: {}": unlearnt,
        "no test image of: {}": untested(counts),
    }
    named = {
        text: ", ".join(names) if len(names) < 4 else f"{len(names):,} classes, such as {names[0]}"
        for text, names in missing.items()
        if names
    }
    return tuple(text.format(names) for text, names in named.items())


def copy_notes(splits: Mapping[str, ImageIndex]) -> tuple[str, ...]:
    """Says how many images occur more than once, byte for byte, and in more than one split."""
    found = duplicates(splits)
    return ((f"images that occur more than once: {len(found):,}",) if found else ()) + leak_notes(
        splits
    )


def leak_notes(splits: Mapping[str, ImageIndex]) -> tuple[str, ...]:
    """Says how many images are in more than one split: those that the images came with."""
    across = [found for found in duplicates(splits) if len({split for split, _ in found}) > 1]
    if not across:
        return ()
    places = " and ".join(f"{split}: {name}" for split, name in across[0][:2])
    return (
        f"images in more than one split, which flatters the metrics: {len(across):,}, such as "
        f"{places}",
    )
