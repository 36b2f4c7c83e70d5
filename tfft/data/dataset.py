"""What a source holds, what is loaded from it, and what a check of it found."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tfft.data.findings import class_sizes, untested
from tfft.data.index import ImageIndex
from tfft.system.readable import Readable, by_name, counted

SPLITS = ("train", "validation", "test")
# Files that are named where a result is printed; the object has them all.
_SHOWN = 5


@dataclass(frozen=True)
class BadImage:
    """A file that is not used, and why.

    Attributes:
        path: Name of the file.
        reason: What is wrong with it.
    """

    path: str
    reason: str


@dataclass(frozen=True)
class Changes:
    """How the images of a source differ from those that a model was trained and measured on.

    Attributes:
        new: Names of images that were not there.
        gone: Names of images that are not there any more.
        changed: Names of images whose content is another one.
    """

    new: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Returns a line for each kind of change that there is."""
        texts = {
            "new since the training, not counted": self.new,
            "gone since the training": self.gone,
            "changed since the training, not counted": self.changed,
        }
        return [
            f"{counted(len(names), 'image')} {text}: {', '.join(shown(names))}"
            for text, names in texts.items()
            if names
        ]


@dataclass(frozen=True, eq=False)
class Source:
    """Everything that a source of images holds, before it is scanned and split.

    Attributes:
        name: Name of the set in messages and in saved models.
        index: All images, whatever their split.
        splits: str [N], the source's own split of each image, one of `SPLITS`.
        class_names: Names of the classes, in the order of their numbers.
        other_names: Names of the classes or labels of other targets, in order.
        groups: N names of what each image belongs to, such as a patient, "" for none; None where
            the source names no groups.
        licence: What the source says about its licence; None if nothing.
        notes: Remarks for a person, such as what was ignored.
        unreadable: What lies among the images and is no file that could be opened.
    """

    name: str
    index: ImageIndex
    splits: np.ndarray
    class_names: tuple[str, ...]
    other_names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    groups: tuple[str, ...] | None = None
    licence: str | None = None
    notes: tuple[str, ...] = ()
    unreadable: tuple[BadImage, ...] = ()

    def take(self, positions: np.ndarray) -> "Source":
        """Returns the source with the images at `positions` only, in that order."""
        groups = self.groups
        return replace(
            self,
            index=self.index.take(positions),
            splits=self.splits[positions],
            groups=None if groups is None else tuple(groups[k] for k in positions.tolist()),
        )


@dataclass(frozen=True, eq=False, repr=False)
class ImageData(Readable):
    """Images that were all decoded once, in their splits.

    Attributes:
        name: Name of the set.
        splits: Images by split, ``"train"``, ``"validation"`` or ``"test"``, without empty ones.
        class_names: Names of the values of each target: ``{"label": ("cat", "dog")}``.
        skipped: Files that are left out because the configuration allows it.
        licence: What the source says about its licence; None if nothing.
        notes: Remarks for a person, such as what was ignored; like ones are one.
        unused: Training images that `data.fraction` or `data.limit_per_class` leave out; None if
            they leave out none.
        removed: Images that `data.labels` removes; None if it removes none.
        relabelled: Number of images to which `data.labels` gives another label than they came
            with; None without such a file.
        changes: How the images differ from those that a run was made with, where they are split as
            the run remembers; None elsewhere.
        groups: What each image belongs to, such as a patient, by its name, "" for nothing; empty
            where the recipe names no groups.
    """

    name: str
    splits: dict[str, ImageIndex]
    class_names: dict[str, tuple[str, ...]]
    skipped: tuple[BadImage, ...] = ()
    licence: str | None = None
    notes: tuple[str, ...] = ()
    unused: ImageIndex | None = None
    removed: ImageIndex | None = None
    relabelled: int | None = None
    changes: Changes | None = None
    groups: Mapping[str, str] = field(default_factory=dict)

    @property
    def counts(self) -> dict[str, int]:
        """The number of images by split; "validation" is always among them."""
        return {"validation": 0, **{split: len(index) for split, index in self.splits.items()}}

    def fingerprint(self) -> str:
        """Returns a sha256 of the images, their targets and their splits."""
        parts = {split: index.fingerprint() for split, index in self.splits.items()}
        text = json.dumps([self.name, self.class_names, parts], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def lines(self) -> list[str]:
        images = sum(self.counts.values())
        return [
            f"{self.name}: {counted(images, 'image')}, {len(self.class_names['label'])} classes",
            by_name(self.counts),
            *shown([f"skipped {image.path}: {image.reason}" for image in self.skipped]),
            *self.notes,
        ]

    def to_json(self) -> dict[str, object]:
        """Returns what a run keeps of the images it was trained on."""
        labels = {"relabelled": self.relabelled, "removed": len(self.removed or ())}
        return {
            "name": self.name,
            "fingerprint": self.fingerprint(),
            "images": self.counts,
            "skipped": [{"path": bad.path, "reason": bad.reason} for bad in self.skipped],
            "notes": list(self.notes),
            **({} if self.relabelled is None else {"labels": labels}),
        }


@dataclass(frozen=True, repr=False)
class DataReport(Readable):
    """What `tfft data check` found.

    Attributes:
        name: Name of the set.
        counts: Number of usable images by split and class.
        bad: Files that are no usable images.
        conflicts: Images that lie under two labels, byte for byte the same.
        notes: Remarks for a person, such as what was ignored; like ones are one.
        formats: Number of images by format.
        duplicates: For each image that occurs more than once, byte for byte, the (split, path) of
            its occurrences.
        corrupt: Images whose data are corrupt but can be decoded; they are among `bad` too unless
            the configuration lets them pass.
    """

    name: str
    counts: dict[str, dict[str, int]]
    bad: tuple[BadImage, ...]
    conflicts: tuple[BadImage, ...] = ()
    notes: tuple[str, ...] = ()
    formats: dict[str, int] = field(default_factory=dict)
    duplicates: tuple[tuple[tuple[str, str], ...], ...] = ()
    corrupt: tuple[BadImage, ...] = ()

    @property
    def untested(self) -> tuple[str, ...]:
        """Names of the classes without a test image, where there are test images at all."""
        return untested(self.counts)

    def duplicate_lines(self) -> list[str]:
        """Returns a line for each image that occurs more than once: where it does."""
        places = ([f"{path} ({split})" for split, path in found] for found in self.duplicates)
        return [f"the same image: {', '.join(each)}" for each in places]

    def size_lines(self) -> list[str]:
        """Returns a line that says how unequal the classes are; none where there are not two."""
        if (sizes := class_sizes(self.counts)) is None:
            return []
        least, most, ratio = sizes["smallest"], sizes["largest"], sizes["ratio"]
        if ratio == 1:
            return [f"{counted(least['images'], 'image')} in each class"]
        times = f", {ratio:g} times as many" if ratio else ""
        return [
            f"{least['images']:,} ({least['name']}) to {most['images']:,} ({most['name']}) images "
            f"a class{times}"
        ]

    def lines(self) -> list[str]:
        counts = {split: sum(classes.values()) for split, classes in self.counts.items()}
        wrong = (*self.bad, *self.conflicts)
        return [
            f"{self.name}: {counted(sum(counts.values()), 'image')}, "
            f"{counted(len(self.bad), 'bad file')}, {len(self.conflicts):,} under two labels",
            f"{by_name(counts)}; {by_name(self.formats)}",
            *shown([f"{image.path}: {image.reason}" for image in wrong]),
            *shown(self.duplicate_lines()),
            *self.size_lines(),
            *self.notes,
        ]

    def to_json(self) -> dict[str, Any]:
        """Returns the report as JSON values."""
        return {
            "name": self.name,
            "images": sum(sum(counts.values()) for counts in self.counts.values()),
            "counts": self.counts,
            "formats": self.formats,
            "bad": [{"path": image.path, "reason": image.reason} for image in self.bad],
            "conflicts": [{"path": image.path, "reason": image.reason} for image in self.conflicts],
            "duplicates": [
                [{"split": split, "path": path} for split, path in found]
                for found in self.duplicates
            ],
            "class_sizes": class_sizes(self.counts),
            "untested": list(self.untested),
            "corrupt": [{"path": image.path, "reason": image.reason} for image in self.corrupt],
            "notes": list(self.notes),
        }


def shown(lines: Sequence[str]) -> list[str]:
    """Returns the first few lines, and how many more there are."""
    more = [f"and {len(lines) - _SHOWN:,} more"] if len(lines) > _SHOWN else []
    return [*lines[:_SHOWN], *more]
