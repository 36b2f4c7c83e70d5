"""Where the processor time of a training step goes, by kind of operation.

EfficientNet-Lite0 at 160 px, batch 32, AdamW, everything above a cut trained with frozen
BatchNormalization: forward pass and step, with normalisation as layers and folded into the
convolutions (`tfft.transfer.step.folding`). Processor seconds are measured without the profiler;
its trace then divides them among the operations. Each cell is stored in results/step-profile.json;
`--table` writes the table into docs/caching.md.

    python benchmarks/step_profile.py
"""

import argparse
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tfft.system.tensorflow import tf

import numpy as np
from cells import Cells
from crops import FULL, LAST_TWO, SIZE_PX, UNFREEZE
from tables import put_into, table_text
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from tfft.backbones.build import build_backbone
from tfft.config.data import ImageConfig
from tfft.config.model import ClassificationHead, LiteBackbone
from tfft.config.train import AdamWOptimizer, GradientPhase
from tfft.model.assemble import Classifier, Cut, build_classifier
from tfft.model.head_size import HeadSize
from tfft.transfer.plan.unfreeze import unfrozen
from tfft.transfer.step.batch_norm import set_batch_norm
from tfft.transfer.step.folding import folded
from tfft.transfer.step.optimizers import build_optimizer, inner_optimizer
from tfft.transfer.step.step import EvaluationStep, TrainStep
from tfft.transfer.step.update_rules import update_rules

DOCS = Path(__file__).parents[1] / "docs" / "caching.md"
BATCH_SIZE, CLASSES, TIMES, ROUNDS = 32, 120, 3, 3
PARTS, WAYS = (LAST_TWO, FULL), ("layers", "folded")
# By what the operation is called in the graph; oneDNN's names have a prefix.
KINDS = {
    "convolution, forward": ("Conv2D", "FusedConv2D"),
    "convolution, gradient of the kernel": (
        "Conv2DBackpropFilter",
        "Conv2DBackpropFilterWithBias",
    ),
    "convolution, gradient of the input": ("Conv2DBackpropInput",),
    "depthwise, forward": ("DepthwiseConv2dNative", "FusedDepthwiseConv2dNative"),
    "depthwise, gradient of the kernel": ("DepthwiseConv2dNativeBackpropFilter",),
    "depthwise, gradient of the input": ("DepthwiseConv2dNativeBackpropInput",),
    "multiply, add, sum": ("Mul", "AddV2", "Sub", "Sum", "Square", "RealDiv", "Sqrt", "Rsqrt"),
    "ReLU6": ("Relu6", "Relu6Grad"),
    "bias": ("BiasAdd", "BiasAddGrad"),
}


def measure(classifier: Classifier, part: str) -> dict[str, dict[str, Any]]:
    """Measures both ways of a part, in turn."""
    phase = GradientPhase(unfreeze=UNFREEZE[part], epochs=1, learning_rate=1e-4)
    trained = unfrozen(classifier, phase.unfreeze)
    set_batch_norm(classifier, trained, phase.batch_norm)
    optimizer = build_optimizer(AdamWOptimizer(name="adamw"), classifier.weights)
    rules = update_rules(classifier, phase, trained)
    inner_optimizer(optimizer).begin_phase(rules)
    cut = classifier.cut(trained.frozen_blocks)
    generator = np.random.default_rng(0)
    images = generator.uniform(0, 255, (BATCH_SIZE, SIZE_PX, SIZE_PX, 3)).astype(np.float32)
    batch = (
        cut.below((tf.constant(images),)),
        {"label": tf.constant(np.arange(BATCH_SIZE) % CLASSES)},
    )
    above = Cut(None, cut.suffix)
    works: dict[str, dict[str, Callable[[], Any]]] = {}
    for way in WAYS:
        of_way = folded(above) if way == "folded" else above
        step = TrainStep(of_way, classifier.heads, optimizer, [v for v, _ in rules])
        forward = EvaluationStep(of_way, classifier.heads)
        works[way] = {
            "forward": lambda forward=forward: forward.on_batch(batch).numpy(),
            "step": lambda step=step: step.on_batch(batch, tf.constant(1e-4)).numpy(),
        }
    seconds: dict[tuple[str, str], list[float]] = {}
    for _ in range(ROUNDS):
        for way, of_way in works.items():
            for what, work in of_way.items():
                seconds.setdefault((way, what), []).append(_cpu_s(work))
    return {
        way: {
            "forward_cpu_ms": 1e3 * statistics.median(seconds[way, "forward"]),
            "step_cpu_ms": 1e3 * statistics.median(seconds[way, "step"]),
            "shares": _shares(of_way["step"]),
        }
        for way, of_way in works.items()
    }


def _cpu_s(work: Callable[[], Any]) -> float:
    """Processor seconds of a call, after one that is not counted."""
    work()
    started = time.process_time()
    for _ in range(TIMES):
        work()
    return (time.process_time() - started) / TIMES


def _shares(work: Callable[[], Any]) -> dict[str, float]:
    """The share of each kind of operation in the time of those that are named above."""
    with tempfile.TemporaryDirectory() as directory:
        tf.profiler.experimental.start(directory)
        for _ in range(TIMES):
            work()
        tf.profiler.experimental.stop()
        space = xplane_pb2.XSpace()
        space.ParseFromString(next(Path(directory).rglob("*.xplane.pb")).read_bytes())
    taken: Counter[str] = Counter()
    for plane in space.planes:
        for event in (event for line in plane.lines for event in line.events):
            name = plane.event_metadata[event.metadata_id].name.rpartition(":")[2].strip()
            name = name.removeprefix("_MklNative").removeprefix("_")
            kind = next((kind for kind, names in KINDS.items() if name in names), None)
            if kind is not None:  # others contain these, or read and write variables
                taken[kind] += event.duration_ps
    return {kind: time_taken / taken.total() for kind, time_taken in taken.items()}


def table(cells: Cells) -> str:
    """Returns the table of the measured cells, in processor milliseconds a step."""
    found = {
        (part, way): cell
        for part in PARTS
        for way in WAYS
        if (cell := cells.get(part=part, way=way)) is not None
    }
    rows = []
    for kind in KINDS:
        taken = (cell["step_cpu_ms"] * cell["shares"].get(kind, 0) for cell in found.values())
        rows.append([kind, *(f"{each:.0f}" for each in taken)])
    whole = [f"**{cell['step_cpu_ms']:.0f}**" for cell in found.values()]
    forward = [f"{cell['forward_cpu_ms']:.0f}" for cell in found.values()]
    rows += [["**a step**", *whole], ["of which a forward pass alone would take", *forward]]
    return table_text(["processor ms", *(f"{part}, {way}" for part, way in found)], rows)


def main() -> None:
    """Measures the missing cells and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--table", action="store_true", help="write the table and stop")
    options = parser.parse_args()
    cells = Cells("step-profile")
    if not options.table:
        backbone = build_backbone(LiteBackbone(kind="lite", weights="random"), SIZE_PX, 0)
        names = tuple(str(number) for number in range(CLASSES))
        heads = {"label": ClassificationHead(kind="classification")}
        sizes = {"label": HeadSize(CLASSES, class_names=names)}
        classifier = build_classifier(backbone, heads, sizes, ImageConfig(size_px=SIZE_PX), 0)
        for part in PARTS:
            if cells.get(part=part, way=WAYS[0]) is None:
                for way, measured in measure(classifier, part).items():
                    cells.put(measured, part=part, way=way)
    put_into(DOCS, "step", table(cells))
    print(table(cells))


if __name__ == "__main__":
    main()
