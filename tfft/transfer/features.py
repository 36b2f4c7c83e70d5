"""The features of all images under a frozen backbone, as inputs of a heads-only phase."""

import hashlib

from tfft.model.assemble import Cut
from tfft.system.tensorflow import start_tensorflow
from tfft.transfer.frozen import frozen_outputs
from tfft.transfer.inputs import CachedFeatures
from tfft.transfer.training import Training

start_tensorflow()
import keras  # noqa: E402


def cached_features(training: Training, cut: Cut) -> CachedFeatures:
    """Returns the features below `cut` of the training and validation images, from the cache."""
    backbone = training.classifier.backbone
    identity = {
        "backbone": backbone.spec.name,
        "weights": _digest(cut.prefix),
        "preprocessing": backbone.spec.preprocessing,
        "poolings": list(training.classifier.poolings),
        "dtype": training.recipe.train.mixed_precision,
    }
    splits = {"train": training.train_images, "validation": training.validation_images}
    features = {
        split: frozen_outputs(
            cut.prefix,
            index,
            training.pixels,
            identity,
            description=f"features of {split} images",
            progress=training.progress,
        )
        for split, index in splits.items()
    }
    return CachedFeatures(
        features["train"],
        splits["train"].targets,
        features["validation"],
        splits["validation"].targets,
        training.recipe.train.batch_size,
        training.recipe.seed,
    )


def _digest(model: keras.Model) -> str:
    """The weights as they are now: an earlier phase may have trained them."""
    digest = hashlib.sha256()
    for variable in model.variables:
        digest.update(variable.numpy().tobytes())
    return digest.hexdigest()
