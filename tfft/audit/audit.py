"""Looks through all images of a set: what a person should look at, first things first."""

import csv
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfft.audit.class_pairs import ClassPair, hardly_told_apart
from tfft.audit.copies import Copies, find_copies, linked
from tfft.audit.findings import KINDS, Finding, Seen, copy_findings, label_findings, look_findings
from tfft.audit.label_errors import find_label_errors
from tfft.audit.out_of_fold import answer_out_of_fold, folds_of
from tfft.audit.outliers import neighbour_distances
from tfft.config.recipe import Recipe
from tfft.data.dataset import BadImage, ImageData
from tfft.data.examples import Images
from tfft.data.index import ImageIndex
from tfft.data.kept_splits import UNUSED, KeptSplits
from tfft.data.looks import looks_of
from tfft.data.pieces import piece_names
from tfft.errors import UsageError
from tfft.evaluation.data import together
from tfft.images.spec import PixelSpec
from tfft.metrics.intervals import Interval, wilson_interval
from tfft.system.files import atomic_path
from tfft.system.progress import SILENT, Progress
from tfft.system.readable import Readable, counted, interval_text
from tfft.transfer.description import load_of_recipe
from tfft.transfer.frozen.build import frozen_part
from tfft.transfer.prepare import Prepared, prepare_with

_COLUMNS = ("path", "label", "suggested", "probability", "reason")
# Findings that are named where an audit is printed; the object has them all.
_SHOWN = 5
# Flaws that an audit names instead of stopping there.
_PASSES = {"on_bad_image": "skip", "on_label_conflict": "warn", "on_corrupt_image": "warn"}


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
        hardly_told_apart: Pairs of classes that the images don't tell apart, the worst first.
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
        summary = ", ".join(
            f"{count:,} {KINDS[kind]}" for kind, count in self.counts.items() if count
        )
        more = [f"and {len(self.findings) - _SHOWN:,} more"] if len(self.findings) > _SHOWN else []
        return [
            f"{self.name}: {counted(len(self.labels), 'image')}, "
            f"{counted(len(self.findings), 'finding')}",
            *([summary] if summary else []),
            f"accuracy by cross-validation: {self.top1:.3f}{interval_text(self.top1_interval)}",
            *(pair.text for pair in self.hardly_told_apart[:_SHOWN]),
            *(f"{finding.path}: {finding.reason}" for finding in self.findings[:_SHOWN]),
            *more,
            *(f"skipped {bad.path}: {bad.reason}" for bad in self.skipped[:_SHOWN]),
            *self.notes,
        ]

    def to_json(self) -> dict[str, Any]:
        """Returns what ``tfft data audit --json`` prints, without the files that it wrote."""
        return {
            "name": self.name,
            "head": self.head,
            "images": dict(Counter(self.splits)),
            "classes": len(self.class_names),
            "folds": int(self.folds.max()) + 1,
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


def audit(
    recipe: Recipe,
    *,
    head: str | None = None,
    folds: int = 5,
    kept: KeptSplits | None = None,
    progress: Progress = SILENT,
) -> Audit:
    """Audits all images of a recipe.

    Features are those of the recipe's backbone as a training starts from it, from the cache where
    they are there. Files that cannot be used and equal images under two labels don't stop it.

    Args:
        recipe: Recipe with the images, their pixels and the backbone.
        head: Name of the head whose labels are audited; default: the first one that classifies.
        folds: Number of folds.
        kept: Splits that a run keeps; default: the images are split as the recipe says.
        progress: Where the work is reported.

    Raises:
        UsageError: There is no such head, or none that classifies.
        DataError: The images are not what the recipe says, or too few to be compared.
        BackboneError: The backbone or its weights cannot be found.
    """
    head = _head(recipe, head)
    recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update=_PASSES)})
    data = load_of_recipe(recipe, progress, kept)
    prepared = prepare_with(recipe, data, progress)
    parts = data.splits if data.unused is None else {**data.splits, UNUSED: data.unused}
    index = together(list(parts.values()))
    splits = tuple(split for split, part in parts.items() for _ in part.ids)
    target = recipe.heads[head].target
    labels, class_names = index.targets[target], data.class_names[target]
    features = _features(recipe, prepared, head, index, progress)
    looks = looks_of(index, progress)
    keys = index.keys()
    copies = find_copies(keys, looks)
    pieces = _pieces(data, index, copies, folds)
    number = folds_of(pieces, labels, keys, folds)
    answers = answer_out_of_fold(
        features, labels, number, classes=len(class_names), progress=progress
    )
    probabilities = answers.from_unsuspected
    errors = find_label_errors(probabilities, labels)
    seen = Seen(
        index=index,
        keys=keys,
        splits=splits,
        labels=labels,
        class_names=class_names,
        probabilities=probabilities,
        looks=looks,
        distances=neighbour_distances(features, pieces),
        size_px=min(prepared.pixels.height, prepared.pixels.width),
    )
    by_looks, remarks = look_findings(seen)
    order = list(KINDS)
    found = [*label_findings(seen, errors), *copy_findings(seen, copies), *by_looks]
    right = answers.from_all.argmax(axis=1) == labels
    return Audit(
        name=data.name,
        head=head,
        index=index,
        splits=splits,
        class_names=tuple(class_names),
        labels=labels,
        probabilities=probabilities,
        folds=answers.folds,
        top1=float(right.mean()),
        top1_interval=_interval(right, pieces),
        expected_wrong_labels=errors.expected,
        findings=tuple(sorted(found, key=lambda finding: order.index(finding.kind))),
        hardly_told_apart=hardly_told_apart(probabilities, labels, class_names),
        skipped=data.skipped,
        notes=(*data.notes, *remarks),
        pixels=prepared.pixels,
    )


def _head(recipe: Recipe, head: str | None) -> str:
    names = [name for name, config in recipe.heads.items() if config.kind == "classification"]
    if head is None and names:
        return names[0]
    if head is None or head not in names:
        raise UsageError(
            f"an audit needs a head that classifies: {', '.join(names) or 'the recipe has none'}. "
            f"Received: {head}"
        )
    return head


def _features(
    recipe: Recipe, prepared: Prepared, head: str, index: ImageIndex, progress: Progress
) -> np.ndarray:
    """Returns the features of all images that the head takes, float32 [N, d]."""
    classifier = prepared.classifier
    column = list(classifier.poolings).index(recipe.heads[head].pooling)
    frozen = frozen_part(recipe, classifier, [len(classifier.backbone.blocks)], progress)
    with closing(frozen.outputs(Images(index, prepared.pixels), "all")) as rows:
        return np.asarray(rows.tensors[column][:], np.float32)


def _pieces(data: ImageData, index: ImageIndex, copies: Sequence[Copies], folds: int) -> np.ndarray:
    """Returns the number of what each image belongs to and no fold parts, int64 [N].

    Equal images and groups stay together, and so do images that look alike, unless they hang
    together in chains of more than a fold: a set of one scene is divided all the same.
    """
    groups = [data.groups.get(name, "") for name in index.ids] if data.groups else None
    names = piece_names(index.keys(), groups)
    _, exact = np.unique(np.array(names, object), return_inverse=True)
    pairs = [(group.positions[0], other) for group in copies for other in group.positions[1:]]
    joined = linked(exact.max() + 1, exact[np.array(pairs, np.int64).reshape(-1, 2)])[exact]
    return joined if np.bincount(joined).max() * folds <= len(names) else exact


def _interval(right: np.ndarray, pieces: np.ndarray) -> Interval:
    """Returns the 95 % interval of a share of images, of which those of a piece count together.

    It is Wilson's, of as many independent images as have the same standard error.
    """
    share, images = float(right.mean()), len(right)
    off = np.bincount(pieces, right - share)
    variance = float((off**2).sum()) / images**2
    if variance > 0:
        images = min(images, round(share * (1 - share) / variance))
    trials = max(images, 1)
    return wilson_interval(round(share * trials), trials)
