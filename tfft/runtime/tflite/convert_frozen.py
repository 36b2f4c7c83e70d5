"""Converts a Keras model to a TFLite file for this process alone, in a third of the time.

`tfft.runtime.tflite.convert` goes through a SavedModel, which gives the file a signature. Here the
graph is frozen in memory, so that the file has only the names that the graph gives its outputs.
"""

import contextlib
import io

from tfft.system.tensorflow import keras, tf

from tensorflow.lite.python.convert_phase import ConverterError
from tensorflow.python.framework.convert_to_constants import (
    convert_variables_to_constants_v2,
)

from tfft.errors import TfftError
from tfft.system.quiet import descriptors_kept_aside


def convert_frozen(model: keras.Model, batch_size: int) -> bytes:
    """Converts a model in inference mode to a float32 TFLite file with a fixed batch.

    Args:
        model: Model with one input [batch, ...]; its outputs are a tensor or a list.
        batch_size: Batch size of the file.

    Returns:
        The file's content; `TfliteFunction` returns its outputs in the model's order.

    Raises:
        TfftError: TFLite cannot hold the model.
    """

    def forward(inputs: tf.Tensor) -> list[tf.Tensor]:
        return tf.nest.flatten(model(inputs, training=False))

    spec = tf.TensorSpec((batch_size, *model.input_shape[1:]), model.inputs[0].dtype)
    with descriptors_kept_aside(1, 2), contextlib.redirect_stdout(io.StringIO()):
        try:
            traced = tf.function(forward, autograph=False).get_concrete_function(spec)
            frozen = convert_variables_to_constants_v2(traced)
            return tf.lite.TFLiteConverter.from_concrete_functions([frozen]).convert()
        except (ConverterError, ValueError, RuntimeError, TypeError) as error:
            raise TfftError(f"TFLite cannot hold this model: {error}") from error
