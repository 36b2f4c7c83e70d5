"""Full int8 that is accurate enough: plain int8 first, then what makes it more accurate.

The range of each tensor is divided into 256 steps. Networks with squeeze-and-excitation or swish,
and layers with a few huge values, lose accuracy by that. More calibration images give better
ranges; the layers that add the most noise can stay in float, at the price of size and time.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfft.errors import GateError
from tfft.exports.parity import Comparison
from tfft.exports.tflite.accuracy import accuracy_drop, require_accuracy
from tfft.exports.tflite.file import Layer, layers, read_model
from tfft.exports.tflite.quantize import Ranges, calibrate, int8, noise_by_tensor
from tfft.system.progress import Progress

_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
# Images on which noise is measured: both files run without fast kernels and keep all tensors.
_NOISE_IMAGES = 8
_REPORTED_LAYERS = 5
_MORE_IMAGES = 4
_NOISY_SHARES = (0.1, 0.25)


@dataclass(frozen=True)
class Calibration:
    """Training images for the ranges of int8.

    Attributes:
        count: Number of images to begin with.
        read: Returns a given number of images, or all if there are fewer, each float32 [height,
            width, 3], 0..255.
    """

    count: int
    read: Callable[[int], Sequence[np.ndarray]]


@dataclass(frozen=True, eq=False)
class Int8:
    """An int8 file, and how it was found.

    Attributes:
        content: Content of the first file that passed, or of the best.
        comparison: Its answers beside those of the Keras model.
        tried: ``what`` was tried in turn, and its ``accuracy_drop``.
        noisiest: ``layer`` and ``noise`` of the layers that add the most noise; empty where plain
            int8 is accurate enough.
    """

    content: bytes
    comparison: Comparison
    tried: list[dict[str, Any]]
    noisiest: list[dict[str, Any]]


def find_int8(
    content: bytes,
    calibration: Calibration,
    judge: Callable[[bytes], Comparison],
    max_drop: float,
    progress: Progress,
) -> Int8:
    """Returns the first int8 file that passes the accuracy gate, or the best of them.

    Args:
        content: Content of the float32 file.
        calibration: Images that ranges are calibrated on.
        judge: Compares a file with the Keras model.
        max_drop: Largest loss of accuracy that passes, as for `require_accuracy`.
        progress: Where progress is reported.
    """
    images = calibration.read(calibration.count)
    ranges = calibrate(content, images, progress)
    plain = int8(content, ranges)
    tried: list[dict[str, Any]] = []
    best = _judged(plain, judge, f"int8 throughout, {len(images)} calibration images", tried)
    if _passes(best, max_drop):
        return Int8(*best, tried, [])
    progress.message(f"int8 loses {tried[0]['accuracy_drop']:.4f}; trying what helps")
    noise = noise_by_tensor(content, plain, images[:_NOISE_IMAGES])
    added = _added_noise(layers(read_model(content)), noise)
    noisiest = [{"layer": n, "noise": added[n]} for n in list(added)[:_REPORTED_LAYERS]]
    for what, changed in _remedies(content, calibration, len(images), ranges, added, progress):
        found = _judged(changed, judge, what, tried)
        if accuracy_drop(found[1]) < accuracy_drop(best[1]):
            best = found
        if _passes(found, max_drop):
            best = found
            break
    return Int8(*best, tried, noisiest)


def _remedies(
    content: bytes,
    calibration: Calibration,
    used: int,
    ranges: Ranges,
    added: dict[str, float],
    progress: Progress,
) -> Iterator[tuple[str, bytes]]:
    """Yields each remedy's name and file, cheap ones first; later ones build on earlier ones."""
    images = calibration.read(_MORE_IMAGES * used)
    if len(images) > used:
        ranges = calibrate(content, images, progress)
        yield f"{len(images)} calibration images", int8(content, ranges)
    found = layers(read_model(content))
    head = [layer.name for layer in found if layer.kind == "FULLY_CONNECTED"]
    yield "heads in float", int8(content, ranges, head)
    first = next(n for n, layer in enumerate(found) if layer.kind in _WEIGHTED)
    entrance = [layer.name for layer in found[: first + 1]]
    yield "first layer in float", int8(content, ranges, entrance)
    both = [*head, *entrance]
    yield "heads and first layer in float", int8(content, ranges, both)
    for share in _NOISY_SHARES:
        noisy = list(added)[: max(round(share * len(added)), 1)]
        what = f"heads, first layer and the {len(noisy)} noisiest layers in float"
        yield what, int8(content, ranges, [*both, *noisy])


def _added_noise(found: Sequence[Layer], noise: dict[str, float]) -> dict[str, float]:
    """Returns by how much each layer raises the noise of its inputs, the worst first."""
    added = {
        layer.name: noise[layer.name] - max(noise.get(name, 0.0) for name in layer.inputs)
        for layer in found
        if layer.name in noise
    }
    return dict(sorted(added.items(), key=lambda item: -item[1]))


def _judged(
    content: bytes, judge: Callable[[bytes], Comparison], what: str, tried: list[dict[str, Any]]
) -> tuple[bytes, Comparison]:
    comparison = judge(content)
    tried.append({"what": what, "accuracy_drop": accuracy_drop(comparison)})
    return content, comparison


def _passes(found: tuple[bytes, Comparison], max_drop: float) -> bool:
    try:
        require_accuracy(found[1], "int8", max_drop)
    except GateError:
        return False
    return True
