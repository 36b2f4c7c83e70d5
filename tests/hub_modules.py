"""SavedModels as people have them, made here by TensorFlow in the layouts that are published."""

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

SIZE_PX = 24
FEATURES = 10
LAYOUTS = ("training_argument", "no_training", "signature")


def small_network(size_px: int | None = SIZE_PX, pooled: bool = True) -> keras.Model:
    """Three convolutions with BatchNormalization in units `block_1` and `block_2`, and a stem."""
    with keras.name_scope("net"):
        x = images = keras.Input((size_px, size_px, 3))
        for number, name in enumerate(("stem", "block_1", "block_2")):
            initializer = keras.initializers.GlorotUniform(seed=number)
            x = keras.layers.Conv2D(
                4 + 3 * number,
                3,
                strides=2,
                padding="same",
                use_bias=False,
                kernel_initializer=initializer,
                name=f"{name}_conv",
            )(x)
            x = keras.layers.BatchNormalization(momentum=0.8, name=f"{name}_bn")(x)
            x = keras.layers.ReLU(max_value=6.0, name=f"{name}_relu")(x)
        if pooled:
            x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    model = keras.Model(images, x, name="net")
    # As trained statistics are: of the size of what they normalise, and not 0 and 1.
    ranges = {"moving_mean": (-0.1, 0.1), "moving_variance": (0.05, 0.2), "gamma": (0.5, 1.0)}
    generator = np.random.default_rng(0)
    for variable in model.variables:
        if variable.name in ranges:
            variable.assign(generator.uniform(*ranges[variable.name], variable.shape))
    return model


def save_module(
    model: keras.Model, directory: Path, layout: str, *, regularization: float = 0.0
) -> Path:
    """Saves a network of images in [0, 1].

    Args:
        model: the network.
        directory: where to.
        layout: ``training_argument``: a reusable SavedModel, whose call takes `training`;
            ``no_training``: one whose call does not; ``signature``: with ``serving_default`` only.
        regularization: strength of an L2 penalty that the module brings with it.
    """
    shape = model.input_shape
    module = tf.train.Checkpoint()
    module.variables = _values(model.variables)
    module.trainable_variables = _values(model.trainable_variables)
    spec = tf.TensorSpec(shape, tf.float32, name="inputs")
    if layout == "training_argument":
        call = tf.function(lambda inputs, training=False: model(inputs, training=training))
        for training in (True, False):
            call.get_concrete_function(spec, training=training)
    else:
        call = tf.function(lambda inputs: model(inputs, training=False), input_signature=[spec])
    if regularization:
        kernels = [v.value for v in model.trainable_variables if v.name == "kernel"]
        module.regularization_losses = [_penalty(kernel, regularization) for kernel in kernels]
    signatures = {}
    if layout == "signature":
        named = tf.function(lambda inputs: {"features": call(inputs)}, input_signature=[spec])
        signatures = {"serving_default": named.get_concrete_function()}
    else:
        module.__call__ = call
    tf.saved_model.save(module, str(directory), signatures=signatures)
    return directory


def _values(variables: Sequence[keras.Variable]) -> list[tf.Variable]:
    return [variable.value for variable in variables]


def _penalty(kernel: tf.Variable, strength: float) -> tf.types.experimental.GenericFunction:
    return tf.function(lambda: strength * tf.reduce_sum(kernel**2), input_signature=[])
