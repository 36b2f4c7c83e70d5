"""Images with the labels of a labels file in place of those that they came with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tfft.data.dataset import Source, shown
from tfft.data.labels_file import name_fault
from tfft.errors import DataError, nearest, shortened
from tfft.system.printable import printable_name
from tfft.system.readable import counted

# Share of the letters in which a new class that may be a slip agrees with one that was there.
_OF_A_SLIP = 0.8


@dataclass(frozen=True, eq=False)
class Relabelled:
    """The N images of a source with other labels.

    Attributes:
        source: The images with the labels that hold, those that are removed still among them.
        removed: bool [N], where an image is removed.
        changed: bool [N], where an image has another label than in the source.
        notes: Remarks for a person.
    """

    source: Source
    removed: np.ndarray
    changed: np.ndarray
    notes: tuple[str, ...]


def relabelled(source: Source, labels: Mapping[str, str], said: str) -> Relabelled:
    """Returns a source with other labels.

    Args:
        source: The images, with the labels that they came with.
        labels: Label by name of the image, "" for images that are removed.
        said: What the notes and errors call where the labels are from.

    Raises:
        DataError: No path is one of an image, a new class cannot be called so, or less than two
            classes are left.
    """
    names, old = source.class_names, source.index.targets["label"]
    known = set(source.index.ids) | {bad.path for bad in source.unreadable}
    # Rows of images that were removed and moved out of the directory say nothing of those in it.
    strangers = [
        image for image in labels if image not in known and (labels[image] or image[:3] != "../")
    ]
    if labels and len(strangers) == len(labels):
        raise DataError(
            f"{said}: none of its paths is one of the {counted(len(known), 'image')} of "
            f"{source.name}. A path is relative to the directory of images, such as "
            f"{source.index.ids[0]}; where images were renamed since, the rows must be too. "
            f"Received: {printable_name(strangers[0])}"
        )
    wanted = [labels.get(image, names[k]) for image, k in zip(source.index.ids, old, strict=True)]
    removed = np.array([not label for label in wanted], bool)
    used = {label for label in wanted if label}
    empty = {names[k] for k in set(range(len(names))) - set(old.tolist())}
    new = sorted(used.difference(names))
    _require_class_names(new, said)
    left = [name for name in names if name in used | empty]
    class_names = tuple(sorted([*left, *new]) if list(names) == sorted(names) else [*left, *new])
    if len(class_names) < 2:
        raise DataError(
            f"{said} leaves less than two classes with images: there is nothing to tell apart. "
            f"Left: {', '.join(class_names) or 'none'}"
        )
    numbers = {name: number for number, name in enumerate(class_names)}
    values = np.array([numbers.get(label, 0) for label in wanted], np.int64)
    changed = np.array([label != names[k] for label, k in zip(wanted, old, strict=True)], bool)
    changed &= ~removed
    gone = [bad for bad in source.unreadable if labels.get(bad.path) == ""]
    notes = [
        f"{said}: {counted(int(changed.sum()), 'image')} relabelled, "
        f"{int(removed.sum()) + len(gone):,} removed"
        + (f"; new: {', '.join(shown([_asked_about(name, names) for name in new]))}" if new else "")
    ]
    if lost := [name for name in names if name not in class_names]:
        notes.append(f"no image is left of: {', '.join(shown(lost))}")
    if strangers:
        notes.append(
            f"{said}: {counted(len(strangers), 'path')} of no image, such as "
            f"{printable_name(strangers[0])}"
        )
    return Relabelled(
        source=replace(
            source,
            index=replace(source.index, targets={**source.index.targets, "label": values}),
            class_names=class_names,
            unreadable=tuple(bad for bad in source.unreadable if bad not in gone),
        ),
        removed=removed,
        changed=changed,
        notes=tuple(notes),
    )


def _asked_about(new: str, names: Sequence[str]) -> str:
    """Returns the name of a new class, with a question where it may be a slip."""
    question = nearest(new, names, cutoff=_OF_A_SLIP).strip()
    return f"{new} ({question})" if question else new


def new_class_fault(name: str) -> str:
    """Returns why no class that is made can be called so, or ""."""
    if "/" in name or name.startswith(".") or name != name.strip():
        return (
            "no class can be called so; a name is that of a folder, without / and spaces at its "
            f"ends, and does not begin with a dot. Received: {shortened(printable_name(name))}"
        )
    return name_fault(name)


def _require_class_names(new: list[str], said: str) -> None:
    """Requires of classes that are made that they could be folders."""
    if faults := [fault for name in new if (fault := new_class_fault(name))]:
        raise DataError("\n".join(f"{said}: {fault}" for fault in shown(faults)))
