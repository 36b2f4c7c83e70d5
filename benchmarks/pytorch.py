"""tfft and PyTorch compared: frozen forward pass and full training step of EfficientNet-Lite0.

PyTorch and timm are in their own environment, which the first run makes in the cache directory of
tfft. Both sides have the same weights, images and labels, which is checked before anything is
timed. A round times each way of each side once, one after the other; the results are medians over
the rounds. Other work on the machine slows PyTorch more than tfft: leave it idle. The result is
stored in results/pytorch.json and written into docs/caching.md; `--table` only does the latter.

    python benchmarks/pytorch.py
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tfft.system.tensorflow import tf

import numpy as np
from cells import Cells, machine
from tables import put_into, table_text

from tfft.backbones.build import build_backbone
from tfft.config.data import ImageConfig
from tfft.config.model import ClassificationHead, LiteBackbone
from tfft.config.train import AdamOptimizer, GradientPhase
from tfft.model.assemble import Classifier, build_classifier
from tfft.model.head_size import HeadSize
from tfft.system.files import cache_directory
from tfft.system.machine import processors
from tfft.transfer.frozen.function import fastest_function
from tfft.transfer.plan.unfreeze import unfrozen
from tfft.transfer.step.batch_norm import set_batch_norm
from tfft.transfer.step.folding import folded
from tfft.transfer.step.optimizers import build_optimizer, inner_optimizer
from tfft.transfer.step.step import TrainStep, read_sums
from tfft.transfer.step.update_rules import update_rules

DOCS = Path(__file__).parents[1] / "docs" / "caching.md"
SIDE = Path(__file__).with_name("pytorch_side.py")
REQUIREMENTS = ("torch==2.13.0", "torchvision==0.28.0", "timm==1.0.31")
SIZE_PX, BATCH_SIZE, CLASSES = 160, 32, 120
LEARNING_RATE = 1e-4
FORWARD, STEP = "frozen forward", "training step"
FASTEST = "as tfft chooses: TFLite, XNNPACK"
# Number of calls that are timed together: about two seconds on 2 cores.
CALLS = {FORWARD: 8, STEP: 3}
ROUNDS = 7
WARM_UP = 3
# Largest difference between the sides, relative to the largest value, that rounding explains.
AGREEMENT = 1e-3


class Tfft:
    """The side of tfft: the parts of a training as the loop calls them."""

    def __init__(self, images: np.ndarray, labels: np.ndarray) -> None:
        self.classifier = _classifier()
        prefix = self.classifier.below([len(self.classifier.backbone.blocks)])
        frozen = fastest_function(prefix, images)
        graph = tf.function(lambda pixels: prefix(pixels, training=False), autograph=False)
        step = _step(self.classifier)
        batch = ((tf.constant(images),), {"label": tf.constant(labels)})

        def train() -> float:
            sums = step.on_batch(batch, tf.constant(LEARNING_RATE)).numpy()
            return read_sums(sums, ["label"])["label"].means(self.classifier.heads["label"])["loss"]

        def each(way: Callable[[], Any]) -> Callable[[int], list[Any]]:
            return lambda calls: [way() for _ in range(calls)]

        # Functions of a number of batches; the frozen part takes several at once.
        self._ways: dict[tuple[str, str], Callable[[int], list[Any]]] = {
            (FORWARD, FASTEST): lambda calls: [o[0] for o in frozen([images] * calls)],
            (FORWARD, "Keras, compiled graph"): each(lambda: graph(tf.constant(images)).numpy()),
            (STEP, "TrainStep"): each(train),
        }
        first = {key: way(WARM_UP) for key, way in self._ways.items()}
        self.ways = list(self._ways)
        self.features: np.ndarray = first[FORWARD, FASTEST][0]
        self.losses: list[float] = first[STEP, "TrainStep"]

    def seconds(self, task: str, way: str, calls: int) -> float:
        """Wall-clock seconds of a number of calls, after one that is not counted."""
        run = self._ways[task, way]
        run(1)
        started = time.perf_counter()
        run(calls)
        return time.perf_counter() - started


class PyTorch:
    """The other side: a process that answers one line at a time.

    Attributes:
        about: Versions and settings that `pytorch_side.py` reports.
    """

    def __init__(self, python: Path, inputs: Path) -> None:
        # Isolated: modules beside the script and those of PYTHONPATH belong to this side.
        command = [str(python), "-I", str(SIDE), str(inputs)]
        command += [f"--threads={processors()}", f"--classes={CLASSES}"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.about: dict[str, Any] = self._answer()
        self.ways = [tuple(way) for way in self.about["ways"]]

    def seconds(self, task: str, way: str, calls: int) -> float:
        """As on this side."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([task, way, calls]) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{SIDE.name} ended without an answer")
        return json.loads(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._process.communicate()


def environment() -> Path:
    """Returns the Python of the environment with PyTorch, which it makes if there is none."""
    place = cache_directory("pytorch-benchmark")
    python, ready, wanted = place / "bin" / "python", place / "ready", "\n".join(REQUIREMENTS)
    if not ready.is_file() or ready.read_text() != wanted:
        print(f"installing {', '.join(REQUIREMENTS)} in {place}", file=sys.stderr)
        venv.create(place, with_pip=True, clear=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", *REQUIREMENTS], check=True)
        ready.write_text(wanted)
    return python


def measure(python: Path, rounds: int) -> dict[str, Any]:
    """Checks that both sides compute the same, and times them in turn."""
    generator = np.random.default_rng(0)
    load_before = round(os.getloadavg()[0], 1)
    images = generator.uniform(0, 255, (BATCH_SIZE, SIZE_PX, SIZE_PX, 3)).astype(np.float32)
    labels = generator.integers(0, CLASSES, BATCH_SIZE)
    with tempfile.TemporaryDirectory() as directory:
        inputs = Path(directory) / "inputs.npz"
        weights = [_as_in_torch(v.numpy()) for v in _classifier().model.weights]
        numbered = {str(index): value for index, value in enumerate(weights)}
        np.savez(inputs, images=images, labels=labels, **numbered)
        with PyTorch(python, inputs) as pytorch:
            tfft = Tfft(images, labels)
            same = _compared(tfft, pytorch)
            seconds = _rounds({"tfft": tfft, "PyTorch": pytorch}, rounds)
    ways = [
        {
            "task": task,
            "side": side,
            "way": way,
            "images_per_second": [round(CALLS[task] * BATCH_SIZE / s, 2) for s in measured],
        }
        for (task, side, way), measured in seconds.items()
    ]
    return {**same, "load_before": load_before, "ways": ways}


def _rounds(
    sides: dict[str, Tfft | PyTorch], rounds: int
) -> dict[tuple[str, str, str], list[float]]:
    """Seconds of each round by task, side and way; every second round runs in reverse order."""
    order = [
        (task, name, way)
        for task in CALLS
        for name, side in sides.items()
        for of_task, way in side.ways
        if of_task == task
    ]
    seconds: dict[tuple[str, str, str], list[float]] = {key: [] for key in order}
    for number in range(rounds):
        for task, name, way in order if number % 2 == 0 else reversed(order):
            seconds[task, name, way].append(sides[name].seconds(task, way, CALLS[task]))
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
    return seconds


def _compared(tfft: Tfft, pytorch: PyTorch) -> dict[str, Any]:
    """Checks that both sides compute the same, and returns what shows it.

    Raises:
        SystemExit: They do not compute the same.
    """
    about = pytorch.about
    parameters = sum(int(np.prod(variable.shape)) for variable in tfft.classifier.weights)
    features = _difference(tfft.features, about["features"])
    losses = _difference(tfft.losses, about["losses"])
    if parameters != about["parameters"] or max(features, losses) > AGREEMENT:
        raise SystemExit(
            f"the sides differ: {parameters} parameters and {about['parameters']}, features by "
            f"{features:.1e}, losses {tfft.losses} and {about['losses']}"
        )
    return {
        "parameters": parameters,
        "difference_of_features": features,
        "losses_of_first_steps": {"tfft": tfft.losses, "PyTorch": about["losses"]},
        "threads": processors(),
        "packages": about["packages"],
        "left_out": about["left_out"],
    }


def _difference(actual: Any, expected: Any) -> float:
    expected = np.asarray(expected)
    return float(np.abs(np.asarray(actual) - expected).max() / np.abs(expected).max())


def _classifier() -> Classifier:
    backbone = build_backbone(LiteBackbone(kind="lite"), SIZE_PX)
    heads = {"label": ClassificationHead()}
    return build_classifier(
        backbone, heads, {"label": HeadSize(CLASSES)}, ImageConfig(size_px=SIZE_PX), seed=0
    )


def _step(classifier: Classifier) -> TrainStep:
    """The step of a phase that trains everything."""
    phase = GradientPhase(unfreeze="all", epochs=1, learning_rate=LEARNING_RATE)
    trained = unfrozen(classifier, phase.unfreeze)
    set_batch_norm(classifier, trained, phase.batch_norm)
    optimizer = build_optimizer(AdamOptimizer(name="adam"), classifier.weights)
    rules = update_rules(classifier, phase, trained)
    inner_optimizer(optimizer).begin_phase(rules)
    variables = [variable for variable, _ in rules]
    return TrainStep(folded(classifier.cut(0)), classifier.heads, optimizer, variables)


def _as_in_torch(value: np.ndarray) -> np.ndarray:
    """A Keras kernel in PyTorch's order of axes: outputs, inputs, height, width."""
    if value.ndim == 4:
        depthwise = value.shape[3] == 1
        value = value.transpose((2, 3, 0, 1) if depthwise else (3, 2, 0, 1))
    elif value.ndim == 2:
        value = value.T
    return np.ascontiguousarray(value)


def text(cell: dict[str, Any]) -> str:
    """The table of all ways, and the machine and versions it was measured with."""
    used = {**cell["machine"]["packages"], **cell["packages"]}
    shown = [f"{name} {used[name]}" for name in (*cell["packages"], "tensorflow", "ai-edge-litert")]
    load = cell["load_before"]
    busy = f" Other programs were running (load average {load})." if load >= 0.5 else ""
    difference = f"{cell['difference_of_features']:.0e} of the largest"
    return (
        f"{_table(cell)}\n\n{cell['threads']} threads on {cell['machine']['processor']}; "
        f"{', '.join(shown)}.{busy} Both sides have {cell['parameters']:,} parameters; with the "
        f"same weights their features differ by {difference}."
    )


def _table(cell: dict[str, Any]) -> str:
    """Each way with its median and range over the rounds, and its ratio to PyTorch's best."""
    rows = []
    for task in CALLS:
        of_task = [way for way in cell["ways"] if way["task"] == task]
        best = max((way for way in of_task if way["side"] == "PyTorch"), key=_median)
        for way in of_task:
            rates = way["images_per_second"]
            pairs = zip(rates, best["images_per_second"], strict=True)
            ratios = [own / other for own, other in pairs]
            speed = f"{_median(way):,.0f} ({min(rates):,.0f} to {max(rates):,.0f})"
            ratio = f"{statistics.median(ratios):.2f}x"
            if way is not best:
                ratio += f" ({min(ratios):.2f} to {max(ratios):.2f})"
            rows.append([task, way["side"], way["way"], speed, ratio])
        left_out = [way for of_task, way, _ in cell["left_out"] if of_task == task]
        rows += [[task, "PyTorch", way, "does not run here", ""] for way in left_out]
    columns = ["", "side", "way", "images/s (range)", "ratio to PyTorch's fastest (range)"]
    return table_text(columns, rows)


def _median(way: dict[str, Any]) -> float:
    rates: Sequence[float] = way["images_per_second"]
    return statistics.median(rates)


def main() -> None:
    """Measures and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", action="store_true", help="write the table and stop")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--name", default="pytorch", help="of the file of results")
    options = parser.parse_args()
    cells = Cells(options.name)
    key = {"backbone": "EfficientNetLite0", "size_px": SIZE_PX, "batch_size": BATCH_SIZE}
    cell = cells.get(**key)
    if cell is None and not options.table:
        print(json.dumps(machine(), indent=1), file=sys.stderr)
        cells.put(measure(environment(), options.rounds), **key)
        cell = cells.get(**key)
    if cell is None:
        parser.error("nothing was measured yet")
    print(text(cell))
    if options.name == "pytorch":
        put_into(DOCS, "pytorch", text(cell))


if __name__ == "__main__":
    main()
