"""A TFLite file computed by OpenVINO, in bfloat16 where the processor has it (extra `openvino`).

OpenVINO reads the float32 file that TFLite runs, and computes its convolutions and products in
half of the bits: on processors with AVX512-BF16 or AMX twice as fast, and an approximation. On
others it computes in float32.
"""

import contextlib
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tfft.errors import ModelFileError, UsageError
from tfft.runtime.tflite.runner import MOST_WORKERS, Workers, in_whole_batches
from tfft.system.machine import processors
from tfft.system.quiet import descriptors_kept_aside
from tfft.system.readable import install_command

Precision = Literal["bfloat16", "float32"]
_HINTS: dict[Precision, str] = {"bfloat16": "bf16", "float32": "f32"}
# Importing OpenVINO tells its maker so, unless this package is missing, which it provides for.
_TELEMETRY = "openvino_telemetry"


@cache
def _core() -> Any:
    """Imports OpenVINO without its telemetry, and returns what runs its models."""
    with _without(_TELEMETRY):
        try:
            import openvino
        except ImportError as error:
            raise UsageError(
                "train.cache.engine: openvino needs the extra `openvino`: "
                f"{install_command('openvino')} ({error})"
            ) from error
    return openvino.Core()


@contextlib.contextmanager
def _without(package: str) -> Iterator[None]:
    """Lets others be imported as if a package were not installed, unless it is imported already."""
    hidden: dict[str, None] = {} if package in sys.modules else {package: None}
    sys.modules.update(hidden)  # type: ignore[arg-type]  # None stands for what is not there
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


def openvino_precision() -> Precision:
    """Returns what OpenVINO computes in on this machine, without starting TensorFlow.

    Raises:
        UsageError: OpenVINO is not installed.
    """
    capabilities = _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return "bfloat16" if "BF16" in capabilities else "float32"


def openvino_version() -> str:
    """Returns the version of the package, which decides its numbers."""
    return version("openvino")


class OpenVinoWorkers(Workers):
    """A TFLite model that OpenVINO runs on several batches at once, on a processor each.

    Args:
        content: Content of the file, of `tfft.runtime.tflite.convert_frozen`.
        precision: What it computes in; inputs and outputs are float32.

    Raises:
        UsageError: OpenVINO is not installed.
        ModelFileError: OpenVINO does not know the model, or computes it in another precision.
    """

    def __init__(self, content: bytes, precision: Precision) -> None:
        compiled = _compiled(content, precision)
        # As `TfliteFunction` has them: Identity, Identity_1, …, Identity_10.
        names = [output.get_any_name() for output in compiled.outputs]
        order = sorted(range(len(names)), key=lambda place: (len(names[place]), names[place]))
        size = compiled.input(0).shape[0]
        dtype = compiled.input(0).get_element_type().to_dtype()

        def worker() -> Any:
            request = compiled.create_infer_request()

            def run(batch: np.ndarray) -> tuple[np.ndarray, ...]:
                request.infer([np.ascontiguousarray(batch, dtype)], share_inputs=True)
                return tuple(request.get_output_tensor(place).data.copy() for place in order)

            return lambda rows: in_whole_batches(rows, size, run)

        super().__init__([worker() for _ in range(_streams())])


def _streams() -> int:
    return min(processors(), MOST_WORKERS)


def _compiled(content: bytes, precision: Precision) -> Any:
    core = _core()
    options = {
        "INFERENCE_PRECISION_HINT": _HINTS[precision],
        "NUM_STREAMS": _streams(),
        "INFERENCE_NUM_THREADS": processors(),
        "ENABLE_CPU_PINNING": False,  # the threads that decode need the same processors
    }
    # Its reader of TFLite files takes none from memory.
    with tempfile.TemporaryDirectory() as directory, descriptors_kept_aside(2):
        file = Path(directory) / "model.tflite"
        file.write_bytes(content)
        try:
            compiled = core.compile_model(core.read_model(file), "CPU", options)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1].replace(str(file), "")
            raise ModelFileError(f"OpenVINO cannot run the converted model: {reason}") from error
    computed = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
    if computed != _HINTS[precision]:
        raise ModelFileError(
            f"OpenVINO computes the converted model in {computed}, not in {_HINTS[precision]}"
        )
    return compiled
