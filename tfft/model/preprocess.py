"""Preprocessing as plain Keras layers inside the model.

Only layers and operations of Keras itself are used, so that a saved ``.keras`` file loads without
tfft and in safe mode.
"""

from typing import Any

from tfft.system.tensorflow import keras

# Per channel (RGB), of pixels in 0..1; the normalisation of torchvision's ImageNet weights.
_TORCH_MEAN = (0.485, 0.456, 0.406)
_TORCH_STD = (0.229, 0.224, 0.225)
# Per channel (BGR), of pixels in 0..255; the normalisation of the original Caffe weights.
_CAFFE_MEAN = (103.939, 116.779, 123.68)


def preprocess(images: keras.KerasTensor, mode: str) -> keras.KerasTensor:
    """Applies the preprocessing that a backbone's weights were trained with.

    Args:
        images: float32 [batch, height, width, 3], RGB, 0..255.
        mode: ``BackboneSpec.preprocessing``.

    Returns:
        float32 [batch, height, width, 3]. The layers compute in float32 under every dtype policy:
        0..255 does not fit into half precision without loss.
    """
    if mode == "none":
        return images
    if mode == "caffe":
        bgr = keras.ops.flip(images, axis=-1)
        return _rescaling(1.0, [-mean for mean in _CAFFE_MEAN])(bgr)
    if mode == "torch":
        scale = [1.0 / (255.0 * std) for std in _TORCH_STD]
        offset = [-mean / std for mean, std in zip(_TORCH_MEAN, _TORCH_STD, strict=True)]
        return _rescaling(scale, offset)(images)
    scale, offset = {
        "unit": (1 / 255.0, 0.0),
        "tf": (1 / 127.5, -1.0),
        "lite": (1 / 128.0, -127.0 / 128.0),
    }[mode]
    return _rescaling(scale, offset)(images)


def _rescaling(scale: Any, offset: Any) -> keras.layers.Layer:
    """Scale and offset are numbers, or lists of one for each channel."""
    return keras.layers.Rescaling(scale, offset, dtype="float32", name="preprocessing")
