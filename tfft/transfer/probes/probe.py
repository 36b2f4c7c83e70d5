"""Linear probes by depth: which blocks of a backbone carry over to the data of a recipe.

Source: linear classifier probes, Alain and Bengio 2016.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tfft.backbones.keras_models.keras_file import load_keras_file
from tfft.backbones.split import multiply_adds
from tfft.config.recipe import Recipe
from tfft.errors import DataError, ModelFileError
from tfft.metrics.commonest import CommonestClass, commonest_class
from tfft.metrics.intervals import Interval, wilson_interval
from tfft.model.unlikeness import without_unlikeness
from tfft.runs.run import open_run
from tfft.system.progress import SILENT, Progress
from tfft.system.readable import Readable, command_text, counted, interval_text
from tfft.transfer.description import classifying_head, load_of_recipe
from tfft.transfer.frozen.build import pooled_blocks, read_outputs
from tfft.transfer.linear.penalty import solve_linear_head
from tfft.transfer.prepare import Prepared, prepare, prepare_with

_CANDIDATES = (0.003, 0.03, 0.3)


@dataclass(frozen=True)
class BlockProbe:
    """How well a linear classifier does on what a block hands on.

    Attributes:
        block: Name of the block.
        features: Features of an image, averaged over positions.
        top1: Share of validation images classified correctly.
        interval: 95 % Wilson interval of `top1`.
        share_of_compute: Share of the backbone's multiply-adds up to the end of this block.
    """

    block: str
    features: int
    top1: float
    interval: Interval
    share_of_compute: float


@dataclass(frozen=True, repr=False)
class Probe(Readable):
    """Probes at the end of each block, from input to output; of one that runs whole at its output.

    Attributes:
        backbone: Name of the backbone.
        head: Head whose classes were probed.
        validation_images: Number of images the metrics are of; they also chose the regularisation
            of each probe.
        blocks: Probes, from input to output.
        commonest: What always answering with the commonest class reaches on these images.
    """

    backbone: str
    head: str
    validation_images: int
    blocks: tuple[BlockProbe, ...]
    commonest: CommonestClass | None = None

    @property
    def doubt(self) -> str:
        """Says that the best block is no better than the commonest class; empty if it is."""
        return self.commonest.doubt(self.best.top1) if self.commonest else ""

    @property
    def best(self) -> BlockProbe:
        """The best block; of equal ones the first."""
        return max(self.blocks, key=lambda block: block.top1)

    @property
    def sufficient(self) -> BlockProbe:
        """The first block that is not shown to be worse than the best."""
        return next(block for block in self.blocks if block.interval.high >= self.best.top1)

    @property
    def blocks_above(self) -> int:
        """How many blocks lie above the sufficient one."""
        return len(self.blocks) - 1 - self.blocks.index(self.sufficient)

    def lines(self) -> list[str]:
        best = self.best
        return [
            f"{self.backbone}, head {self.head}: {self.sufficient.block} is enough, "
            f"best {best.block}, top1 {best.top1:.3f}{interval_text(best.interval)}",
            f"on {counted(self.validation_images, 'validation image')}",
            *([f"the best top-1, {self.doubt}"] if self.doubt else []),
            *(f"{b.block}: top1 {b.top1:.3f}{interval_text(b.interval)}" for b in self.blocks),
        ]

    def to_json(self) -> dict[str, Any]:
        """Returns the probe as JSON values."""
        found = {"best": self.best.block, "sufficient": self.sufficient.block}
        return {**asdict(self), **found}


def probe_recipe(recipe: Recipe, head: str | None = None, progress: Progress = SILENT) -> Probe:
    """Probes the backbone of a recipe with the weights that it starts from.

    Args:
        recipe: Recipe with the backbone and the data.
        head: Head whose classes are probed; default: the first that classifies.
        progress: Where the work is reported.

    Raises:
        UsageError: There is no such head, or it does not classify.
        DataError: There are no validation images.
    """
    head = classifying_head(recipe, head, "a probe")
    return _probe(recipe, prepare(recipe, progress), head, progress)


def probe_run(path: Path, head: str | None = None, progress: Progress = SILENT) -> Probe:
    """Probes the backbone of a run with the weights that it was trained to.

    Raises:
        ModelFileError: It has no model yet; otherwise as `probe_recipe`.
    """
    run, recipe = open_run(path)
    head = classifying_head(recipe, head, "a probe")
    if not run.model_file.is_file():
        raise ModelFileError(
            f"the run {path} has no model yet. Go on with it: "
            f"{command_text('train', '--resume', path)}"
        )
    untrained = recipe.backbone.model_copy(update={"weights": "random"})
    data = load_of_recipe(recipe, progress, run.kept_splits())
    prepared = prepare_with(recipe.model_copy(update={"backbone": untrained}), data, progress)
    trained = without_unlikeness(load_keras_file(run.model_file))
    prepared.classifier.model.set_weights(trained.get_weights())
    return _probe(recipe, prepared, head, progress)


def _probe(recipe: Recipe, prepared: Prepared, head: str, progress: Progress) -> Probe:
    classifier = prepared.classifier
    train, validation = prepared.examples("train"), prepared.examples("validation")
    if not len(validation):
        raise DataError("a probe needs validation images: set data.validation_fraction > 0")
    target, backbone = recipe.heads[head].target, classifier.backbone
    blocks = len(backbone.blocks)
    # A backbone that runs whole has its output only.
    ends = [blocks] if backbone.opaque else list(range(1, blocks + 1))
    frozen = pooled_blocks(recipe, classifier, ends, progress)
    features = [
        read_outputs(frozen, train, "train"),
        read_outputs(frozen, validation, "validation"),
    ]
    probes = []
    task = progress.start("probing", len(ends), "blocks")
    try:
        for place, end in enumerate(ends):
            solution = solve_linear_head(
                features[0][place],
                train.targets[target],
                features[1][place],
                validation.targets[target],
                outputs=classifier.heads[head].size.outputs,
                candidates=_CANDIDATES,
                choose_by="loss",
                refit=False,
            )
            top1 = solution.validation[solution.inverse_regularization]["top1"]
            share_of_compute = 1.0
            if end < blocks:
                whole = max(multiply_adds(backbone, blocks), 1)
                share_of_compute = multiply_adds(backbone, end) / whole
            right = round(top1 * len(validation))
            probes.append(
                BlockProbe(
                    backbone.blocks[end - 1].name,
                    features[0][place].shape[1],
                    top1,
                    wilson_interval(right, len(validation)),
                    share_of_compute,
                )
            )
            task.advance()
    finally:
        task.close()
    names = classifier.heads[head].size.class_names
    commonest = commonest_class(train.targets[target], validation.targets[target], names)
    return Probe(backbone.spec.name, head, len(validation), tuple(probes), commonest)
