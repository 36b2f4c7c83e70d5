"""The features of all images under a frozen backbone, as inputs of a heads-only phase."""

import hashlib

import numpy as np

from tfft.data.index import ImageIndex
from tfft.data.parts import exact_targets
from tfft.model.assemble import Cut
from tfft.system.tensorflow import start_tensorflow
from tfft.transfer.frozen import FrozenPart
from tfft.transfer.inputs import CachedFeatures
from tfft.transfer.training import Training

start_tensorflow()
import keras  # noqa: E402


def cached_features(training: Training, cut: Cut) -> CachedFeatures:
    """Returns the features below `cut` of the training and validation images, from the cache."""
    backbone = training.classifier.backbone
    if cut.prefix is None:
        raise ValueError("nothing is below this cut")
    identity = {
        "backbone": backbone.spec.name,
        "weights": digest(cut.prefix),
        "preprocessing": backbone.spec.preprocessing,
        "poolings": list(training.classifier.poolings),
        "dtype": training.recipe.train.mixed_precision,
    }
    frozen = FrozenPart(cut.prefix, training.pixels, identity, training.progress)
    splits = {"train": training.train_images, "validation": training.validation_images}
    features = {
        split: frozen.outputs(index, f"features of {split} images")
        for split, index in splits.items()
    }
    return CachedFeatures(
        features["train"],
        _by_head(training, training.train_images),
        features["validation"],
        _by_head(training, training.validation_images),
        training.recipe.train.batch_size,
        training.order,
    )


def _by_head(training: Training, images: ImageIndex) -> dict[str, np.ndarray]:
    values = exact_targets(images, training.pixels) if len(images) else images.targets
    return {head: values[target] for head, target in training.targets.items()}


def digest(model: keras.Model) -> str:
    """Returns the SHA-256 of the weights as they are now: a phase may have trained them."""
    digest = hashlib.sha256()
    for variable in model.variables:
        digest.update(variable.numpy().tobytes())
    return digest.hexdigest()
