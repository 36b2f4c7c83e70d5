"""Linear probes by depth: which blocks of a backbone carry over to the data of a recipe.

Source: linear classifier probes, Alain and Bengio 2016.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tfft.system.tensorflow import keras

import numpy as np

from tfft.backbones.backbone import Backbone
from tfft.backbones.cost import multiply_adds
from tfft.backbones.split import crossing_tensors
from tfft.config.recipe import Recipe
from tfft.data.examples import Examples
from tfft.errors import DataError, ModelFileError, UsageError
from tfft.metrics.classification import wilson_interval
from tfft.model.assemble import Classifier
from tfft.model.front import new_input
from tfft.runs.run import open_run
from tfft.system.progress import SILENT, Progress
from tfft.transfer.frozen.function import CutContent, FrozenPart
from tfft.transfer.frozen.identity import prefix_identity
from tfft.transfer.frozen.linear_solver import solve_linear_head
from tfft.transfer.prepare import Prepared, prepare

_CANDIDATES = (0.003, 0.03, 0.3)
_POOLING = {4: keras.layers.GlobalAveragePooling2D, 3: keras.layers.GlobalAveragePooling1D}


@dataclass(frozen=True)
class BlockProbe:
    """How well a linear classifier does on what a block hands on.

    Attributes:
        block: its name.
        features: numbers an image, averaged over places.
        top1: share of validation images that are right; interval: its 95 % Wilson interval.
        share_of_compute: of the backbone's multiply-adds, up to the end of this block.
    """

    block: str
    features: int
    top1: float
    interval: list[float]
    share_of_compute: float


@dataclass(frozen=True)
class Probe:
    """Probes at the end of each block, from input to output; of one that runs whole at its output.

    Attributes:
        backbone: its name in the catalog; head: whose classes were probed.
        validation_images: which the figures are of; they also chose each probe's regularisation.
    """

    backbone: str
    head: str
    validation_images: int
    blocks: tuple[BlockProbe, ...]

    @property
    def best(self) -> BlockProbe:
        """The best block; of equal ones the first."""
        return max(self.blocks, key=lambda block: block.top1)

    @property
    def sufficient(self) -> BlockProbe:
        """The first block that is not shown to be worse than the best."""
        return next(block for block in self.blocks if block.interval[1] >= self.best.top1)

    @property
    def blocks_above(self) -> int:
        """How many blocks lie above the sufficient one."""
        return len(self.blocks) - 1 - self.blocks.index(self.sufficient)

    def to_json(self) -> dict[str, Any]:
        """Returns the probe as JSON values."""
        found = {"best": self.best.block, "sufficient": self.sufficient.block}
        return {**asdict(self), **found}


def probe_recipe(recipe: Recipe, head: str | None = None, progress: Progress = SILENT) -> Probe:
    """Probes the backbone of a recipe with the weights that it starts from.

    Args:
        recipe: backbone and data.
        head: whose classes are probed; default: the first one that classifies.
        progress: where the work is reported.

    Raises:
        UsageError: There is no such head, or it does not classify.
        DataError: There are no validation images.
    """
    head = _head(recipe, head)
    return _probe(recipe, prepare(recipe, progress), head, progress)


def probe_run(path: Path, head: str | None = None, progress: Progress = SILENT) -> Probe:
    """Probes the backbone of a run with the weights that it was trained to.

    Raises:
        ModelFileError: It has no model yet; otherwise as `probe_recipe`.
    """
    run, recipe = open_run(path)
    head = _head(recipe, head)
    if not run.model_file.is_file():
        raise ModelFileError(
            f"the run {path} has no model yet. Go on with it: tfft train --resume {path}"
        )
    untrained = recipe.backbone.model_copy(update={"weights": "random"})
    prepared = prepare(recipe.model_copy(update={"backbone": untrained}), progress)
    trained: Any = keras.saving.load_model(run.model_file, compile=False)
    prepared.classifier.model.set_weights(trained.get_weights())
    return _probe(recipe, prepared, head, progress)


def _probe(recipe: Recipe, prepared: Prepared, head: str, progress: Progress) -> Probe:
    classifier = prepared.classifier
    train, validation = prepared.examples("train"), prepared.examples("validation")
    if not len(validation):
        raise DataError("a probe needs validation images: set data.validation_fraction > 0")
    frozen = _frozen_part(recipe, prepared, progress)
    features = [_features(frozen, train, "train"), _features(frozen, validation, "validation")]
    target, backbone = recipe.heads[head].target, classifier.backbone
    probes = []
    ends = _ends(backbone)
    task = progress.start("probing", len(ends), "blocks")
    try:
        for place, end in enumerate(ends):
            solution = solve_linear_head(
                features[0][place],
                train.targets[target],
                features[1][place],
                validation.targets[target],
                classes=classifier.heads[head].size.outputs,
                candidates=_CANDIDATES,
                choose_by="top1",
                refit=False,
            )
            top1 = solution.validation[solution.inverse_regularization]["top1"]
            right = round(top1 * len(validation))
            probes.append(
                BlockProbe(
                    backbone.blocks[end - 1].name,
                    features[0][place].shape[1],
                    top1,
                    wilson_interval(right, len(validation)),
                    _share_of_compute(backbone, end),
                )
            )
            task.advance()
    finally:
        task.close()
    return Probe(backbone.spec.name, head, len(validation), tuple(probes))


def _ends(backbone: Backbone) -> list[int]:
    """How many blocks lie before each place that is probed: the end of each block.

    A backbone that runs whole has its output only.
    """
    blocks = len(backbone.blocks)
    return [blocks] if backbone.opaque else list(range(1, blocks + 1))


def _share_of_compute(backbone: Backbone, end: int) -> float:
    blocks = len(backbone.blocks)
    if end == blocks:
        return 1.0
    return multiply_adds(backbone, end) / max(multiply_adds(backbone, blocks), 1)


def _features(frozen: FrozenPart, examples: Examples, split: str) -> list[np.ndarray]:
    entry = frozen.outputs(examples, split)
    try:
        return [np.asarray(tensor[:], np.float32) for tensor in entry.tensors]
    finally:
        entry.close()


def _frozen_part(recipe: Recipe, prepared: Prepared, progress: Progress) -> FrozenPart:
    classifier = prepared.classifier
    blocks = len(classifier.backbone.blocks)
    policy = recipe.train.mixed_precision
    identity = {
        **prefix_identity(recipe.backbone, recipe.image, classifier, blocks, policy),
        "pooled_at_each_block": True,
    }
    about = {
        "what": "pooled activations of each block",
        "backbone": classifier.backbone.spec.name,
        "recipe": recipe.name,
    }
    return FrozenPart(
        _pooled_blocks(classifier),
        [CutContent(identity, about, len(_ends(classifier.backbone)))],
        recipe.train.cache,
        progress,
    )


def _pooled_blocks(classifier: Classifier) -> keras.Model:
    """The model from its inputs to the tensors at the end of each block, averaged over places."""
    backbone = classifier.backbone
    ends = [_averaged(_tensors(backbone, end)) for end in _ends(backbone)]
    inner = keras.Model(backbone.model.input, ends)
    inputs = new_input(classifier.front)
    return keras.Model(inputs, inner(classifier.front(inputs)))


def _tensors(backbone: Backbone, blocks: int) -> list[keras.KerasTensor]:
    if blocks == len(backbone.blocks):
        return [backbone.model.output]
    return crossing_tensors(backbone, blocks)


def _averaged(tensors: Sequence[keras.KerasTensor]) -> keras.KerasTensor:
    vectors = [_POOLING[len(t.shape)]()(t) if len(t.shape) in _POOLING else t for t in tensors]
    return vectors[0] if len(vectors) == 1 else keras.layers.Concatenate()(vectors)


def _head(recipe: Recipe, head: str | None) -> str:
    names = [name for name, config in recipe.heads.items() if config.kind == "classification"]
    if head is None and names:
        return names[0]
    if head is None or head not in names:
        raise UsageError(
            f"a probe needs a head that classifies: {', '.join(names) or 'the recipe has none'}. "
            f"Received: {head}"
        )
    return head
