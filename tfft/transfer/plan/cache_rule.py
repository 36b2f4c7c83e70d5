"""The rule by which phases train on cached tensors, and the size of the cache.

Where exact (no augmentation), a phase is cached if it pays: it passes over the images at least
twice, or an earlier phase's pass yields its tensors, and reading them is faster than decoding and
computing them anew. With `train.cache.views` an augmenting phase is cached if it has more epochs
than views. It must fit `train.cache.max_gb` and the disk.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass

from tfft.backbones.split import multiply_adds
from tfft.config.recipe import Recipe
from tfft.config.train import CacheConfig, GradientPhase, LinearPhase, Phase
from tfft.model.assemble import Classifier
from tfft.system.caches import cache_place
from tfft.system.device import seconds_to_compute
from tfft.transfer.plan.solved import cached_bytes, solved_reason

# Of a plain solid-state disk. Decoding is that of a photo of 0.2 megapixels on one fast core.
_READ_BYTES_PER_S = 500e6
_DECODE_S = 0.5e-3


@dataclass(frozen=True)
class CacheDecision:
    """Whether a phase is cached, and how.

    Attributes:
        cached: Whether the phase trains on cached tensors.
        views: Augmented views of each training image; 0: its exact pixels.
        shapes: Shapes of the tensors at the cut, of one image.
        bytes: Bytes of the tensors of all training and validation images.
        reason: Why the cache is used or not.
    """

    cached: bool
    views: int
    shapes: tuple[tuple[int, ...], ...]
    bytes: int
    reason: str


def cache_decision(
    recipe: Recipe,
    classifier: Classifier,
    phase: Phase,
    *,
    frozen_blocks: int,
    epochs: int,
    images: Mapping[str, int],
    available: bool,
) -> CacheDecision:
    """Decides on one phase.

    Args:
        recipe: The recipe, resolved.
        classifier: Model that will be trained.
        phase: A phase of the recipe.
        frozen_blocks: Number of leading blocks that the phase freezes.
        epochs: Passes over the training images.
        images: Number of images by split.
        available: Whether the pass of an earlier phase over the images yields these tensors too.
    """
    views = 0
    if isinstance(phase, GradientPhase) and phase.augment != "none":
        views = recipe.train.cache.views or 0
    shapes = classifier.cut_shapes(frozen_blocks)
    size = cached_bytes(shapes, images, recipe.train.cache.dtype, views)
    row_bytes = cached_bytes(shapes, {"train": 1, "validation": 0}, recipe.train.cache.dtype)
    refused = _impossible(recipe, classifier, phase, frozen_blocks)
    if not refused and recipe.train.cache.mode == "auto" and isinstance(phase, GradientPhase):
        refused = _does_not_pay(views, epochs, available, row_bytes, classifier, frozen_blocks)
        refused = refused or _no_room(size, recipe.train.cache)
    if refused:
        reason = refused
    elif isinstance(phase, LinearPhase):
        reason = solved_reason(shapes, images["train"])
    elif recipe.train.cache.mode == "on":
        reason = "train.cache.mode: on"
    elif views:
        reason = f"{views} augmented view{'' if views == 1 else 's'} of each image, in turn"
    else:
        reason = (
            "from the pass of an earlier phase" if available else "computed once for all epochs"
        )
    return CacheDecision(not refused, views, shapes, size, reason)


def _impossible(recipe: Recipe, classifier: Classifier, phase: Phase, frozen_blocks: int) -> str:
    """Why the phase cannot be cached, or must not; "" if it can."""
    if isinstance(phase, LinearPhase):
        return ""
    cache = recipe.train.cache
    if cache.mode == "off":
        return "train.cache.mode: off"
    if classifier.front.weights:
        return "the adapter of the channels is trained below all blocks"
    if frozen_blocks == 0:
        return "nothing is frozen below the first trained block"
    if phase.mix is not None:
        return f"images are mixed (mix: {phase.mix.kind})"
    if phase.augment == "none":
        return ""
    if cache.views is None:
        return (
            f"every epoch sees other pixels (augment: {phase.augment}); train.cache.views: K "
            "would cache K views of each image"
        )
    if any(head.kind == "box" for head in recipe.heads.values()):
        return f"boxes move with the pixels of each view (augment: {phase.augment})"
    return ""


def _does_not_pay(
    views: int,
    epochs: int,
    available: bool,
    row_bytes: int,
    classifier: Classifier,
    frozen_blocks: int,
) -> str:
    if views and epochs <= views:
        return f"{views} views cost as much as {epochs} epoch{'' if epochs == 1 else 's'}"
    if epochs < 2 and not available:
        return "one pass over the images is not worth a cache"
    if classifier.backbone.opaque:
        return ""  # what is inside a module is not known, and never next to nothing
    computing = seconds_to_compute(multiply_adds(classifier.backbone, frozen_blocks))
    if row_bytes / _READ_BYTES_PER_S > _DECODE_S + computing:
        return f"reading {row_bytes / 1e6:.2g} MB an image is slower than computing them"
    return ""


def _no_room(needed: int, cache: CacheConfig) -> str:
    if needed > cache.max_gb * 1e9:
        return f"{needed / 1e9:.3g} GB are more than train.cache.max_gb: {cache.max_gb:g}"
    place = cache_place("activations")
    there = next(parent for parent in (place, *place.absolute().parents) if parent.exists())
    free = shutil.disk_usage(there).free
    if needed > free:
        return f"{needed / 1e9:.3g} GB do not fit on the disk of {place}"
    return ""
