"""A real classifier that is small: two convolutional blocks with BatchNormalization and dropout."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfft.backbones.backbone import Backbone, find_blocks
from tfft.catalog.spec import BackboneSpec, BlockSpec
from tfft.config.data import ImageConfig
from tfft.config.model import ClassificationHead
from tfft.model.assemble import Classifier, build_classifier
from tfft.model.head_size import HeadSize

SIZE_PX = 8
CLASSES = 3
_SPEC = BackboneSpec(
    name="Small",
    kind="application",
    builder="",
    default_size_px=SIZE_PX,
    min_size_px=SIZE_PX,
    preprocessing="tf",
    blocks=(BlockSpec("below", "below_out"), BlockSpec("above", "above_out")),
    parameters=0,
    feature_size=6,
    licence="",
    source="",
)


def small_classifier(seed: int = 0, **head: Any) -> Classifier:
    """Builds the classifier with weights from `seed`."""
    keras.utils.set_random_seed(seed)
    x = images = keras.Input((SIZE_PX, SIZE_PX, 3))
    for name, channels in (("below", 4), ("above", 6)):
        x = keras.layers.Conv2D(channels, 3, padding="same", name=f"{name}_conv")(x)
        x = keras.layers.BatchNormalization(name=f"{name}_norm")(x)
        x = keras.layers.ReLU(name=f"{name}_out")(x)
    model = keras.Model(images, x, name="small")
    backbone = Backbone(_SPEC, model, find_blocks(model, _SPEC.blocks), "")
    heads = {"label": ClassificationHead(**head)}
    return build_classifier(
        backbone, heads, {"label": HeadSize(CLASSES)}, ImageConfig(size_px=SIZE_PX), seed
    )


def small_batch(count: int = 12, seed: int = 0) -> tuple:
    """Images and labels of one batch, as a step takes them."""
    generator = np.random.default_rng(seed)
    images = generator.uniform(0, 255, (count, SIZE_PX, SIZE_PX, 3)).astype(np.float32)
    labels = generator.integers(0, CLASSES, count)
    return (tf.constant(images),), {"label": tf.constant(labels)}
