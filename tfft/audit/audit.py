"""Looks through all images of a set: what a person should look at, first things first."""

from collections.abc import Sequence

import numpy as np

from tfft.audit.class_pairs import hardly_told_apart
from tfft.audit.copies import Copies, find_copies, linked
from tfft.audit.features import features_of
from tfft.audit.findings import Seen, all_findings
from tfft.audit.label_errors import find_label_errors
from tfft.audit.out_of_fold import answer_out_of_fold, folds_of
from tfft.audit.outliers import neighbour_distances
from tfft.audit.result import Audit
from tfft.config.model import is_random
from tfft.config.recipe import Recipe
from tfft.data.dataset import ImageData
from tfft.data.index import ImageIndex
from tfft.data.kept_splits import UNUSED, KeptSplits
from tfft.data.looks import looks_of
from tfft.data.pieces import piece_names
from tfft.evaluation.data import together
from tfft.metrics.intervals import Interval, wilson_interval
from tfft.system.progress import SILENT, Progress
from tfft.transfer.description import classifying_head, load_of_recipe

# Weights that were never trained see shades and edges at best.
_OF_RANDOM_WEIGHTS = (
    "the features are those of random weights, which tell little apart: audit with a pretrained "
    "backbone, or with what a run was trained to (--set backbone=RUN)"
)
# Flaws that an audit names instead of stopping there.
_PASSES = {"on_bad_image": "skip", "on_label_conflict": "warn", "on_corrupt_image": "warn"}


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
    head = classifying_head(recipe, head, "an audit")
    recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update=_PASSES)})
    data = load_of_recipe(recipe, progress, kept)
    parts = data.splits if data.unused is None else {**data.splits, UNUSED: data.unused}
    index = together(list(parts.values()))
    splits = tuple(split for split, part in parts.items() for _ in part.ids)
    target = recipe.heads[head].target
    labels, class_names = index.targets[target], data.class_names[target]
    features, pixels = features_of(recipe, data, head, index, progress)
    looks = looks_of(index, progress)
    keys = index.keys()
    copies, of_copies = find_copies(keys, looks)
    pieces = _pieces(data, index, copies)
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
        size_px=min(pixels.height, pixels.width),
    )
    findings, remarks = all_findings(seen, errors, copies)
    of_weights = [_OF_RANDOM_WEIGHTS] if is_random(recipe.backbone) else []
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
        findings=findings,
        hardly_told_apart=hardly_told_apart(probabilities, labels, class_names),
        skipped=data.skipped,
        notes=(*data.notes, *of_weights, *of_copies, *remarks),
        pixels=pixels,
    )


def _pieces(data: ImageData, index: ImageIndex, copies: Sequence[Copies]) -> np.ndarray:
    """Returns the number of what each image belongs to and no fold parts, int64 [N]: its copies,
    and its group.
    """
    groups = [data.groups.get(name, "") for name in index.ids] if data.groups else None
    names = np.array(piece_names(index.keys(), groups), object)
    _, exact = np.unique(names, return_inverse=True)
    pairs = [(group.positions[0], other) for group in copies for other in group.positions[1:]]
    return linked(exact.max() + 1, exact[np.array(pairs, np.int64).reshape(-1, 2)])[exact]


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
