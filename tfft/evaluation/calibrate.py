"""Temperature scaling of a run's classification heads, fitted on its validation images."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfft.errors import ModelFileError, TfftError
from tfft.evaluation.answers import answers_key, answers_of_run, run_directory
from tfft.evaluation.data import recorded_data, targets_of_model
from tfft.metrics.calibration import (
    at_temperature,
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
)
from tfft.runs.run import Run, ends_with_refit, no_run
from tfft.runtime.load import load_predictor
from tfft.runtime.predictor import Outputs, Predictor
from tfft.system.files import read_arrays
from tfft.system.formats import BEFORE_REFIT, CALIBRATION, METRICS, PLAN, described
from tfft.system.progress import SILENT, Progress
from tfft.system.readable import Readable, counted


@dataclass(frozen=True)
class HeadCalibration:
    """What the logits of a head are divided by, and what that changes on the validation images.

    Attributes:
        temperature: Temperature, above 1 where the head is overconfident; 1 where no temperature is
            best.
        fitted: Whether there is a best temperature: there is none where every validation image is
            right, or the answers are no better than chance.
        nll_before: Mean -log probability of the true class, as trained.
        nll_after: Mean -log probability of the true class at the temperature.
        ece_before: Expected calibration error, as trained.
        ece_after: Expected calibration error at the temperature.
    """

    temperature: float
    fitted: bool
    nll_before: float
    nll_after: float
    ece_before: float
    ece_after: float


@dataclass(frozen=True, repr=False)
class Calibration(Readable):
    """The temperatures of a run.

    Attributes:
        examples: Number of validation images.
        heads: Calibration of each head that classifies, by name.
        model: SHA-256 of what determines it: model, pixels and images.
        held_out: Whether the metrics are of the weights before the refit on the validation images.
    """

    examples: int
    heads: dict[str, HeadCalibration]
    model: str
    held_out: bool

    def lines(self) -> list[str]:
        temperatures = [f"{name} {head.temperature:.3f}" for name, head in self.heads.items()]
        return [
            f"temperature {', '.join(temperatures)}, fitted on {counted(self.examples, 'image')}",
            *(
                f"{name}: loss {head.nll_before:.3f} → {head.nll_after:.3f}, "
                f"calibration error {head.ece_before:.3f} → {head.ece_after:.3f}"
                + ("" if head.fitted else " (no temperature is best: 1 is kept)")
                for name, head in self.heads.items()
            ),
        ]

    def to_json(self) -> dict[str, Any]:
        """Returns what ``calibration.json`` holds and ``tfft calibrate --json`` prints."""
        return asdict(self)

    @property
    def temperatures(self) -> dict[str, float]:
        """The temperature of each head that classifies."""
        return {name: head.temperature for name, head in self.heads.items()}


def calibrate(model: Path | Predictor, progress: Progress = SILENT) -> Calibration:
    """Fits a temperature for each classification head of a run and saves ``calibration.json``.

    A saved calibration of the same model is returned as it is. The most probable class of an image
    does not change, only its probability. Where the head was refitted on the validation images, the
    temperature is fitted on what it said of them before.

    Args:
        model: Run directory, or the predictor of a run.
        progress: Where progress is reported.

    Raises:
        ModelFileError: `model` is not a run, or has no head that classifies.
        TfftError: There are no validation images that the model was not trained on.

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks".
    """
    predictor = load_predictor(model) if isinstance(model, Path) else model
    directory = run_directory(predictor)
    if predictor.kind not in ("keras", "converted") or directory is None:
        raise no_run(predictor.path)
    run = Run(directory)
    heads = [n for n, head in predictor.info.heads.items() if head.kind == "classification"]
    if not heads:
        raise ModelFileError(f"{run.path} has no head that classifies: nothing to calibrate")
    data = recorded_data(predictor.info, progress)
    if not len(data.splits.get("validation", ())):
        raise TfftError(
            f"{run.path} was trained without validation images, and a temperature fitted on images "
            "that it was trained on would be wrong. Train with data.validation_fraction above 0."
        )
    index = data.splits["validation"]
    key = answers_key(predictor, index)
    if run.calibration_file.is_file():
        values = CALIBRATION.read(run.calibration_file)
        kept = described(Calibration, values, run.calibration_file, CALIBRATION.what)
        if kept.model == key:
            return kept
    before_refit = _before_refit(run, len(index))
    answers = before_refit or answers_of_run(predictor, "validation", index, progress)
    targets = targets_of_model(predictor.info, index, data.class_names)
    calibration = Calibration(
        examples=len(index),
        heads={name: _of_head(answers[name], targets[name]) for name in heads},
        model=key,
        held_out=before_refit is not None,
    )
    CALIBRATION.write(run.calibration_file, calibration.to_json())
    return calibration


def _before_refit(run: Run, examples: int) -> Outputs | None:
    """Returns what the heads said before a refit on validation images; None if not refitted.

    Raises:
        TfftError: They were refitted, and what they said before is not known.
    """
    best = METRICS.read_if_there(run.metrics_file).get("best", {})
    plan = PLAN.read(run.plan_file) if best else {}
    if not ends_with_refit(best, plan):
        return None
    if not run.before_refit_file.is_file():
        raise TfftError(
            f"the heads of {run.path} were refitted on the validation images, and what they said "
            f"of them before is not kept ({run.before_refit_file.name} is missing): a temperature "
            "fitted on images that a model was trained on would be wrong. Train it again."
        )
    arrays = BEFORE_REFIT.upgraded(read_arrays(run.before_refit_file), run.before_refit_file)
    answers = {name.removeprefix("outputs/"): values for name, values in arrays.items()}
    if any(len(values) != examples for values in answers.values()):
        raise TfftError(f"{run.before_refit_file} is not of these {examples} validation images")
    return answers


def _of_head(probabilities: np.ndarray, labels: np.ndarray) -> HeadCalibration:
    temperature = fit_temperature(probabilities, labels)
    scaled = at_temperature(probabilities, temperature or 1.0)
    return HeadCalibration(
        temperature=temperature or 1.0,
        fitted=temperature is not None,
        nll_before=negative_log_likelihood(probabilities, labels),
        nll_after=negative_log_likelihood(scaled, labels),
        ece_before=expected_calibration_error(probabilities, labels),
        ece_after=expected_calibration_error(scaled, labels),
    )
