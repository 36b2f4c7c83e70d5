"""Whether fine-tuning a backbone pays, measured on a sample of the images.

A head is solved on the features as they are; then everything is trained from there, briefly.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tfft.backbones.source_classes import (
    has_source_classifier,
    source_classifier,
    source_names,
)
from tfft.config.model import BackboneConfig
from tfft.config.recipe import Recipe
from tfft.config.train import GradientPhase, LinearPhase
from tfft.data.cuts import stratified_part
from tfft.data.index import ImageIndex
from tfft.errors import RecipeError
from tfft.metrics.commonest import CommonestClass, commonest_class
from tfft.metrics.intervals import Interval, wilson_interval
from tfft.model.heads import Head
from tfft.runs.run import create_run
from tfft.system.progress import Progress
from tfft.transfer.checkpoints import TrainingState
from tfft.transfer.frozen.build import frozen_part, read_outputs
from tfft.transfer.linear.folds import out_of_fold
from tfft.transfer.linear.penalty import solve_linear_head
from tfft.transfer.phases.session import Session, open_session
from tfft.transfer.plan.plan import make_plan
from tfft.transfer.prepare import prepare
from tfft.transfer.train import run_phase

# Images of the sample: so many for training, or so many of a class where there are many classes,
# and so many for validation.
_TRAIN, _OF_A_CLASS, _VALIDATION = 1024, 16, 512
# Passes over the sample in the short training.
_EPOCHS = 2
_FOLDS = 5


@dataclass(frozen=True)
class HeadProbe:
    """How well a solved head does on the features as they are.

    Each image is judged by a head that was solved without it.

    Attributes:
        images: Number of images.
        top1: Share that heads solved on four fifths of the images get right.
        interval: 95 % Wilson interval of `top1`.
        half_top1: Share that heads solved on half of the images get right.
        commonest: What always answering with the commonest class reaches.
        validation_loss: Mean cross-entropy, on validation images, of a head solved on training
            images.
        validation_top1: Its top-1 there.
    """

    images: int
    top1: float
    interval: Interval
    half_top1: float
    commonest: CommonestClass
    validation_loss: float
    validation_top1: float


@dataclass(frozen=True)
class ShortTraining:
    """What a short training of everything, from the solved head, reaches on validation images.

    Attributes:
        steps: Number of batches that were trained on.
        images: Number of training images.
        validation_images: Number of validation images.
        loss: Mean cross-entropy.
        top1: Top-1.
    """

    steps: int
    images: int
    validation_images: int
    loss: float
    top1: float


@dataclass(frozen=True, eq=False)
class SampledSession:
    """A session on a sample of a recipe's images.

    Attributes:
        session: The session; its recipe solves the head and then trains everything, briefly.
        train_images: Number of training images of the recipe.
        validation_images: Number of validation images of the recipe.
        classes: Number of classes.
        of_the_source: Whether the backbone was pretrained on all of these classes.
    """

    session: Session
    train_images: int
    validation_images: int
    classes: int
    of_the_source: bool


@contextmanager
def sampled_session(recipe: Recipe, progress: Progress) -> Iterator[SampledSession]:
    """Opens a session on a sample of the images of a recipe, in a directory that is removed.

    Args:
        recipe: A recipe with one head, for classification, and two phases: one that solves it, and
            one of gradient steps, of which a few epochs are trained.
        progress: Where the work is reported.

    Raises:
        RecipeError: There are no validation images, or the schedule does not fit the model.
        DataError: The images are not what the recipe says.
        BackboneError: The backbone or its weights cannot be found.
    """
    solved, trained = recipe.train.phases
    if not isinstance(trained, GradientPhase):
        raise ValueError("the second phase is of gradient steps")
    phases = (solved, trained.model_copy(update={"epochs": _EPOCHS, "steps": None}))
    recipe = recipe.model_copy(update={"train": recipe.train.model_copy(update={"phases": phases})})
    whole = prepare(recipe, progress)
    if not whole.counts["validation"]:
        raise RecipeError("advice needs validation images: set data.validation_fraction")
    ((_, head),) = whole.classifier.heads.items()
    classes, target = head.size.outputs, head.config.target
    sizes = {"train": max(_TRAIN, _OF_A_CLASS * classes), "validation": _VALIDATION}
    splits = {name: _sample(whole.data.splits[name], target, sizes[name]) for name in sizes}
    sampled = replace(whole, data=replace(whole.data, splits=splits))
    plan = make_plan(recipe, whole.classifier, sampled.counts)
    with tempfile.TemporaryDirectory() as directory:
        run = create_run(recipe, Path(directory) / "run")
        session = open_session(recipe, run, sampled, plan, progress)
        try:
            yield SampledSession(
                session,
                whole.counts["train"],
                whole.counts["validation"],
                classes,
                _are_of_the_source(head, recipe.backbone),
            )
        finally:
            session.history.close()


def _sample(index: ImageIndex, target: str, size: int) -> ImageIndex:
    """Returns so many of the images, the same share of each class."""
    if len(index) <= size:
        return index
    chosen = stratified_part(index.ids, index.targets[target], size / len(index), seed=0)
    return index.take(np.flatnonzero(chosen))


def _are_of_the_source(head: Head, backbone: BackboneConfig) -> bool:
    if not has_source_classifier(backbone):
        return False
    known = source_classifier(backbone).class_names
    return not source_names(head.size.class_names, known, {})[1]


def probe_head(session: Session) -> HeadProbe:
    """Solves the head of a sampled session, which it is left with, and others to judge it.

    Raises:
        TfftError: A feature is not finite.
    """
    ((name, head),) = session.classifier.heads.items()
    features, labels = _features(session, "train")
    unseen, wanted = _features(session, "validation")
    phase = session.recipe.train.phases[0]
    assert isinstance(phase, LinearPhase)
    class_weights, outputs = session.class_weights.get(name), head.size.outputs
    solution = solve_linear_head(
        features,
        labels,
        unseen,
        wanted,
        outputs=outputs,
        candidates=phase.inverse_regularization,
        choose_by=phase.choose_by,
        refit=False,
        class_weights=class_weights,
        progress=session.progress,
    )
    head.dense.kernel.assign(solution.chosen.kernel)
    head.dense.bias.assign(solution.chosen.bias)
    c = solution.inverse_regularization
    everything, every = np.concatenate([features, unseen]), np.concatenate([labels, wanted])
    fifths, halves = (
        out_of_fold(
            everything,
            every,
            _folds(every, number),
            c,
            classes=outputs,
            class_weights=class_weights,
        )
        for number in (_FOLDS, 2)
    )
    return HeadProbe(
        len(every),
        fifths.top1,
        wilson_interval(round(fifths.top1 * len(every)), len(every)),
        halves.top1,
        commonest_class(every, every, head.size.class_names),
        solution.validation[c]["loss"],
        solution.validation[c]["top1"],
    )


def _features(session: Session, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns the features of a split, float32 [n, d], and its labels, int64 [n]."""
    (head,) = session.classifier.heads.values()
    examples = {"train": session.train, "validation": session.validation}[split]
    whole = len(session.classifier.backbone.blocks)
    frozen = frozen_part(session.recipe, session.classifier, [whole], session.progress)
    (features,) = read_outputs(frozen, examples, split)
    return features, examples.targets[head.config.target]


def _folds(labels: np.ndarray, number: int) -> np.ndarray:
    """Returns the fold of each image, int64 [n]: images of a class are in all folds alike."""
    shuffled = np.random.default_rng(0).permutation(len(labels))
    folds = np.empty(len(labels), np.int64)
    folds[shuffled[np.argsort(labels[shuffled], kind="stable")]] = np.arange(len(labels)) % number
    return folds


def train_briefly(session: Session) -> ShortTraining:
    """Trains everything in a sampled session, from the head that it has.

    Raises:
        NotFiniteError: A loss is NaN or infinite.
    """
    plan, state = session.plan.phases[1], TrainingState()
    run_phase(session, plan, state)
    ((name, _),) = session.classifier.heads.items()
    last = state.history[-1]
    return ShortTraining(
        plan.steps or 0,
        len(session.train),
        len(session.validation),
        float(last[f"validation/{name}/loss"]),
        float(last[f"validation/{name}/top1"]),
    )
