"""Whether a served model answers as the model that was trained: the server itself is asked."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tfft.config.loading.overrides import Overrides
from tfft.data.index import ImageIndex
from tfft.errors import GateError
from tfft.evaluation.data import evaluation_images
from tfft.exports.parity import (
    agreement,
    answers_in_batches,
    spread_over_classes,
    unsure_agreement,
)
from tfft.runtime.load import load_predictor
from tfft.runtime.predictor import Outputs, Predictor
from tfft.runtime.served.predictor import ServedPredictor
from tfft.system.names import UNLIKENESS
from tfft.system.progress import SILENT, Progress
from tfft.system.readable import Readable, counted

# Image files, which the server decodes, and pixels, which Pillow decodes here.
CHECKED_SIGNATURES = ("serve_bytes", "serving_default")
# Of a digest, in a line for people.
_SHOWN_DIGITS = 12


@dataclass(frozen=True)
class Live:
    """What a server answers from, as far as it says so.

    Attributes:
        version: Number that the server gives to it.
        export_version: Number of the export, as the model describes itself; another one than
            `version` where it was published under a number of its own, or put back.
        run: Name of the run that was exported.
        weights_sha256: Digest of its weights.
        created: When the model was made, ISO 8601, UTC.
    """

    version: int | None
    export_version: int | None
    run: str | None
    weights_sha256: str | None
    created: str

    def text(self) -> str:
        """Returns it as a person reads it."""
        version = f"version {self.version}"
        if self.version is None:
            version = "a version that the server does not name"
        if self.export_version is None or self.run is None or self.weights_sha256 is None:
            return f"{version}: a model that was made {self.created}"
        return (
            f"{version}: export {self.export_version} of run {self.run}, weights "
            f"{self.weights_sha256[:_SHOWN_DIGITS]}"
        )


@dataclass(frozen=True, repr=False)
class ServeCheck(Readable):
    """How the answers of a served model agree with those of its run, or of another MODEL.

    Attributes:
        model: URL of the served model.
        against: Path of the model that it was compared with.
        images: Number of whole images compared.
        tolerance: Largest difference that is allowed.
        signatures: By signature and head, how well the answers agree, as
            `tfft.exports.parity.agreement` gives it; ``unlikeness`` is among the heads.
        live: What the server answers from.
    """

    model: str
    against: str
    images: int
    tolerance: float
    signatures: dict[str, dict[str, dict[str, float | None]]]
    live: Live

    def lines(self) -> list[str]:
        differences = [
            (f"{signature}, head {head}", agreed["largest_difference"])
            for signature, heads in self.signatures.items()
            for head, agreed in heads.items()
        ]
        agrees = all(d is not None and d <= self.tolerance for _, d in differences)
        return [
            f"{self.model} {'answers' if agrees else 'does NOT answer'} as {self.against}, "
            f"{counted(self.images, 'image')}",
            self.live.text(),
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
        """Requires that all answers agree.

        Raises:
            GateError: An answer differs by more than the tolerance.
        """
        apart = []
        for signature, heads in self.signatures.items():
            for head, agreed in heads.items():
                difference, where = agreed["largest_difference"], f"{signature}, head {head}"
                if difference is None:
                    apart.append(f"{where}: an answer is not a number")
                elif difference > self.tolerance:
                    apart.append(f"{where}: an answer differs by {difference:.3g}")
        if apart:
            raise GateError(
                f"{self.model} does not answer as {self.against} does, where {self.tolerance:g} is "
                "allowed:\n  " + "\n  ".join(apart)
            )


def serve_check(
    model: str,
    against: str | Path,
    *,
    signatures: Sequence[str] = CHECKED_SIGNATURES,
    data: Path | None = None,
    overrides: Overrides = (),
    split: str | None = None,
    images: int = 256,
    tolerance: float = 1e-3,
    timeout_s: float | None = None,
    progress: Progress = SILENT,
) -> ServeCheck:
    """Compares the answers of a served model with those of its run, on the same images.

    Args:
        model: URL of the served model.
        against: Run, or any other MODEL.
        signatures: Signatures of the served model to compare.
        data: Directory with one folder for each class, or a manifest; default: the recorded data.
        overrides: Values of the `data` section by which `data` are read, such as
            ``data.on_bad_image=skip``.
        split: Split of the data; default: ``test``, and all of other data that have no splits.
        images: Number of images, spread over the classes.
        tolerance: Largest difference that is allowed.
        timeout_s: How long one request may take, in seconds.
        progress: Where progress is reported.

    Raises:
        ModelFileError: The server has no such model, or `against` is not a MODEL.
        ServerError: The server does not answer.
        DataError: The images cannot be found.
        GateError: The served model has other heads or class names.
    """
    reference = load_predictor(against, engine="keras")
    index, _, _ = evaluation_images(reference.info, split, data, progress, overrides)
    index = index.take(spread_over_classes(index.targets["label"], images))
    served = {s: load_predictor(model, signature=s, timeout_s=timeout_s) for s in signatures}
    for predictor in served.values():
        said, known = (p.info.as_trained() for p in (predictor, reference))
        if said.heads != known.heads:
            raise GateError(
                f"{predictor.path} has other heads or class names than {reference.path}"
            )
        if said.unsure != known.unsure:
            raise GateError(f"{predictor.path} has another threshold than {reference.path}")
        if reference.kind == "keras":
            # A calibrated export answers at temperatures, the model of a run as it was trained.
            reference.info = reference.info.at_temperatures(predictor.info.temperatures)
    expected = _answers(reference, index, f"answers of {against}", progress)
    agreements = {}
    for signature, predictor in served.items():
        actual = _answers(predictor, index, f"{signature} of {model}", progress)
        agreements[signature] = {
            name: agreement(head, actual[name], expected[name])
            for name, head in reference.info.heads.items()
        }
        if unsure := unsure_agreement(actual, expected):
            difference = {"largest_difference": unsure["largest_difference"]}
            agreements[signature][UNLIKENESS] = difference
    return ServeCheck(
        model, str(against), len(index), tolerance, agreements, _live(next(iter(served.values())))
    )


def _live(predictor: Predictor) -> Live:
    info, is_served = predictor.info, isinstance(predictor, ServedPredictor)
    return Live(
        version=predictor.answering_version() if is_served else None,
        export_version=info.export_version,
        run=info.run,
        weights_sha256=info.weights_sha256,
        created=info.created,
    )


def _answers(
    predictor: Predictor, index: ImageIndex, description: str, progress: Progress
) -> Outputs:
    task = progress.start(description, len(index))
    try:
        return answers_in_batches(index, predictor.answers_from_bytes, advance=task.advance)
    finally:
        task.close()
