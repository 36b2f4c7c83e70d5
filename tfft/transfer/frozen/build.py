"""The frozen part of a classifier: what decides its outputs, and what computes them."""

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

from tfft.system.tensorflow import ONEDNN, keras

import numpy as np

from tfft.backbones.split import crossing_tensors
from tfft.cache.keys import decisive_versions
from tfft.config.recipe import Recipe
from tfft.data.examples import Examples
from tfft.model.assemble import Classifier
from tfft.model.front import new_input
from tfft.system.device import on_gpu
from tfft.system.progress import SILENT, Progress
from tfft.transfer.frozen.engine import FrozenFunction, engine_identity
from tfft.transfer.frozen.function import function_of
from tfft.transfer.frozen.part import CutContent, FrozenPart

_POOLING = {4: keras.layers.GlobalAveragePooling2D, 3: keras.layers.GlobalAveragePooling1D}


def frozen_part(
    recipe: Recipe, classifier: Classifier, cuts: Sequence[int], progress: Progress = SILENT
) -> FrozenPart:
    """Returns the part of a classifier below one or more cuts.

    Args:
        recipe: The recipe that the classifier was built from.
        classifier: The classifier, with its weights as they are now.
        cuts: How many blocks lie below each cut; with all of them its tensors are the pooled
            features. The first is asked for, the others are kept on the way.
        progress: Where the work is reported.
    """
    contents, cache = cut_contents(recipe, classifier, cuts), recipe.train.cache

    def function(sample: np.ndarray) -> FrozenFunction:
        return function_of(cache, classifier.backbone.spec.name, classifier.below(cuts), sample)

    return FrozenPart(function, contents, cache, progress)


def cut_contents(recipe: Recipe, classifier: Classifier, cuts: Sequence[int]) -> list[CutContent]:
    """Returns what decides the tensors at each cut; arguments as in `frozen_part`."""
    backbone, contents = classifier.backbone, []
    for blocks in cuts:
        pooled = blocks == len(backbone.blocks)
        poolings = list(classifier.poolings) if pooled else []
        name = "features" if pooled else f"activations after {backbone.blocks[blocks - 1].name}"
        identity = {**_identity(recipe, classifier, blocks), "poolings": poolings}
        shapes = classifier.cut_shapes(blocks)
        contents.append(CutContent(identity, _about(recipe, identity, name), shapes))
    return contents


def pooled_blocks(
    recipe: Recipe, classifier: Classifier, ends: Sequence[int], progress: Progress = SILENT
) -> FrozenPart:
    """Returns the part of a classifier up to the ends of blocks, each averaged over its positions.

    Args:
        recipe: As in `frozen_part`.
        classifier: As in `frozen_part`.
        ends: How many blocks lie before each end; each gives one tensor [examples, channels].
        progress: Where the work is reported.
    """
    backbone, vectors = classifier.backbone, []
    for end in ends:
        whole = end == len(backbone.blocks)
        tensors = [backbone.model.output] if whole else crossing_tensors(backbone, end)
        means = [_POOLING[len(t.shape)]()(t) if len(t.shape) in _POOLING else t for t in tensors]
        vectors.append(means[0] if len(means) == 1 else keras.layers.Concatenate()(means))
    inputs = new_input(classifier.front)
    prefix = keras.Model(backbone.model.input, vectors)(classifier.front(inputs))
    identity = {
        **_identity(recipe, classifier, len(backbone.blocks)),
        "pooled_at_each_block": True,
    }
    about = _about(recipe, identity, "pooled activations")
    model = keras.Model(inputs, prefix)
    content = CutContent(identity, about, [tuple(vector.shape[1:]) for vector in model.outputs])
    cache = recipe.train.cache

    def function(sample: np.ndarray) -> FrozenFunction:
        return function_of(cache, backbone.spec.name, model, sample)

    return FrozenPart(function, [content], cache, progress)


def read_outputs(frozen: FrozenPart, examples: Examples, split: str) -> list[np.ndarray]:
    """Returns the outputs of a frozen part on a split, float32 [examples, ...] each, in memory."""
    with closing(frozen.outputs(examples, split)) as entry:
        return [np.asarray(tensor[:], np.float32) for tensor in entry.tensors]


def _about(recipe: Recipe, identity: Mapping[str, Any], what: str) -> dict[str, str]:
    weights = getattr(recipe.backbone, "weights", "pretrained")
    return {
        "what": what,
        "backbone": identity["name"],
        "weights": f"{weights}, {identity['weights'][:8]}",
    }


def _identity(recipe: Recipe, classifier: Classifier, blocks: int) -> dict[str, Any]:
    """What decides the tensors that the first blocks make of an image.

    The weights of the adapter and of these blocks count as they are now: an earlier phase may have
    trained them.
    """
    backbone, digest = classifier.backbone, hashlib.sha256()
    below = [layer for block in backbone.blocks[:blocks] for layer in block.layers]
    whole = [backbone.model] if backbone.opaque else below
    for layer in (*classifier.front.layers, *whole):
        for variable in layer.variables:
            digest.update(f"{variable.shape} {variable.dtype}".encode())
            digest.update(variable.numpy().tobytes())
    return {
        "name": backbone.spec.name,
        "backbone": recipe.backbone.model_dump(mode="json", exclude={"weights"}),
        "adapter": recipe.image.adapter,
        "backbone_input": list(backbone.model.input_shape[1:]),
        "preprocessing": backbone.spec.preprocessing,
        "blocks": blocks,
        "weights": digest.hexdigest(),
        "policy": recipe.train.mixed_precision,
        "versions": decisive_versions(),
        "device": "GPU" if on_gpu() else "CPU",
        "onednn": ONEDNN,
        **engine_identity(recipe.train.cache),
    }
