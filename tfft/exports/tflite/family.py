"""The TFLite files of a run: each is made, compared and measured before it is put in place."""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tfft.config.recipe import TfliteConfig
from tfft.data.index import ImageIndex
from tfft.errors import GateError
from tfft.exports.card import Facts
from tfft.exports.documents import tflite_use, write_documents
from tfft.exports.parity import OTHER_DECODER, Comparison, Reference, spread_over_classes
from tfft.exports.tflite.accuracy import accuracy_drop, require_accuracy
from tfft.exports.tflite.build import float32_content, read_labels, write_tflite
from tfft.exports.tflite.int8_search import Calibration, find_int8
from tfft.exports.tflite.quantize import dynamic_int8, float16
from tfft.images.pixels import encoded_to_pixels
from tfft.runtime.info import ModelInfo
from tfft.runtime.keras_predictor import KerasPredictor
from tfft.runtime.load import read_tflite_info
from tfft.runtime.tflite.predictor import TflitePredictor
from tfft.runtime.timing import time_model
from tfft.system.files import atomic_directory, explained_os_errors
from tfft.system.formats import CHECKS
from tfft.system.machine import processors
from tfft.system.progress import Progress

_DESCRIPTIONS = {
    "float32": "Weights and activations in float32.",
    "float16": "Weights in float16, activations in float32.",
    "dynamic_int8": "Weights in int8, activations in float32.",
    "int8": "Weights and activations in int8.",
}
# Seconds of warm calls that are timed, for each number of threads.
_TIMED_S = 0.25


@dataclass(frozen=True)
class TfliteFamily:
    """What became of each precision.

    Attributes:
        files: Files that were put in place, by precision.
        checks: Check of each file, also of refused ones, by ``TFLite <precision>``.
        refused: Why a file was not put in place, by precision.
    """

    files: dict[str, Path] = field(default_factory=dict)
    checks: dict[str, dict[str, Any]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)


def export_tflite(
    original: KerasPredictor,
    reference: Reference,
    facts: Facts,
    training: ImageIndex,
    directory: Path,
    name: str,
    config: TfliteConfig,
    progress: Progress,
) -> TfliteFamily:
    """Writes a version's directory with a file for each precision that passes its gate.

    float32 must answer as the Keras model does. The others differ by design: they may be less
    accurate by ``max_accuracy_drop`` at most.

    Args:
        original: The Keras model.
        reference: Evaluation images and the Keras model's answers.
        facts: What the card beside the files says.
        training: Images that calibration images are taken from.
        directory: Directory of the version; it must not exist, and is not made if no file passes.
        name: Name of the export.
        config: Which files to make, and how.
        progress: Where progress is reported.
    """
    family = TfliteFamily()
    task = progress.start("TFLite", 2 * len(config.precisions) + 1, "steps")
    try:
        content = float32_content(original.model, facts.info, config.batch_size)
        maker = _Maker(content, facts.info, reference, training, config, directory.name)
        task.advance(1)
        with explained_os_errors(directory), tempfile.TemporaryDirectory() as scratch:
            passed = []
            for precision in config.precisions:
                path = Path(scratch) / f"{name}_{precision}.tflite"
                comparison, found = maker.make(precision, path, progress)
                task.advance(1)
                try:
                    _judge(precision, path, comparison, config)
                    passed.append(path)
                    family.files[precision] = directory / path.name
                except GateError as error:
                    family.refused[precision] = str(error)
                passes = precision in family.files
                family.checks[f"TFLite {precision}"] = {
                    **comparison.check.to_json(),
                    "accuracy_drop": accuracy_drop(comparison),
                    "in_place": passes,
                    "size_bytes": path.stat().st_size,
                    **(_timed(path) if passes and config.timed else {}),
                    **found,
                }
                task.advance(1)
            if passed:
                with atomic_directory(directory) as temporary:
                    for file in passed:
                        shutil.copyfile(file, temporary / file.name)
                    CHECKS.write(temporary / "checks.json", family.checks)
                    in_place = {k: c for k, c in family.checks.items() if c["in_place"]}
                    use = tflite_use([file.name for file in passed])
                    write_documents(temporary, facts, in_place, use)
    finally:
        task.close()
    return family


def _timed(path: Path) -> dict[str, Any]:
    """Returns ``latency_ms`` of a file by number of threads, and ``memory_mb``.

    The latencies are percentiles of one call on this machine, with one thread and with all; the
    memory is the most that the model adds to a process.
    """
    timings = {n: time_model(path, threads=n, seconds=_TIMED_S) for n in {1, processors()}}
    return {
        "latency_ms": {
            str(threads): {"p50": timing.batches[0].p50_ms, "p90": timing.batches[0].p90_ms}
            for threads, timing in sorted(timings.items())
        },
        "memory_mb": timings[1].memory_mb,
    }


@dataclass(frozen=True, eq=False)
class _Maker:
    """Makes the file of each precision from the float32 one."""

    content: bytes
    info: ModelInfo
    reference: Reference
    training: ImageIndex
    config: TfliteConfig
    version: str

    def make(
        self, precision: str, path: Path, progress: Progress
    ) -> tuple[Comparison, dict[str, Any]]:
        """Writes a file.

        Returns:
            Its answers beside those of the Keras model, and what was tried to get it, if anything.
        """
        if precision == "int8":
            found = find_int8(
                self.content,
                Calibration(self.config.calibration_images, self._calibration_images),
                partial(self._compared, precision="int8", path=path),
                self.config.max_accuracy_drop,
                progress,
            )
            self._write(found.content, "int8", path)
            return found.comparison, {"tried": found.tried, "noisiest_layers": found.noisiest}
        convert = {"float16": float16, "dynamic_int8": dynamic_int8}.get(precision, bytes)
        return self._compared(convert(self.content), precision, path), {}

    def _compared(self, content: bytes, precision: str, path: Path) -> Comparison:
        self._write(content, precision, path)
        return self.reference.comparison(TflitePredictor(path, read_tflite_info(path)))

    def _write(self, content: bytes, precision: str, path: Path) -> None:
        write_tflite(
            content,
            self.info,
            path,
            version=self.version,
            description=_DESCRIPTIONS[precision],
            uint8_input=precision == "int8" and self.config.int8_input == "uint8",
        )

    def _calibration_images(self, count: int) -> Sequence[np.ndarray]:
        index = self.training.take(spread_over_classes(self.training.targets["label"], count))
        boxes = [None] * len(index) if index.boxes is None else index.boxes
        return [
            encoded_to_pixels(index.read(number), self.info.pixels, box)
            for number, box in enumerate(boxes)
        ]


def _judge(precision: str, path: Path, comparison: Comparison, config: TfliteConfig) -> None:
    """Raises a GateError if a file must not be put in place."""
    what = f"TFLite {precision}"
    for name, head in comparison.heads.items():
        if head.class_names and read_labels(path, name) != head.class_names:
            raise GateError(
                f"{what}: its label file does not have the class names of the model, in their "
                "order; not put in place"
            )
    if precision == "float32":
        comparison.require_same(what, OTHER_DECODER)
    else:
        require_accuracy(comparison, what, config.max_accuracy_drop)
