"""Makes the report of a run: collects its content and writes its page."""

import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfft.config.loading.load import dump_recipe, load_recipe
from tfft.config.recipe import Recipe
from tfft.data.dataset import ImageData
from tfft.data.index import ImageIndex
from tfft.errors import TfftError, UsageError, nearest
from tfft.evaluation.answers import answers_of_run, load_run
from tfft.evaluation.calibrate import Calibration, calibrate
from tfft.evaluation.data import recorded_data, targets_of_model, together
from tfft.evaluation.operating_points import require_class
from tfft.metrics.heads import METRIC_NAMES
from tfft.metrics.unsure import unsure_metrics
from tfft.reports.curves import curve_figures, learning_rate_figure
from tfft.reports.duplicates import AlikePair, Duplicates, find_duplicates
from tfft.reports.exports import export_rows
from tfft.reports.facts import facts, made_by
from tfft.reports.gallery import Picture, pictures, worst_mistakes
from tfft.reports.heads import HeadReport, head_report
from tfft.reports.names import display_names
from tfft.reports.page import page
from tfft.reports.photos import data_uri
from tfft.reports.plan_figure import plan_figure
from tfft.reports.png import require_pngs, write_pngs
from tfft.reports.saliency import saliency_of
from tfft.runs.history import read_history
from tfft.runs.run import Run, refits_validation, require_run
from tfft.runtime.keras_predictor import KerasPredictor
from tfft.runtime.predictor import Outputs
from tfft.system.files import require_writable, write_text
from tfft.system.formats import METRICS, PLAN, RUN
from tfft.system.names import UNLIKENESS
from tfft.system.progress import SILENT, Progress
from tfft.system.readable import Readable, size_text
from tfft.version import __version__

_MISTAKES = 24
_ALIKE_SHOWN = 12
_UNLIKE_SHOWN = 12


@dataclass(frozen=True, repr=False)
class Report(Readable):
    """What was written.

    Attributes:
        path: Path of the page.
        split: Split of the data that the report is about.
        bytes: Size of the page in bytes.
        seconds: Seconds the report took, wall clock.
        pngs: Paths of the figures as PNG files, if they were asked for.
    """

    path: Path
    split: str
    bytes: int
    seconds: float
    pngs: tuple[Path, ...]

    def lines(self) -> list[str]:
        return [
            f"{self.path}, {size_text(self.bytes)}, on {self.split} images",
            *(str(path) for path in self.pngs),
        ]

    def to_json(self) -> dict[str, Any]:
        """Returns what ``tfft report --json`` prints."""
        return {
            "report": str(self.path),
            "split": self.split,
            "bytes": self.bytes,
            "seconds": round(self.seconds, 1),
            "pngs": [str(path) for path in self.pngs],
        }


@dataclass(frozen=True, eq=False)
class AlikePictures:
    """Two images that look alike, with photos and labels: first that of the one trained on."""

    pair: AlikePair
    files: tuple[str, str]
    photos: tuple[str, str]
    labels: tuple[str, str] | None


@dataclass(frozen=True, eq=False)
class _Opened:
    """A run with all that its report is made from, read or computed once."""

    run: Run
    recipe: Recipe
    predictor: KerasPredictor
    data: ImageData
    split: str
    index: ImageIndex
    answers: Outputs
    targets: dict[str, np.ndarray]
    plan: dict[str, Any]
    metrics: dict[str, Any]

    @property
    def trained_on(self) -> bool:
        """Whether the heads were solved again with the images of the split (``refit: true``)."""
        return self.split == "validation" and refits_validation(self.run)


def make_report(
    run: Path,
    *,
    output: Path | None = None,
    split: str | None = None,
    png: Path | None = None,
    classes: Sequence[str] = (),
    progress: Progress = SILENT,
) -> Report:
    """Writes the report of a run: one HTML file that needs no other and no network.

    The answers on the images are taken from an evaluation of the run if that is current, and
    computed and kept otherwise. A report on validation images that the heads were solved again with
    (``refit: true``) has a warning, and nothing that holds only for unseen images.

    Args:
        run: Run directory.
        output: File to write; default: ``report.html`` in the run.
        split: Split to report on; default: ``test``, or ``validation`` if there are no test images.
        png: Directory for the figures as PNG files; None: none are written.
        classes: Classes or labels that matter, whose curves over all thresholds are drawn; default:
            those with an operating point, or else the one with the lowest average precision.
        progress: Where progress is reported.

    Raises:
        ModelFileError: `run` is not a run, or has no model.
        UsageError: There is no such split or class, or the renderer of PNG files is not installed.
        DataError: The images are no longer there.
        TfftError: `output` or `png` cannot be written to.
    """
    started = time.perf_counter()
    run = Path(run)
    require_run(run)
    path = output or run / "report.html"
    _require_places(path, png)
    opened = _open(run, split, classes, progress)
    values = _values(opened, classes, progress)
    text = page("report.html", values)
    write_text(path, text)
    figures = [f for f in (values["plan"], *values["curves"]) if f is not None]
    figures += [figure for head in values["heads"] for figure in head.figures]
    pngs = write_pngs(figures, png) if png is not None else []
    seconds = time.perf_counter() - started
    return Report(path, opened.split, len(text.encode()), seconds, tuple(pngs))


def _require_places(page_file: Path, png: Path | None) -> None:
    """Checks that page and figures can be written before minutes are spent on them."""
    if page_file.is_dir():
        raise UsageError(
            f"--output takes a file, and {page_file} is a directory: give {page_file}/report.html"
        )
    require_writable(page_file.parent)
    if png is not None:
        require_pngs(png)


def _values(opened: _Opened, classes: Sequence[str], progress: Progress) -> dict[str, Any]:
    """Returns the values of the variables in ``templates/report.html``."""
    calibration, no_calibration = _calibration(opened, progress)
    heads = [_head(opened, name, calibration, classes) for name in opened.predictor.info.heads]
    rows = read_history(opened.run.path)
    curves = [figure for head in heads for figure in curve_figures(rows, head.name)]
    rates = learning_rate_figure(rows)
    plan, info, recipe = opened.plan, opened.predictor.info, opened.recipe
    record = {**RUN.read(opened.run.record_file), "status": opened.run.status}
    return {
        "name": recipe.name,
        "description": recipe.description,
        "facts": facts(info, recipe, opened.data, record, plan, opened.metrics),
        "plan": plan_figure(plan) if plan else None,
        "phases": plan.get("phases", []),
        "diagnosis": [finding["text"] for finding in opened.metrics.get("diagnosis", ())],
        "curves": [*curves, *([rates] if rates else [])],
        "split": opened.split,
        "images": len(opened.index),
        "trained_on": opened.trained_on,
        "has_test_images": "test" in _judged_splits(opened.data),
        "heads": heads,
        "no_calibration": no_calibration,
        "unsure": _unsure(opened),
        "calibrated_on": calibration.examples if calibration else 0,
        "held_out": bool(calibration and calibration.held_out),
        **({} if opened.trained_on else _leaks(opened, progress)),
        "exports": export_rows(opened.run.path, progress),
        "run": shlex.quote(str(opened.run.path.absolute())),
        "command": made_by(record),
        "recipe": dump_recipe(recipe),
        "version": __version__,
    }


def _open(run: Path, split: str | None, classes: Sequence[str], progress: Progress) -> _Opened:
    predictor = load_run(run)
    for label in classes:
        require_class(predictor.info.heads, label)
    data = recorded_data(predictor.info, progress)
    there = _judged_splits(data)
    chosen = split or next(iter(there), None)
    if chosen not in there:
        raise UsageError(
            f"a report is of test or validation images, and {data.name} has "
            f"{' and '.join(there) or 'neither test nor validation'} images."
            f"{nearest(chosen or '', there)} Received: {chosen}"
        )
    index = data.splits[chosen]
    opened = Run(run)
    return _Opened(
        opened,
        load_recipe(run / "recipe.yaml"),
        predictor,
        data,
        chosen,
        index,
        answers_of_run(predictor, chosen, index, progress),
        targets_of_model(predictor.info, index, data.class_names),
        PLAN.read_if_there(opened.plan_file),
        METRICS.read_if_there(opened.metrics_file),
    )


def _judged_splits(data: ImageData) -> list[str]:
    """Returns the splits that a report can be about, the default first."""
    return [name for name in ("test", "validation") if len(data.splits.get(name, ()))]


def _calibration(opened: _Opened, progress: Progress) -> tuple[Calibration | None, str]:
    """Returns the calibration of the run, or why there is none."""
    if all(head.kind != "classification" for head in opened.predictor.info.heads.values()):
        return None, ""
    try:
        return calibrate(opened.predictor, progress), ""
    except TfftError as error:
        return None, str(error)


def _head(
    opened: _Opened, name: str, calibration: Calibration | None, classes: Sequence[str]
) -> HeadReport:
    head = opened.predictor.info.heads[name]
    answers, targets = opened.answers[name], opened.targets[name]
    labels = display_names(head.class_names)
    mistakes = worst_mistakes(head, labels, answers, targets, _MISTAKES)
    shown: Sequence[Picture]
    if head.class_names and mistakes:
        saliency = saliency_of(opened.predictor.model, name)
        shown = pictures(opened.predictor, opened.index, mistakes, saliency)
        explained = saliency.method
    else:
        shown, explained = pictures(opened.predictor, opened.index, mistakes, None), ""
    fitted = calibration.heads.get(name) if calibration else None
    return head_report(
        name,
        head,
        answers,
        targets,
        fitted,
        shown,
        explained,
        classes=classes,
        trained_on=opened.trained_on,
    )


def _unsure(opened: _Opened) -> dict[str, Any]:
    """Returns what the page says of images that the model is unsure of, the least alike first."""
    info, answers = opened.predictor.info, opened.answers
    found = unsure_metrics(info, answers, opened.targets, {})
    if not found:
        return {}
    unlikeness = answers[UNLIKENESS][:, 0]
    order = np.argsort(-unlikeness, kind="stable")[: min(_UNLIKE_SHOWN, (unlikeness > 1).sum())]
    shown = [
        (_photo(opened, opened.index, k), opened.index.ids[k], float(unlikeness[k])) for k in order
    ]
    sides = [
        (name, METRIC_NAMES[side["metric"]], side["value"], side["left_out"])
        for name, side in found["kept"].items()
    ]
    return {**found, "shown": shown, "sides": sides}


def _leaks(opened: _Opened, progress: Progress) -> dict[str, Any]:
    """Returns what the page says of images that look like one that was trained on."""
    names = [name for name in ("train", "validation") if name != opened.split]
    trained = together([opened.data.splits[name] for name in names if name in opened.data.splits])
    duplicates = find_duplicates(trained, opened.index, progress)
    labels = trained.targets["label"], opened.index.targets["label"]
    return {
        "duplicates": duplicates,
        "alike": _alike_pictures(opened, trained, duplicates),
        "without_alike": _without(opened, duplicates),
        "labelled_otherwise": sum(
            int(labels[0][pair.trained] != labels[1][pair.judged]) for pair in duplicates.pairs
        ),
    }


def _alike_pictures(
    opened: _Opened, trained: ImageIndex, duplicates: Duplicates
) -> list[AlikePictures]:
    judged, names = opened.index, display_names(opened.data.class_names.get("label", ()))
    found = []
    for pair in duplicates.pairs[:_ALIKE_SHOWN]:
        numbers = trained.targets["label"][pair.trained], judged.targets["label"][pair.judged]
        found.append(
            AlikePictures(
                pair,
                (trained.ids[pair.trained], judged.ids[pair.judged]),
                (_photo(opened, trained, pair.trained), _photo(opened, judged, pair.judged)),
                (names[numbers[0]], names[numbers[1]]) if names else None,
            )
        )
    return found


def _photo(opened: _Opened, index: ImageIndex, position: int) -> str:
    boxes = None if index.boxes is None else index.boxes[position : position + 1]
    return data_uri(opened.predictor.pixels([index.read(position)], boxes)[0])


def _without(opened: _Opened, duplicates: Duplicates) -> dict[str, float]:
    """Returns the top-1 of each head on the images that look like none that was trained on."""
    alike = np.zeros(len(opened.index), bool)
    alike[[pair.judged for pair in duplicates.pairs]] = True
    if not alike.any() or alike.all():
        return {}
    return {
        name: float((opened.answers[name].argmax(axis=1) == opened.targets[name])[~alike].mean())
        for name, head in opened.predictor.info.heads.items()
        if head.kind == "classification"
    }
