"""What is chosen on the validation images of a run: temperatures, and operating points."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tfft.errors import ModelFileError, TfftError, UsageError
from tfft.evaluation.answers import answers_key, answers_of_run, run_directory
from tfft.evaluation.data import recorded_data, targets_of_model
from tfft.evaluation.operating_points import (
    AskedPoint,
    ChosenPoint,
    chosen_point,
    head_with_class,
)
from tfft.metrics.calibration import (
    at_temperature,
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
)
from tfft.runs.run import Run, ends_with_refit, no_run
from tfft.runtime.info import HeadInfo, ModelInfo, OperatingPoint
from tfft.runtime.load import load_predictor, read_model_info
from tfft.runtime.predictor import Outputs, Predictor
from tfft.system.files import locked, read_arrays
from tfft.system.formats import BEFORE_REFIT, CALIBRATION, METRICS, MODEL, PLAN, described
from tfft.system.progress import SILENT, Progress
from tfft.system.readable import Readable, counted
from tfft.system.typed import json_values


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
    """The temperatures and operating points of a run.

    Attributes:
        examples: Number of validation images.
        heads: Calibration of each head that classifies, by name.
        model: SHA-256 of what determines it: model, pixels and images.
        held_out: Whether the metrics are of the weights before the refit on the validation images.
        operating_points: Operating points of each head that has any, by name.
    """

    examples: int
    heads: dict[str, HeadCalibration]
    model: str
    held_out: bool
    operating_points: dict[str, tuple[ChosenPoint, ...]] = field(default_factory=dict)

    def lines(self) -> list[str]:
        temperatures = [f"{name} {head.temperature:.3f}" for name, head in self.heads.items()]
        points = [line for of in self.operating_points.values() for p in of for line in p.lines()]
        fitted = f"temperature {', '.join(temperatures)}, fitted" if temperatures else "chosen"
        return [
            f"{fitted} on {counted(self.examples, 'image')}",
            *(
                f"{name}: loss {head.nll_before:.3f} → {head.nll_after:.3f}, "
                f"calibration error {head.ece_before:.3f} → {head.ece_after:.3f}"
                + ("" if head.fitted else " (no temperature is best: 1 is kept)")
                for name, head in self.heads.items()
            ),
            *points,
        ]

    def to_json(self) -> dict[str, Any]:
        """Returns what ``calibration.json`` holds and ``tfft calibrate --json`` prints."""
        return json_values(self)

    @property
    def temperatures(self) -> dict[str, float]:
        """The temperature of each head that classifies."""
        return {name: head.temperature for name, head in self.heads.items()}

    def points(self, *, calibrated: bool) -> dict[str, tuple[OperatingPoint, ...]]:
        """Returns the operating points by head, for answers as trained or at the temperatures."""
        at = self.temperatures if calibrated else {}
        return {
            name: tuple(point.point(at.get(name, 1.0)) for point in points)
            for name, points in self.operating_points.items()
        }

    def calibrated(self, info: ModelInfo) -> ModelInfo:
        """Returns the description of the model that answers at the temperatures."""
        scaled = info.at_temperatures(self.temperatures)
        return scaled.with_operating_points(self.points(calibrated=True))


def calibrate(
    model: Path | Predictor,
    progress: Progress = SILENT,
    *,
    asked: AskedPoint | None = None,
    head: str | None = None,
    remove: str | None = None,
) -> Calibration:
    """Fits a temperature for each classification head of a run and saves ``calibration.json``.

    A saved calibration of the same model and images is returned as it is. The most probable class
    of an image does not change, only its probability. Where the head was refitted on the validation
    images, the temperature is fitted on what it said of them before.

    The operating points of the run's ``model.json`` are chosen on the same answers: again, where
    the images or the temperature are others than before.

    Args:
        model: Run directory, or the predictor of a run.
        progress: Where progress is reported.
        asked: Operating point to choose; it replaces that of its label, or of its classification.
        head: Head that it is of, needed where several have such a class.
        remove: Class or label whose operating point is taken back; "" for all of them.

    Raises:
        GateError: No threshold reaches what an operating point asks for; nothing was changed.
        ModelFileError: `model` is not a run, or has nothing to calibrate.
        TfftError: There are no validation images that the model was not trained on.
        UsageError: There is no such class or head, or no operating point to take back.

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks".
    """
    predictor = load_predictor(model) if isinstance(model, Path) else model
    directory = run_directory(predictor)
    if predictor.kind not in ("keras", "converted") or directory is None:
        raise no_run(predictor.path)
    run, info = Run(directory), predictor.info
    heads = [n for n, each in info.heads.items() if each.kind == "classification"]
    wanted = _wanted_points(info.heads, asked, head, remove)
    if not heads and not wanted and remove is None:
        raise ModelFileError(f"{run.path} has no head that classifies: nothing to calibrate")
    data = recorded_data(info, progress)
    if not len(data.splits.get("validation", ())):
        raise TfftError(
            f"{run.path} was trained without validation images, and what is chosen on images "
            "that it was trained on would be wrong. Train with data.validation_fraction above 0."
        )
    index = data.splits["validation"]
    key = answers_key(predictor, index)
    calibration = _kept(run, key, wanted)
    if calibration is None:
        before_refit = _before_refit(run, len(index), [*heads, *wanted])
        answers = before_refit or answers_of_run(predictor, "validation", index, progress)
        targets = targets_of_model(info, index, data.class_names)
        fitted = {name: _of_head(answers[name], targets[name]) for name in heads}
        chosen = {
            name: tuple(
                chosen_point(
                    point,
                    info.heads[name],
                    answers[name],
                    targets[name],
                    fitted[name].temperature if name in fitted else 1.0,
                )
                for point in points
            )
            for name, points in wanted.items()
        }
        calibration = Calibration(len(index), fitted, key, before_refit is not None, chosen)
        CALIBRATION.write(run.calibration_file, calibration.to_json())
    points = calibration.points(calibrated=False)
    if info.with_operating_points(points) != info:
        _say_what_moved(info, points, asked, progress)
        predictor.info = info.with_operating_points(points)
        with locked(run.model_info_file):
            described_again = read_model_info(run.path).with_operating_points(points)
            MODEL.write(run.model_info_file, described_again.to_json())
    return calibration


def _wanted_points(
    heads: Mapping[str, HeadInfo], asked: AskedPoint | None, head: str | None, remove: str | None
) -> dict[str, list[AskedPoint]]:
    """Returns the operating points by head: those of the model, with what was asked for."""
    wanted = {
        name: [AskedPoint(p.label, p.goal, p.at_least) for p in each.operating_points]
        for name, each in heads.items()
    }
    if remove is not None:
        of_heads = [head_with_class(heads, remove, head)] if remove else [*heads]
        left = {n: [p for p in wanted[n] if remove and p.label != remove] for n in of_heads}
        if all(left[name] == wanted[name] for name in left):
            there = "; ".join(str(point) for points in wanted.values() for point in points)
            which = f" of {remove}" if remove else ""
            raise UsageError(f"there is no operating point{which} to take back: {there or 'none'}")
        wanted |= left
    if asked is not None:
        name = head_with_class(heads, asked.label, head)
        one_of_all = heads[name].kind == "classification"
        others = [] if one_of_all else [p for p in wanted[name] if p.label != asked.label]
        wanted[name] = [*others, asked]
    return {name: points for name, points in wanted.items() if points}


def _kept(run: Run, key: str, wanted: Mapping[str, list[AskedPoint]]) -> Calibration | None:
    """Returns the saved calibration if it is of this model and images, and of these points."""
    if not run.calibration_file.is_file():
        return None
    values = CALIBRATION.read(run.calibration_file)
    kept = described(Calibration, values, run.calibration_file, CALIBRATION.what)
    asked = {
        name: [AskedPoint(p.label, p.goal, p.at_least) for p in points]
        for name, points in kept.operating_points.items()
    }
    return kept if kept.model == key and asked == wanted else None


def _say_what_moved(
    info: ModelInfo,
    points: Mapping[str, tuple[OperatingPoint, ...]],
    asked: AskedPoint | None,
    progress: Progress,
) -> None:
    """Says which operating points are no longer what they were, other than the one asked for."""
    for name, chosen in points.items():
        before = {point.label: point.threshold for point in info.heads[name].operating_points}
        if asked is not None and asked.label in {point.label for point in chosen}:
            for label in before.keys() - {point.label for point in chosen}:
                progress.message(
                    f"the operating point of {label} is taken back: of classes that exclude each "
                    "other, one has an operating point"
                )
        for point in chosen:
            was = before.get(point.label, point.threshold)
            is_asked = asked is not None and asked.label == point.label
            if was != point.threshold and not is_asked:
                progress.message(
                    "the validation images or the model are others than before: the operating "
                    f"point of {point.label} was chosen again, at {point.threshold:.4f} in place "
                    f"of {was:.4f}. Exports made before keep theirs"
                )


def _before_refit(run: Run, examples: int, heads: list[str]) -> Outputs | None:
    """Returns what heads said before a refit on validation images; None if not refitted.

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
    if missing := set(heads) - set(answers):
        raise TfftError(
            f"an older version of tfft made {run.path}, and did not keep what {', '.join(missing)} "
            "said of the validation images before it was solved again with them. Train it again."
        )
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
