"""Calls the builders that the catalog names."""

import importlib
from collections.abc import Mapping
from typing import Any

from tfft.system.tensorflow import keras

from tfft.catalog.spec import BackboneSpec


def build_model(spec: BackboneSpec, arguments: Mapping[str, Any], size_px: int) -> keras.Model:
    """Builds a backbone of the catalog with random weights, for images of `size_px`."""
    module, function = spec.builder.split(":")
    builder = getattr(importlib.import_module(module), function)
    input_shape = (size_px, size_px, 3)
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
