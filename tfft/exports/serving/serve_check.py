"""Does a served model answer as the model that was trained? Asked of the server itself."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfft.data.index import ImageIndex
from tfft.errors import GateError
from tfft.evaluation.data import evaluation_images
from tfft.exports.parity import spread_over_classes
from tfft.runtime.info import HeadInfo
from tfft.runtime.load import load_predictor
from tfft.runtime.predictor import Outputs, Predictor
from tfft.system.progress import SILENT, Progress
from tfft.system.readable import Readable, counted

# Of those that a server answers: image files, which it decodes, and pixels, which Pillow decodes.
CHECKED_SIGNATURES = ("serve_bytes", "serving_default")
_BATCH_SIZE = 32


@dataclass(frozen=True, repr=False)
class ServeCheck(Readable):
    """How a served model compares with another form of it.

    Attributes:
        model: the URL.
        against: what it was compared with.
        images: number of images compared, whole pictures.
        tolerance: the largest difference that is allowed.
        signatures: by signature and head, ``largest_difference`` (of a probability, an edge of a
            box as a share, a number relative to the largest; None where an answer is no number)
            and for classification ``top1_agreement``.
    """

    model: str
    against: str
    images: int
    tolerance: float
    signatures: dict[str, dict[str, dict[str, float | None]]]

    def lines(self) -> list[str]:
        differences = [
            (f"{signature}, head {head}", figures["largest_difference"])
            for signature, heads in self.signatures.items()
            for head, figures in heads.items()
        ]
        agrees = all(d is not None and d <= self.tolerance for _, d in differences)
        return [
            f"{self.model} {'answers' if agrees else 'does NOT answer'} as {self.against}, "
            f"{counted(self.images, 'image')}",
            *(
                f"{what}: largest difference {'no number' if d is None else f'{d:.2g}'}"
                for what, d in differences
            ),
            f"allowed: {self.tolerance:g}",
        ]

    def to_json(self) -> dict[str, Any]:
        """Returns what ``tfft serve-check --json`` prints."""
        return asdict(self)

    def require(self) -> None:
        """Passes if all answers agree.

        Raises:
            GateError: One does not.
        """
        apart = [
            f"{signature}, head {head}: an answer differs by {_text(figures)}"
            for signature, heads in self.signatures.items()
            for head, figures in heads.items()
            if (d := figures["largest_difference"]) is None or d > self.tolerance
        ]
        if apart:
            raise GateError(
                f"{self.model} does not answer as {self.against} does, {self.tolerance:g} being "
                "allowed:\n  " + "\n  ".join(apart)
            )


def serve_check(
    model: str,
    against: str | Path,
    *,
    signatures: Sequence[str] = CHECKED_SIGNATURES,
    data: Path | None = None,
    split: str = "test",
    images: int = 256,
    tolerance: float = 1e-3,
    timeout_s: float | None = None,
    progress: Progress = SILENT,
) -> ServeCheck:
    """Compares the answers of a served model with those of its run, on the same images.

    Args:
        model: URL of the served model.
        against: the run, or any other MODEL.
        signatures: of the served model.
        data: a directory with one folder a class, or a manifest; default: the recorded data.
        split: of the data.
        images: number of images, spread over the classes.
        tolerance: the largest difference that is allowed.
        timeout_s: how long one request may take.
        progress: where the work is reported.

    Raises:
        ModelFileError: The server has no such model, or `against` is none.
        ServerError: The server does not answer.
        DataError: The images are not there.
        GateError: The served model has other heads or class names.
    """
    reference = load_predictor(against)
    index, _, _ = evaluation_images(reference.info, split, data, progress)
    index = index.take(spread_over_classes(index.targets["label"], images))
    served = {s: load_predictor(model, signature=s, timeout_s=timeout_s) for s in signatures}
    for predictor in served.values():
        _require_heads(predictor, reference)
        if (
            reference.kind == "keras"
        ):  # a calibrated export answers at temperatures that a run has not
            reference.info = reference.info.at_temperatures(predictor.info.temperatures)
    expected = _answers(reference, index, f"answers of {against}", progress)
    figures = {}
    for signature, predictor in served.items():
        actual = _answers(predictor, index, f"{signature} of {model}", progress)
        figures[signature] = {
            name: _figures(head, actual[name], expected[name])
            for name, head in reference.info.heads.items()
        }
    return ServeCheck(model, str(against), len(index), tolerance, figures)


def _require_heads(served: Predictor, reference: Predictor) -> None:
    said, known = (p.info.at_temperatures({}).heads for p in (served, reference))
    if said != known:
        raise GateError(f"{served.path} has other heads or class names than {reference.path}")


def _answers(
    predictor: Predictor, index: ImageIndex, description: str, progress: Progress
) -> Outputs:
    task = progress.start(description, len(index))
    parts = []
    try:
        for start in range(0, len(index), _BATCH_SIZE):
            batch = range(start, min(start + _BATCH_SIZE, len(index)))
            parts.append(predictor.answers_from_bytes([index.read(k) for k in batch]))
            task.advance(len(batch))
    finally:
        task.close()
    return {head: np.concatenate([part[head] for part in parts]) for head in parts[0]}


def _figures(head: HeadInfo, actual: np.ndarray, expected: np.ndarray) -> dict[str, float | None]:
    scale = max(float(np.abs(expected).max()), 1e-6) if head.kind == "regression" else 1.0
    difference = float(np.abs(actual - expected).max()) / scale
    figures: dict[str, float | None] = {
        "largest_difference": difference if np.isfinite(difference) else None
    }
    if head.kind == "classification":
        agree = actual.argmax(axis=1) == expected.argmax(axis=1)
        figures["top1_agreement"] = float(agree.mean())
    return figures


def _text(figures: dict[str, float | None]) -> str:
    difference = figures["largest_difference"]
    return "more than can be said: it is no number" if difference is None else f"{difference:.3g}"
