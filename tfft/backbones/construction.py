"""Builds the models of the catalog, with the same layer names and random weights every time.

Two things outside a model decide what a Keras builder makes: the counters behind automatic layer
names (`conv2d_17`), which count through the whole process, and Python's `random`, from which each
initialiser without a seed draws one. Both are set while a model is built and restored afterwards.
"""

import collections
import contextlib
import importlib
import random
from collections.abc import Iterator, Mapping
from typing import Any

from tfft.system.tensorflow import keras

from tfft.catalog.image_size import ImageSize, sides
from tfft.catalog.spec import BackboneSpec

# Keras 3.15.1 has no public way to restart the names without clearing all of its state.
_global_state = keras.src.backend.common.global_state


def build_model(
    spec: BackboneSpec, arguments: Mapping[str, Any], size_px: ImageSize
) -> keras.Model:
    """Builds a backbone of the catalog with random weights.

    Args:
        spec: Entry of the catalog, which names the builder.
        arguments: Builder arguments, defaults filled in.
        size_px: Height and width of the images in pixels.
    """
    module, function = spec.builder.split(":")
    builder = getattr(importlib.import_module(module), function)
    input_shape = (*sides(size_px), 3)
    if spec.kind == "lite":
        return builder(input_shape=input_shape)
    model = builder(
        input_shape=input_shape,
        include_top=False,
        weights=None,
        **spec.fixed_arguments,
        **arguments,
    )
    if spec.first_layer is None:
        return model
    return keras.Model(model.get_layer(spec.first_layer).input, model.output, name=model.name)


@contextlib.contextmanager
def reproducible_construction(seed: int) -> Iterator[None]:
    """Names layers from zero and initialises them from `seed` while the context is open.

    The random states of TensorFlow, NumPy and Keras are not touched, and Python's `random`
    continues afterwards as if nothing had been drawn.
    """
    counters = _global_state.get_global_attribute("object_name_uids")
    state = random.getstate()
    _global_state.set_global_attribute("object_name_uids", collections.defaultdict(int))
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)
        _global_state.set_global_attribute("object_name_uids", counters)
