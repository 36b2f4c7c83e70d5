"""The tensors at a phase's cut, of all images, from the cache: its inputs in place of images."""

import hashlib
from collections.abc import Callable, Sequence

import keras
import numpy as np

from tfft.data.index import ImageIndex
from tfft.data.parts import exact_targets
from tfft.model.assemble import Cut
from tfft.transfer.cache import Entry
from tfft.transfer.frozen import FrozenPart, View
from tfft.transfer.inputs import CachedTensors
from tfft.transfer.plan import PhasePlan
from tfft.transfer.stored import Rows
from tfft.transfer.training import Training

# Up to here the tensors of a phase are held in memory; larger ones are read from the disk.
RESIDENT_BYTES = 512 * 2**20


def cached_inputs(training: Training, plan: PhasePlan, cut: Cut) -> CachedTensors:
    """Returns the inputs of a phase that is cached; what is missing is computed.

    Of a phase with views, each view is computed in the epoch that first needs it.
    """
    if cut.prefix is None:
        raise ValueError("nothing is below this cut")
    frozen = _frozen_part(training, plan, cut.prefix)
    entries = _Entries(resident=plan.cache_bytes <= RESIDENT_BYTES)

    def train(epoch: int) -> Sequence[Rows]:
        number = epoch % plan.views if plan.views else None
        view = None if number is None else View(_augmentation(plan), training.recipe.seed, number)
        return entries.get(number, lambda: frozen.outputs(training.train_images, "train", view))

    try:
        if not plan.views:
            train(0)
        validation = entries.get(
            "validation", lambda: frozen.outputs(training.validation_images, "validation")
        )
    except BaseException:
        entries.close()
        raise
    return CachedTensors(
        train,
        _by_head(training, training.train_images),
        validation,
        _by_head(training, training.validation_images),
        training.recipe.train.batch_size,
        training.order,
        entries.close,
    )


class _Entries:
    """Entries of the cache that a phase has open, in memory if they are small."""

    def __init__(self, resident: bool) -> None:
        self._resident = resident
        self._open: list[Entry] = []
        self._found: dict[object, Sequence[Rows]] = {}

    def get(self, name: object, make: Callable[[], Entry]) -> Sequence[Rows]:
        if name not in self._found:
            entry = make()
            if self._resident:
                self._found[name] = [tensor[:] for tensor in entry.tensors]
                entry.close()
            else:
                self._found[name] = entry.tensors
                self._open.append(entry)
        return self._found[name]

    def close(self) -> None:
        while self._open:
            self._open.pop().close()


def _frozen_part(training: Training, plan: PhasePlan, prefix: keras.Model) -> FrozenPart:
    recipe, classifier = training.recipe, training.classifier
    pooled = plan.frozen_blocks == len(classifier.backbone.blocks)
    identity = {
        "backbone": recipe.backbone.model_dump(mode="json", exclude={"weights"}),
        "preprocessing": classifier.backbone.spec.preprocessing,
        "blocks": plan.frozen_blocks,
        "poolings": list(classifier.poolings) if pooled else [],
        "weights": _digest(prefix),
        "policy": recipe.train.mixed_precision,
    }
    about = {
        "what": "features" if pooled else f"activations after {plan.cut}",
        "backbone": classifier.backbone.spec.name,
        "recipe": recipe.name,
    }
    return FrozenPart(
        prefix, training.pixels, identity, about, recipe.train.cache, training.progress
    )


def _augmentation(plan: PhasePlan) -> str:
    return getattr(plan.config, "augment", "none")


def _by_head(training: Training, images: ImageIndex) -> dict[str, np.ndarray]:
    values = exact_targets(images, training.pixels) if len(images) else images.targets
    return {head: values[target] for head, target in training.targets.items()}


def _digest(model: keras.Model) -> str:
    """The weights as they are now: an earlier phase may have trained them."""
    digest = hashlib.sha256()
    for variable in model.variables:
        digest.update(f"{variable.shape} {variable.dtype}".encode())
        digest.update(variable.numpy().tobytes())
    return digest.hexdigest()
