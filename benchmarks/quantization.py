"""TFLite files side by side: accuracy on Stanford Dogs, size, and speed at one thread.

Trains the recipe stanford_dogs_crops (heads only) for each backbone, exports every precision, and
makes full int8 once more with TensorFlow's converter. All files answer the same test images. Their
speed is measured in interleaved rounds, each of which runs every file; the result is the median
over rounds of the ratio to float32, which other work on the machine hardly changes.

    python benchmarks/quantization.py --shared ../shared/data --runs DIR
"""

import argparse
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from cells import Cells, run_tfft
from tables import interval_text, put_into, table_text

from tfft.data.index import ImageIndex
from tfft.evaluation.data import recorded_data
from tfft.exports.parity import spread_over_classes
from tfft.runtime.load import load_predictor
from tfft.runtime.predictor import Predictor
from tfft.system.progress import SILENT

DOCS = Path(__file__).parents[1] / "docs" / "tflite.md"
BACKBONES: dict[str, list[str]] = {
    "EfficientNetLite0": [],
    "MobileNet-0.25": [
        "backbone.kind=application",
        "backbone.name=MobileNet",
        "backbone.arguments.alpha=0.25",
    ],
}
PRECISIONS = ("float32", "float16", "dynamic_int8", "int8")
CONVERTER = "int8 by TensorFlow's converter"
TEST_IMAGES = 2_040
CALIBRATION_IMAGES = 200
ROUNDS, CALLS = 100, 5
_CHUNK = 60


def measure(backbone: str, shared: Path, runs: Path, cells: Cells) -> None:
    """Measures every file of one backbone and stores a cell for each."""
    run = _trained(backbone, shared, runs)
    keras = load_predictor(run)
    data = recorded_data(keras.info, SILENT)
    files, seconds = _exported(run, runs, backbone, data.splits["train"])
    predictors = {name: load_predictor(file, threads=1) for name, file in files.items()}
    test = data.splits["test"]
    test = test.take(spread_over_classes(test.targets["label"], TEST_IMAGES))
    answers = _answers({"keras": keras, **predictors}, test)
    ratios = _ratios(predictors)
    size = files["float32"].stat().st_size
    for name, file in files.items():
        measured = {
            "examples": len(test),
            "top1": _share(answers[name], test.targets["label"]),
            "keras_top1": _share(answers["keras"], test.targets["label"]),
            "agreement": _share(answers[name], answers["keras"]),
            "size_bytes": file.stat().st_size,
            "size_ratio": file.stat().st_size / size,
            "seconds_to_make": seconds.get(name),
            **ratios[name],
        }
        cells.put(measured, backbone=backbone, precision=name)


def _trained(backbone: str, shared: Path, runs: Path) -> Path:
    run = runs / backbone
    if not (run / "model.keras").is_file():
        settings = [
            f"data.archives={shared / 'stanford_dogs_crops160'}",
            "data.subset=true",
            *BACKBONES[backbone],
        ]
        if BACKBONES[backbone]:
            weights = shared / "weights" / "mobilenet_2_5_224_tf_no_top.h5"
            settings.append(f"backbone.weights={weights}")
        options = [part for setting in settings for part in ("--set", setting)]
        run_tfft(
            *("train", "stanford_dogs_crops", *options, "--run", str(run)), cache=runs / "cache"
        )
    return run


def _exported(
    run: Path, runs: Path, backbone: str, training: ImageIndex
) -> tuple[dict[str, Path], dict[str, float]]:
    name = backbone.replace(".", "_")
    directory = runs / "exports" / name / "tflite" / "1"
    if not directory.is_dir():
        # No file is refused: the table shows how much each one loses.
        options = ["--format", "tflite", "--tflite", ",".join(PRECISIONS), "--name", name]
        options += ["--max-accuracy-drop", "1", "--output", str(runs / "exports")]
        run_tfft("export", str(run), *options, cache=runs / "cache")
    files = {precision: directory / f"{name}_{precision}.tflite" for precision in PRECISIONS}
    started = time.perf_counter()
    other = files["int8"].with_name(f"{backbone}_converter.tflite")
    _convert(run, training, files["int8"], other)
    return {**files, CONVERTER: other}, {CONVERTER: time.perf_counter() - started}


def _convert(run: Path, training: ImageIndex, described: Path, path: Path) -> None:
    """Writes the full int8 file of TensorFlow's guide, with the description of another file."""
    import zipfile

    import keras
    import tensorflow as tf

    from tfft.exports.outputs import answers_and_logits
    from tfft.runtime.keras_predictor import KerasPredictor

    predictor = load_predictor(run)
    assert isinstance(predictor, KerasPredictor)
    index = training.take(spread_over_classes(training.targets["label"], CALIBRATION_IMAGES))
    pixels = predictor.pixels([index.read(n) for n in range(len(index))], index.boxes)
    images = keras.Input(batch_shape=(1, *pixels.shape[1:]), name="images")
    outputs = answers_and_logits(predictor.model(images), predictor.info.heads)
    converter = tf.lite.TFLiteConverter.from_keras_model(keras.Model(images, outputs))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([image[None]] for image in pixels)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.uint8
    path.write_bytes(converter.convert())
    with zipfile.ZipFile(described) as source, zipfile.ZipFile(path, "a") as target:
        target.writestr("tfft.json", source.read("tfft.json"))


def _answers(predictors: Mapping[str, Predictor], index: ImageIndex) -> dict[str, np.ndarray]:
    """Returns the class that each file predicts for each image."""
    found: dict[str, list[np.ndarray]] = {name: [] for name in predictors}
    for start in range(0, len(index), _CHUNK):
        chunk = index.take(np.arange(start, min(start + _CHUNK, len(index))))
        encoded = [chunk.read(number) for number in range(len(chunk))]
        for name, predictor in predictors.items():
            answer = predictor.answers_from_bytes(encoded, chunk.boxes)["label"]
            found[name].append(answer.argmax(axis=1))
    return {name: np.concatenate(parts) for name, parts in found.items()}


def _ratios(predictors: Mapping[str, Predictor]) -> dict[str, dict[str, float]]:
    """Returns speed as a multiple of float32's, its quartiles, and the median time of a call."""
    spec = next(iter(predictors.values())).info.pixels
    image = np.random.default_rng(0).integers(0, 256, (1, spec.height, spec.width, 3))
    times: dict[str, list[float]] = {name: [] for name in predictors}
    for _ in range(ROUNDS):
        for name, predictor in predictors.items():
            predictor.answers(image.astype(np.float32))
            started = time.perf_counter()
            for _ in range(CALLS):
                predictor.answers(image.astype(np.float32))
            times[name].append((time.perf_counter() - started) / CALLS)
    base = np.array(times["float32"])
    measured = {}
    for name, of_file in times.items():
        low, median, high = np.percentile(base / np.array(of_file), (25, 50, 75))
        measured[name] = {
            "speed_ratio": float(median),
            "speed_ratio_quartiles": [float(low), float(high)],
            "p50_ms": float(np.median(of_file)) * 1e3,
        }
    return measured


def _share(answers: np.ndarray, expected: np.ndarray) -> float:
    return float((answers == expected).mean())


def write_table(cells: Cells) -> None:
    """Writes the table of the measured cells into the page."""
    rows = []
    for backbone in BACKBONES:
        for precision in (*PRECISIONS, CONVERTER):
            cell = cells.get(backbone=backbone, precision=precision)
            if cell is not None:
                rows.append([backbone, precision, *_row(cell)])
    columns = [
        *("backbone", "file", "test top-1 (95 % interval)", "points lost", "same answer"),
        *("MB", "of float32", "speed, 1 thread"),
    ]
    put_into(DOCS, "quantization", table_text(columns, rows))


def _row(cell: dict[str, Any]) -> list[str]:
    lost = 100 * (cell["keras_top1"] - cell["top1"])
    low, high = cell["speed_ratio_quartiles"]
    return [
        interval_text([cell]),
        f"{lost:+.2f}",
        f"{cell['agreement']:.1%}",
        f"{cell['size_bytes'] / 1e6:.2f}",
        f"{cell['size_ratio']:.1%}",
        f"{cell['speed_ratio']:.2f}x ({low:.2f} to {high:.2f})",
    ]


def main() -> None:
    """Measures the missing cells."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, help="directory with the crops and the weights")
    parser.add_argument(
        "--runs", type=Path, help="directory of runs and exports; those there are reused"
    )
    parser.add_argument("--table", action="store_true", help="write the table and stop")
    options = parser.parse_args()
    cells = Cells("quantization")
    if not options.table:
        if options.shared is None or options.runs is None:
            parser.error("--shared DIR and --runs DIR are needed to measure")
        for backbone in BACKBONES:
            if cells.get(backbone=backbone, precision="int8") is None:
                print(backbone, flush=True)
                measure(backbone, options.shared.absolute(), options.runs.absolute(), cells)
    write_table(cells)


if __name__ == "__main__":
    sys.exit(main())
