"""Converts a Keras model to a TFLite file that runs wherever TFLite runs."""

import contextlib
import io
import math
from typing import Any

from tfft.system.tensorflow import keras, tf

from ai_edge_litert import schema_py_generated as schema
from tensorflow.lite.python.convert_phase import ConverterError

from tfft.errors import TfftError
from tfft.system.disks import require_temporary_room
from tfft.system.quiet import descriptors_kept_aside

# Operators of files that only a full TensorFlow can run, or that are silently wrong in a browser.
_REFUSED = ("CUSTOM", "Flex", "READ_VARIABLE", "VAR_HANDLE", "ASSIGN_VARIABLE")


def convert_to_tflite(model: keras.Model, batch_size: int = 1) -> bytes:
    """Converts a model to a float32 TFLite file with a fixed batch and no Flex operators.

    Args:
        model: Model with one input, float32 [batch, ...]; its outputs are a tensor, a list or a
            dict.
        batch_size: Batch size of the file.

    Returns:
        The file's content. Its signature ``serving_default`` has the outputs by name: the keys of
        the dict, or ``output_0000`` and so on.

    Raises:
        TfftError: The model needs operators that TFLite does not have, or there is no room in the
            temporary directory, which the converter needs and does not report.
    """
    require_temporary_room(4 * sum(math.prod(variable.shape) for variable in model.variables))
    inputs = keras.Input(batch_shape=(batch_size, *model.input_shape[1:]), name="images")
    outputs: Any = model(inputs)
    if not isinstance(outputs, dict):
        tensors = outputs if isinstance(outputs, list | tuple) else [outputs]
        outputs = {f"output_{number:04d}": tensor for number, tensor in enumerate(tensors)}
    fixed = keras.Model(inputs, outputs)
    with descriptors_kept_aside(1, 2), contextlib.redirect_stdout(io.StringIO()):
        try:
            content = tf.lite.TFLiteConverter.from_keras_model(fixed).convert()
        except (ConverterError, ValueError, RuntimeError) as error:
            raise TfftError(f"TFLite cannot hold this model: {error}") from error
    refused = sorted({name for name in operators(content) if name.startswith(_REFUSED)})
    if refused:
        raise TfftError(
            f"the converted file needs operators that not every TFLite client has: "
            f"{', '.join(refused)}"
        )
    return content


def operators(content: bytes) -> tuple[str, ...]:
    """Returns the names of all operators in a TFLite file, as its schema spells them.

    Args:
        content: Content of the file.

    Returns:
        Names; that of a custom operator is its own, such as ``FlexErf``.
    """
    names = {v: k for k, v in vars(schema.BuiltinOperator).items() if isinstance(v, int)}
    model: Any = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    return tuple(
        code.customCode.decode()
        if code.customCode
        else names[max(code.builtinCode, code.deprecatedBuiltinCode)]
        for code in model.operatorCodes
    )
