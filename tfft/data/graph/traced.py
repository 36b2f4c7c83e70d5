"""Graphs of one encoded image that are traced once in a process, whatever calls them."""

from collections.abc import Callable

from tfft.system.tensorflow import tf


def traced_once(function: Callable[[tf.Tensor], tf.Tensor]) -> Callable[[tf.Tensor], tf.Tensor]:
    """Makes a graph function of a function of encoded bytes (string scalar).

    Tracing the decoder takes as long as decoding 1,000 images. Pipelines, predictors and
    signatures of other sizes, and of the same, call the graph that the first of them traced.
    """
    return tf.function(function, autograph=False, input_signature=[tf.TensorSpec([], tf.string)])
