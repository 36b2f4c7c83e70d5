"""Smaller TFLite files from a float32 one, by the AI Edge Quantizer, without TensorFlow.

The quantiser works on the file itself: it takes seconds where TensorFlow's converter takes a
minute, can be told what to do with each operator, and compares tensors of both files by name.
"""

import contextlib
import io
import re
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from ai_edge_quantizer import qtyping, quantizer, recipe_manager
from ai_edge_quantizer.algorithm_manager import AlgorithmName
from ai_edge_quantizer.calibrator import CalibrationMode, Calibrator
from ai_edge_quantizer.utils import qsv_utils

from tfft.exports.tflite.file import (
    give_floats,
    layers,
    layers_only_for,
    model_bytes,
    read_model,
)
from tfft.exports.tflite.quantized_bias import mend_biases
from tfft.system.names import UNLIKENESS
from tfft.system.progress import SILENT, Progress
from tfft.system.quiet import descriptors_kept_aside

# Smallest and largest value of each tensor by name, over the calibration images.
Ranges = dict[str, Any]

SIGNATURE = "serving_default"
_INPUT = "images"
_ALL = qtyping.TFLOperationName.ALL_SUPPORTED
_FLOAT16 = qtyping.OpQuantizationConfig(
    weight_tensor_config=qtyping.TensorQuantizationConfig(
        num_bits=16, dtype=qtyping.TensorDataType.FLOAT
    ),
    compute_precision=qtyping.ComputePrecision.FLOAT,
    explicit_dequantize=True,
)


def float16(content: bytes) -> bytes:
    """Returns a file with weights in float16; clients that compute in float32 still do."""
    recipe = recipe_manager.RecipeManager()
    recipe.add_quantization_config(".*", _ALL, _FLOAT16, AlgorithmName.FLOAT_CASTING)
    return _quantized(content, recipe)


def dynamic_int8(content: bytes) -> bytes:
    """Returns a file with int8 weights, one scale for each channel, and float activations.

    Convolutions and dense layers quantise their activations on the fly and compute in int8.
    Depthwise convolutions compute in float: the runtime has no fast kernel of this kind for them.
    So does what measures how unlike its training images an image is.
    """
    recipe = recipe_manager.RecipeManager()
    for operation in (
        qtyping.TFLOperationName.CONV_2D,
        qtyping.TFLOperationName.FULLY_CONNECTED,
    ):
        recipe.add_dynamic_config(".*", operation, num_bits=8)
    recipe.add_weight_only_config(".*", qtyping.TFLOperationName.DEPTHWISE_CONV_2D, num_bits=8)
    _keep_float(recipe, layers_only_for(read_model(content), UNLIKENESS))
    return _quantized(content, recipe)


def calibrate(content: bytes, images: Sequence[np.ndarray], progress: Progress = SILENT) -> Ranges:
    """Runs a float file on images and returns the range of each of its tensors.

    Args:
        content: Content of the float32 file.
        images: Calibration images, each float32 [height, width, 3], 0..255.
        progress: Where progress is reported.
    """
    recipe = _static()
    # Smallest and largest value, not their moving average, which is the quantiser's default: on
    # Stanford Dogs the file agrees better by that, and the input's range is exactly 0..255.
    with _quiet():
        calibrator = Calibrator(
            content,  # pyright: ignore[reportArgumentType] (declared as a path or bytes)
            num_threads=1,
            mode=CalibrationMode.CALIBRATION_PROFILER_BASED,
            qsv_update_func=qsv_utils.min_max_update,
        )
    task = progress.start("calibration", len(images))
    try:
        for batch in _batches(content, images):
            with _quiet():
                calibrator.calibrate({SIGNATURE: [batch]}, recipe)
            task.advance(len(batch[_INPUT]))
    finally:
        task.close()
    ranges = calibrator.get_model_qsvs()
    (name,) = (name for name in ranges if name.partition(":")[0].endswith(f"_{_INPUT}"))
    shape = np.shape(ranges[name]["min"])
    ranges[name] = {"min": np.zeros(shape), "max": np.full(shape, 255.0)}
    return ranges


def int8(content: bytes, ranges: Ranges, keep_float: Sequence[str] = ()) -> bytes:
    """Returns a file that computes in int8, with one scale for each channel of the weights.

    Its input and outputs stay float32, and so do the operators that turn the last dense layer's
    output into probabilities or boxes: 256 steps between 0 and 1 are too few. What measures how
    unlike its training images an image is stays in float, too: it is a small difference of squares.

    Args:
        content: Content of the float32 file.
        ranges: Ranges from `calibrate`.
        keep_float: Names of tensors; the operators that make them compute in float.
    """
    original = read_model(content)
    last_activations = [
        layer.name
        for layer in layers(original)
        if layer.is_output and layer.kind != "FULLY_CONNECTED"
    ]
    distance = layers_only_for(original, UNLIKENESS)
    recipe = _static([*keep_float, *last_activations, *distance])
    quantised = read_model(_quantized(content, recipe, ranges))
    mend_biases(quantised, original)
    give_floats(quantised)
    return model_bytes(quantised)


def noise_by_tensor(
    content: bytes, quantised: bytes, images: Sequence[np.ndarray]
) -> dict[str, float]:
    """Returns how far each tensor of a quantised file is off.

    That is the mean square of the difference as a share of the mean square of the float tensor: 0
    means equal, 1 noise as strong as the signal.

    Args:
        content: Content of the float32 file.
        quantised: Content of a file that `int8` made from it.
        images: Images to compare on, each float32 [height, width, 3], 0..255.
    """
    with _quiet():
        found = quantizer.Quantizer(content, previous_quantized_model=quantised).validate(
            {SIGNATURE: _batches(content, images)},
            error_metrics=[quantizer.ValidationErrorMetric.SNR],
            use_xnnpack=False,
            num_threads=1,
        )
    compared = found.get_signature_comparison_result(SIGNATURE)
    tensors = {**compared.intermediate_tensors, **compared.output_tensors}
    return {name: 1.0 / max(float(of["snr"]), 1e-9) for name, of in tensors.items()}


def _batches(content: bytes, images: Sequence[np.ndarray]) -> list[dict[str, np.ndarray]]:
    """Returns batches of the file's size; the last is filled up with copies of its last image."""
    graph = read_model(content).subgraphs[0]
    size = int(graph.tensors[graph.inputs[0]].shape[0])
    groups = [images[start : start + size] for start in range(0, len(images), size)]
    return [{_INPUT: np.stack([*g, *[g[-1]] * (size - len(g))])} for g in groups]


def _static(keep_float: Sequence[str] = ()) -> recipe_manager.RecipeManager:
    recipe = recipe_manager.RecipeManager()
    recipe.add_static_config(".*", _ALL, activation_num_bits=8, weight_num_bits=8)
    for operation in (qtyping.TFLOperationName.INPUT, qtyping.TFLOperationName.OUTPUT):
        recipe.add_quantization_config(".*", operation, algorithm_key=AlgorithmName.NO_QUANTIZE)
    _keep_float(recipe, keep_float)
    return recipe


def _keep_float(recipe: recipe_manager.RecipeManager, names: Sequence[str]) -> None:
    for name in names:
        recipe.add_quantization_config(
            f"^{re.escape(name)};$", _ALL, algorithm_key=AlgorithmName.NO_QUANTIZE
        )


def _quantized(
    content: bytes, recipe: recipe_manager.RecipeManager, ranges: Ranges | None = None
) -> bytes:
    with _quiet():
        result: Any = quantizer.Quantizer(content, recipe.get_quantization_recipe()).quantize(
            ranges, enable_progress_report=False
        )
    return bytes(result.quantized_model)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the quantiser's progress bars and reports off the screen."""
    with (
        descriptors_kept_aside(2),
        contextlib.redirect_stderr(io.StringIO()),
        contextlib.redirect_stdout(io.StringIO()),
        warnings.catch_warnings(),
    ):
        # ai-edge-litert 2.3.0 warns that keeping all tensors takes memory; the quantiser has to.
        warnings.filterwarnings("ignore", "Warning: Enabling `experimental_preserve", UserWarning)
        # ai-edge-quantizer 0.10.0 clips biases to 2**31, too large for int32: `mend_biases`.
        warnings.filterwarnings("ignore", "invalid value encountered in cast", RuntimeWarning)
        yield
