"""The metrics of a MODEL on a split of data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tfft.config.loading.overrides import Overrides
from tfft.data.dataset import ImageData
from tfft.errors import DataError, UsageError
from tfft.evaluation.answers import Answers, answers_key, run_directory, save_answers
from tfft.evaluation.data import evaluation_images, images_of_folder, targets_of_model
from tfft.evaluation.image_table import write_image_table
from tfft.evaluation.operating_points import point_line, require_class
from tfft.evaluation.predict import predict_index
from tfft.metrics.heads import METRIC_NAMES, head_metrics
from tfft.metrics.unsure import unsure_lines, unsure_metrics
from tfft.runs.run import Run, refits_validation, require_same_data
from tfft.runtime.load import load_predictor
from tfft.runtime.predictor import Predictor
from tfft.system.cells import cell, folded, lines_html, metrics_html, table_html, text_html
from tfft.system.files import require_writable
from tfft.system.formats import EVALUATION
from tfft.system.progress import SILENT, Progress
from tfft.system.readable import Readable, counted, main_metrics, metric_lines
from tfft.system.typed import json_values

# Pairs of classes that a notebook names.
_CONFUSIONS = 10


@dataclass(frozen=True, repr=False)
class Evaluation(Readable):
    """The metrics of a model on a split.

    Attributes:
        model: Path or URL of the model.
        split: ``train``, ``validation``, ``test`` or ``all``.
        examples: Number of images.
        metrics: Metrics by head, as `tfft.metrics.heads.head_metrics` gives them.
        notes: Remarks about the images.
        engine: What answered, the `kind` of the predictor: ``keras``, ``converted``, ….
        unsure: Of a model that says where it is unsure, what that changes, as
            `tfft.metrics.unsure.unsure_metrics` gives it; {} of others.
    """

    model: str
    split: str
    examples: int
    metrics: dict[str, dict[str, Any]]
    notes: tuple[str, ...] = ()
    engine: str = ""
    unsure: dict[str, Any] = field(default_factory=dict)

    def lines(self) -> list[str]:
        metrics = main_metrics(self.metrics)
        return [
            f"{self.model} on {self.split}, {counted(self.examples, 'image')}: {metrics}",
            *metric_lines(self.metrics),
            *(point_line(p) for m in self.metrics.values() for p in m.get("operating_points", ())),
            *unsure_lines(self.unsure),
        ]

    def _repr_html_(self) -> str:
        tables = []
        for head, metrics in self.metrics.items():
            tables += [
                metrics_html(metrics, METRIC_NAMES, "metric" if len(self.metrics) == 1 else head),
                folded("by class", _classes_html(metrics.get("per_class", ()), "accuracy")),
                folded("by label", _classes_html(metrics.get("per_label", ()), "threshold")),
                folded("most confused", _confusions_html(metrics)),
            ]
        points = (p for m in self.metrics.values() for p in m.get("operating_points", ()))
        said = (*map(point_line, points), *unsure_lines(self.unsure), *self.notes)
        texts = (f"<p>{text_html(text)}</p>" for text in said)
        return cell(lines_html(self.lines()[:1]), *tables, *texts)

    def to_json(self) -> dict[str, Any]:
        """Returns what ``tfft evaluate --json`` prints."""
        return {
            "model": self.model,
            "split": self.split,
            "examples": self.examples,
            "metrics": json_values(self.metrics),
            "notes": list(self.notes),
            "engine": self.engine,
            "unsure": self.unsure or None,
        }


def _classes_html(rows: Sequence[Mapping[str, Any]], first: str) -> str:
    """Returns the metrics of classes or labels as a table, those with the worst F1 first."""
    ordered = sorted(rows, key=lambda row: 2.0 if row.get("f1") is None else row["f1"])
    columns = ("label", "examples", first, "precision", "recall", "f1")
    return table_html({name: [row.get(name) for row in ordered] for name in columns})


def _confusions_html(metrics: Mapping[str, Any]) -> str:
    """Returns the classes that are taken for others most often, as a table."""
    counts = np.array(metrics.get("confusion", np.zeros((0, 0))), np.int64)
    np.fill_diagonal(counts, 0)
    worst = np.argsort(-counts, axis=None, kind="stable")[:_CONFUSIONS]
    pairs = [divmod(place, len(counts)) for place in worst.tolist() if counts.flat[place]]
    names = [row["label"] for row in metrics.get("per_class", ())]
    return table_html(
        {
            "class": [names[truth] for truth, _ in pairs],
            "taken for": [names[said] for _, said in pairs],
            "images": [int(counts[pair]) for pair in pairs],
        }
    )


def evaluate(
    model: str | Path | Predictor,
    *,
    split: str | None = None,
    data: Path | None = None,
    overrides: Overrides = (),
    classes: Sequence[str] = (),
    unlike: Sequence[Path] = (),
    batch_size: int = 32,
    csv: Path | None = None,
    progress: Progress = SILENT,
) -> Evaluation:
    """Evaluates a MODEL; the images are decoded as the model's own clients decode them.

    Memory grows with the number of images only by 4 bytes for each class and image. Where the model
    is a run directory, the metrics are also written to its ``evaluation/<split>.json``, and the
    answers on each image to ``evaluation/<split>.npz``.

    Args:
        model: Run directory, ``.keras`` file, SavedModel directory, ``.tflite`` file, URL of a
            served model, or a predictor.
        split: ``train``, ``validation``, ``test`` or ``all``; default: ``test``, and all of other
            data that have no splits.
        data: Directory with one folder for each class, or a manifest; default: the data that the
            model was trained on.
        overrides: Values of the `data` section by which `data` are read, such as
            ``data.on_bad_image=skip``; without `data`, ``data.labels`` alone.
        classes: Classes or labels that matter: each gets its curves over all thresholds.
        unlike: Folders of images that are none of what the model knows, with or without folders in
            them: how well `Evaluation.unsure` tells them apart.
        batch_size: Number of images that are predicted at a time.
        csv: CSV file for what is said of each image, as `write_image_table` writes it; default:
            none is written.
        progress: Where progress is reported.

    Raises:
        ModelFileError: `model` is no model.
        DataError: There is no such split, or it has classes that the model does not know.
        RecipeError: An override is not of the `data` section, or its value is wrong.
        UsageError: There are other overrides without other data, there is no such class, or the
            model is never unsure and `unlike` is given.
    """
    if csv is not None:
        require_writable(csv.parent)
    predictor = load_predictor(model) if isinstance(model, str | Path) else model
    for label in classes:
        require_class(predictor.info.heads, label)
    if unlike and predictor.info.unsure is None:
        raise UsageError(
            f"{predictor.path} does not measure how unlike its training images an image is "
            "(unsure.keep of its recipe, and too few validation images, decide that)"
        )
    others = [images_of_folder(folder, progress) for folder in unlike]
    index, loaded, split = evaluation_images(predictor.info, split, data, progress, overrides)
    targets = targets_of_model(predictor.info, index, loaded.class_names)
    run = run_directory(predictor)
    own_run = run if data is None and not overrides else None
    if own_run is not None:
        _say_what_was_trained_on(Run(own_run), split, loaded, progress)
    answers = predict_index(predictor, index, batch_size, f"evaluating on {split} images", progress)
    if csv is not None:
        write_image_table(csv, index.ids, predictor.info.heads, answers, targets)
    metrics = {
        name: head_metrics(
            head, answers[name], targets[name], [c for c in classes if c in head.class_names]
        )
        for name, head in predictor.info.heads.items()
    }
    answers_on_others = {
        str(folder): predict_index(predictor, images, batch_size, f"images of {folder}", progress)
        for folder, (images, _) in zip(unlike, others, strict=True)
    }
    evaluation = Evaluation(
        str(run or predictor.path),
        split,
        len(index),
        metrics,
        (*loaded.notes, *(note for _, notes in others for note in notes)),
        predictor.kind,
        unsure_metrics(predictor.info, answers, targets, answers_on_others),
    )
    if own_run is not None:
        EVALUATION.write(own_run / "evaluation" / f"{split}.json", evaluation.to_json())
        key = answers_key(predictor, index)
        save_answers(own_run, split, Answers(np.array(index.ids), targets, answers, key))
    return evaluation


def _say_what_was_trained_on(run: Run, split: str, data: ImageData, progress: Progress) -> None:
    """Says where metrics are better than they would be on images that the run never saw."""
    if split in ("validation", "all") and refits_validation(run):
        progress.message(
            f"{run.path} solved its head again with the validation images too (refit: true): its "
            "metrics on them say little about other images"
        )
    if data.changes is not None:  # the images are those of the run, whatever else is there
        return
    try:
        require_same_data(run, data)
    except DataError as error:
        progress.message(f"some of these images may have been trained on: {error}")
