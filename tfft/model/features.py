"""The part of a trained model that ends where a head begins."""

from typing import Any

from tfft.system.tensorflow import keras

from tfft.errors import ModelFileError

_AVERAGES = {4: keras.layers.GlobalAveragePooling2D, 3: keras.layers.GlobalAveragePooling1D}


def feature_model(model: keras.Model, head: str) -> keras.Model:
    """Returns the model from inputs to the features that a head takes, float32 [batch, features].

    Where the head takes activations with positions (pooling ``grid``), these are averaged over
    their positions. Its layers are those of `model`.

    Args:
        model: A trained model, as `tfft.model.assemble` builds it: ``{head: output}``.
        head: Name of a head.

    Raises:
        ModelFileError: The model has no such head with layers of its own.
    """
    own = f"{head}_"
    if f"{own}logits" not in {layer.name for layer in model.layers}:
        raise ModelFileError(
            f"the model has no layer {own}logits, from which the features of a head are found: "
            "it was not trained by tfft"
        )
    features: Any = model.get_layer(f"{own}logits").input
    while (layer := features._keras_history.operation).name.startswith(own):
        features = layer.input
    average = _AVERAGES.get(len(features.shape))
    return keras.Model(model.input, average()(features) if average else features)
