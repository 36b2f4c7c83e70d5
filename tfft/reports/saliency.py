"""Where a model looks: Grad-CAM, or the gradient of the pixels for models without feature maps."""

from dataclasses import dataclass
from typing import Any

from tfft.system.tensorflow import keras, tf

import numpy as np

from tfft.backbones.graph import graph_nodes

# The gradient of single pixels is noise; its mean over a sixteenth of each side is not.
_SMOOTHED_SHARE = 16


@dataclass(frozen=True, eq=False)
class Saliency:
    """Says which parts of an image are evidence for a class.

    Attributes:
        method: ``Grad-CAM`` or ``input gradient``.
        below: Model from images to feature maps [n, h, w, k]; None if the gradient is that of the
            pixels.
        above: Model from feature maps (or images) to the output of one head.
    """

    method: str
    below: keras.Model | None
    above: keras.Model

    def __call__(self, images: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """Returns maps float32 [n, height, width] in 0..1, the largest of each 1 (or all 0).

        Args:
            images: Images, float32 [n, height, width, channels], 0..255.
            classes: Class of each image to explain, int [n].

        Source: Selvaraju et al. 2017, "Grad-CAM"; for the gradient of the pixels Simonyan et al.
            2014, "Deep Inside Convolutional Networks".
        """
        maps = self.maps(images, classes)
        sized = tf.image.resize(maps[..., None], images.shape[1:3], "bilinear")[..., 0].numpy()
        return sized / np.maximum(sized.max(axis=(1, 2), keepdims=True), 1e-12)

    def maps(self, images: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """Returns the maps as computed, float32 [n, h, w], 0 or more."""
        pixels = tf.constant(images, tf.float32)
        activations = pixels if self.below is None else self.below(pixels, training=False)
        with tf.GradientTape() as tape:
            tape.watch(activations)
            outputs = self.above(activations, training=False)
            chosen = tf.gather(outputs, tf.constant(classes), axis=1, batch_dims=1)
        gradients: Any = tape.gradient(chosen, activations)
        if self.below is None:
            window = [max(1, side // _SMOOTHED_SHARE) for side in images.shape[1:3]]
            strongest = tf.reduce_max(tf.abs(gradients), axis=-1, keepdims=True)
            return tf.nn.avg_pool2d(strongest, window, window, "SAME").numpy()[..., 0]
        weights = tf.reduce_mean(gradients, axis=(1, 2), keepdims=True)
        return tf.nn.relu(tf.reduce_sum(weights * activations, axis=-1)).numpy()


def saliency_of(model: keras.Model, head: str) -> Saliency:
    """Returns the saliency of one head's output, by Grad-CAM where the model has feature maps.

    Args:
        model: Model from images to ``{head: output}``.
        head: Name of the head whose output is explained.
    """
    outputs: Any = model.output
    output = outputs[head]
    maps = _last_maps(keras.Model(model.input, output))
    if maps is None:
        return Saliency("input gradient", None, keras.Model(model.input, output))
    return Saliency("Grad-CAM", keras.Model(model.input, maps), keras.Model(maps, output))


def _last_maps(model: keras.Model) -> keras.KerasTensor | None:
    """Returns the last feature maps [n, h, w, k], which alone decide the output, or None."""
    made = {id(tensor) for node in graph_nodes(model) for tensor in node.outputs if node.inputs}
    leaving = {
        id(tensor): tensor
        for node in graph_nodes(model)
        for tensor in node.inputs
        if len(tensor.shape) == 4 and any(len(o.shape) != 4 for o in node.outputs)
    }
    if len(leaving) != 1:
        return None
    (tensor,) = leaving.values()
    return tensor if id(tensor) in made and tensor.shape[1] > 1 and tensor.shape[2] > 1 else None
