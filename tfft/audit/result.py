"""What an audit found: as an object, as text, as JSON, as a CSV file and as a page."""

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfft.audit.class_pairs import ClassPair
from tfft.audit.findings import KINDS, Finding
from tfft.data.dataset import BadImage
from tfft.data.index import ImageIndex
from tfft.images.pixels import encoded_to_pixels
from tfft.images.spec import PixelSpec
from tfft.metrics.intervals import Interval
from tfft.reports.names import display_names
from tfft.reports.page import page
from tfft.reports.photos import data_uri
from tfft.system.files import atomic_path, write_text
from tfft.system.printable import printable, printable_name
from tfft.system.readable import Readable, counted, interval_text
from tfft.version import __version__

_COLUMNS = ("path", "label", "suggested", "probability", "reason")
# Findings that are named where an audit is printed, and shown in a notebook; the object has all.
_PRINTED, _IN_A_CELL = 5, 12
# Findings of a kind that a page shows, with their photos.
_LABELS_ON_A_PAGE, _ON_A_PAGE = 60, 24
_PAIRS_ON_A_PAGE = 20


@dataclass(frozen=True)
class Shown:
    """A finding as a page shows it.

    Attributes:
        finding: The finding.
        path: Name of the image, as it can be shown.
        label: Name of its class, as it is shown.
        suggested: Name of the suggested class, as it is shown; "" if there is none.
        photo: The image as a data URI.
        other: Of a copy, the name of the image that it is a copy of; "" otherwise.
        other_photo: That image as a data URI; "" if there is none.
        other_place: Its split and label.
    """

    finding: Finding
    path: str
    label: str
    suggested: str
    photo: str
    other: str = ""
    other_photo: str = ""
    other_place: str = ""


@dataclass(frozen=True, eq=False, repr=False)
class Audit(Readable):
    """What an audit of N images found.

    Every image was answered by a head that was solved without it, its copies and its group, and,
    in `probabilities`, without images whose labels are likely wrong.

    Attributes:
        name: Name of the set.
        head: Name of the head whose labels were audited.
        index: All images; `index.ids` are their names, `index.read` returns their bytes.
        splits: Split of each image: ``train``, ``validation``, ``test`` or ``unused``.
        class_names: Names of the classes.
        labels: Class that each image is labelled with, int64 [N].
        probabilities: Out-of-fold answers, float32 [N, classes].
        folds: Fold in which each image was answered, int64 [N].
        top1: Accuracy by cross-validation, of heads that were solved on the labels as they are and
            are judged by them, 0..1.
        top1_interval: Its 95 % interval.
        expected_wrong_labels: Estimated number of wrong labels, found or not.
        findings: What looks wrong, in the order in which it is worth looking at.
        hardly_told_apart: Pairs of classes that the images hardly tell apart, the worst first.
        skipped: Files that are no usable images.
        notes: Remarks about the set.
        pixels: Pixels that the model takes.
    """

    name: str
    head: str
    index: ImageIndex
    splits: tuple[str, ...]
    class_names: tuple[str, ...]
    labels: np.ndarray
    probabilities: np.ndarray
    folds: np.ndarray
    top1: float
    top1_interval: Interval
    expected_wrong_labels: float
    findings: tuple[Finding, ...]
    hardly_told_apart: tuple[ClassPair, ...]
    skipped: tuple[BadImage, ...]
    notes: tuple[str, ...]
    pixels: PixelSpec

    @property
    def counts(self) -> dict[str, int]:
        """The number of findings by kind, in the order of the list; kinds without one are there."""
        found = Counter(finding.kind for finding in self.findings)
        return {kind: found[kind] for kind in KINDS}

    def lines(self) -> list[str]:
        more = len(self.findings) - _PRINTED
        return [
            *self._summary(),
            *(f"{finding.path}: {finding.reason}" for finding in self.findings[:_PRINTED]),
            *([f"and {more:,} more"] if more > 0 else []),
            *self.notes,
        ]

    def _summary(self) -> list[str]:
        counts = ", ".join(f"{KINDS[kind]}: {n:,}" for kind, n in self.counts.items() if n)
        return [
            f"{self.name}: {counted(len(self.labels), 'image')}, "
            f"{counted(len(self.findings), 'finding')}",
            *([counts] if counts else []),
            f"accuracy by cross-validation: {self.top1:.3f}{interval_text(self.top1_interval)}",
            *(pair.text for pair in self.hardly_told_apart[:_PRINTED]),
        ]

    def to_json(self) -> dict[str, Any]:
        """Returns what ``tfft data audit --json`` prints, but for the files that it wrote."""
        return {
            "name": self.name,
            "head": self.head,
            "images": dict(Counter(self.splits)),
            "classes": len(self.class_names),
            "folds": len(np.unique(self.folds)),
            "top1": round(self.top1, 6),
            "top1_interval": [round(end, 6) for end in self.top1_interval],
            "expected_wrong_labels": round(self.expected_wrong_labels, 1),
            "counts": self.counts,
            "findings": [finding.to_json() for finding in self.findings],
            "hardly_told_apart": [pair.to_json() for pair in self.hardly_told_apart],
            "skipped": [{"path": bad.path, "reason": bad.reason} for bad in self.skipped],
            "notes": list(self.notes),
        }

    def write_csv(self, path: str | Path) -> None:
        """Writes the findings as a CSV file: path, label, suggested, probability, reason.

        Args:
            path: The file to write; one that is there is replaced.

        Raises:
            TfftError: The disk is full, or `path` cannot be written to.
        """
        with (
            atomic_path(Path(path)) as temporary,
            temporary.open("w", encoding="utf-8", errors="surrogateescape", newline="") as stream,
        ):
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(_COLUMNS)
            for found in self.findings:
                probability = f"{found.probability:.4f}"
                writer.writerow(
                    (found.path, found.label, found.suggested, probability, found.reason)
                )

    def write_page(self, path: str | Path) -> None:
        """Writes the findings with their photos as one HTML file that needs no other.

        Args:
            path: The file to write; one that is there is replaced.

        Raises:
            DataError: A photo cannot be read any more.
            TfftError: The disk is full, or `path` cannot be written to.
        """
        write_text(Path(path), page("audit.html", self._values()))

    def _repr_html_(self) -> str:
        shown = self._shown(self.findings[:_IN_A_CELL])
        lines = [printable(line) for line in (*self._summary(), *self.notes)]
        return page("audit_cell.html", {"lines": lines, "shown": shown})

    def _values(self) -> dict[str, Any]:
        """Returns the values of the variables in ``templates/audit.html``."""
        found = {
            kind: [finding for finding in self.findings if finding.kind == kind] for kind in KINDS
        }
        most = dict.fromkeys(KINDS, _ON_A_PAGE) | {"wrong_label": _LABELS_ON_A_PAGE}
        return {
            "name": printable_name(self.name),
            "images": Counter(self.splits),
            "classes": len(self.class_names),
            "folds": len(np.unique(self.folds)),
            "top1": self.top1,
            "interval": self.top1_interval,
            "expected_wrong_labels": self.expected_wrong_labels,
            "counts": self.counts,
            "findings": len(self.findings),
            "shown": {kind: self._shown(of[: most[kind]]) for kind, of in found.items()},
            "pairs": self.hardly_told_apart[:_PAIRS_ON_A_PAGE],
            "skipped": [(printable_name(bad.path), bad.reason) for bad in self.skipped],
            "notes": [printable(note) for note in self.notes],
            "size": f"{self.pixels.width} by {self.pixels.height}",
            "version": __version__,
        }

    def _shown(self, findings: Sequence[Finding]) -> list[Shown]:
        names = dict(zip(self.class_names, display_names(self.class_names), strict=True))
        place = {name: position for position, name in enumerate(self.index.ids)}
        shown = []
        for finding in findings:
            values = {"other": "", "other_photo": "", "other_place": ""}
            if finding.like:
                other = place[finding.like[0]]
                label = names[self.class_names[self.labels[other]]]
                values = {
                    "other": printable_name(finding.like[0]),
                    "other_photo": self._photo(other),
                    "other_place": f"{self.splits[other]}, {label}",
                }
            shown.append(
                Shown(
                    finding,
                    printable_name(finding.path),
                    names[finding.label],
                    names.get(finding.suggested, ""),
                    self._photo(finding.position),
                    **values,
                )
            )
        return shown

    def _photo(self, position: int) -> str:
        box = None if self.index.boxes is None else self.index.boxes[position]
        return data_uri(encoded_to_pixels(self.index.read(position), self.pixels, box))
