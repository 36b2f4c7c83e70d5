"""Two models on the same images: is the new one better than the old one?"""

import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tfft.config.loading.overrides import Overrides
from tfft.data.dataset import shown
from tfft.data.index import ImageIndex
from tfft.errors import DataError, GateError, UsageError
from tfft.evaluation.answers import answers_key, kept_answers, run_directory
from tfft.evaluation.data import images_of_split, is_place_hidden, seen_in_training
from tfft.evaluation.predict import predict_index
from tfft.metrics.compared import ComparedHead, compared_head
from tfft.metrics.heads import METRIC_NAMES
from tfft.runtime.info import HeadInfo, ModelInfo
from tfft.runtime.load import load_predictor
from tfft.runtime.predictor import Outputs, Predictor
from tfft.system.cells import cell, folded, lines_html, table_html, text_html
from tfft.system.progress import SILENT, Progress
from tfft.system.readable import Readable, counted, interval_text

# Metrics that a notebook shows of both.
_METRICS = ("top1", "mean_class_accuracy", "ece", "loss")
# Calls of each model that are timed, at most this many and for about this long.
_TIMED_CALLS, _TIMED_S = 20, 1.0


@dataclass(frozen=True)
class ComparedModel:
    """One of the two models.

    Attributes:
        model: Path or URL of the model.
        kind: Kind of its predictor, as `Predictor.kind` has it.
        bytes: Size of its files; None for a model on a server.
        latency_ms: Median time from one encoded image to its answer on this machine, in
            milliseconds, while both models take turns; with the network for one on a server.
        left_out: Number of images that are left out because it was trained on them, or chosen by
            them; None where it is not known which those are.
    """

    model: str
    kind: str
    bytes: int | None
    latency_ms: float
    left_out: int | None


@dataclass(frozen=True, repr=False, eq=False)
class ModelComparison(Readable):
    """Two models on the same images.

    Attributes:
        old: The old model, such as the one in production.
        new: The new model, which may take its place.
        data: Name of the data.
        split: ``train``, ``validation``, ``test`` or ``all``.
        examples: Number of images that neither model was trained on, as far as it is known.
        left_out: Number of images that are left out because one of the models was trained on them,
            or chosen by them.
        heads: What is compared of each head with classes that both models have.
        notes: Remarks about images and models.
    """

    old: ComparedModel
    new: ComparedModel
    data: str
    split: str
    examples: int
    left_out: int
    heads: dict[str, ComparedHead]
    notes: tuple[str, ...] = ()

    @property
    def unknown(self) -> tuple[str, ...]:
        """The models of which it is not known whether they were trained on the images."""
        return tuple(each.model for each in (self.old, self.new) if each.left_out is None)

    def verdicts(self) -> list[str]:
        """Returns a sentence for each head, and one where it is not known what was trained on."""
        named = len(self.heads) > 1
        lines = [f"{name}: {h.text()}" if named else h.text() for name, h in self.heads.items()]
        if self.unknown:
            lines.append(
                f"It is not known which of these images {' and '.join(self.unknown)} "
                f"{'were' if len(self.unknown) > 1 else 'was'} trained on, so the verdict may "
                "flatter: compare the runs themselves, or name the run of a URL with --info"
            )
        return lines

    def lines(self) -> list[str]:
        split = "" if self.split == "all" else f", {self.split}"
        left_out = f"; {self.left_out:,} that were trained on left out" if self.left_out else ""
        metrics = [
            f"{name}: top1 {head.old['top1']:.3f}{interval_text(head.old['top1_interval'])} → "
            f"{head.new['top1']:.3f}{interval_text(head.new['top1_interval'])}, ece "
            f"{head.old['ece']:.3f} → {head.new['ece']:.3f}"
            for name, head in self.heads.items()
        ]
        return [
            f"{self.new.model} against {self.old.model} on {self.data}{split}, "
            f"{counted(self.examples, 'image')}{left_out}",
            *self.verdicts(),
            *metrics,
            *self.notes,
        ]

    def _repr_html_(self) -> str:
        first, *_ = self.lines()
        tables = []
        for name, head in self.heads.items():
            shown = {each: METRIC_NAMES[each] for each in _METRICS if each in head.old}
            title = "metric" if len(self.heads) == 1 else name
            sides = {
                side: [metrics[each] for each in shown]
                for side, metrics in (("old", head.old), ("new", head.new))
            }
            tables += [
                table_html({title: list(shown.values()), **sides}),
                folded("by class", _classes_html(head)),
            ]
        verdicts = (f"<p>{text_html(text)}</p>" for text in (*self.verdicts(), *self.notes))
        return cell(lines_html([first]), *verdicts, *tables)

    def to_json(self) -> dict[str, Any]:
        """Returns what ``tfft compare OLD NEW --json`` prints."""
        return {
            "old": asdict(self.old),
            "new": asdict(self.new),
            "data": self.data,
            "split": self.split,
            "examples": self.examples,
            "left_out": self.left_out,
            "heads": {name: head.to_json() for name, head in self.heads.items()},
            "notes": list(self.notes),
        }

    def require(self, *, min_gain: float | None = None, max_loss: float | None = None) -> None:
        """Requires that the new model may take the place of the old one.

        Args:
            min_gain: Top-1 accuracy, 0..1, that it must gain, shown at 95 %: the lower end of the
                interval must not be below it; None: any.
            max_loss: Top-1 accuracy, 0..1, that it may lose at most, likewise.

        Raises:
            GateError: That is not shown of a head.
        """
        needed = {
            f"--min-gain {min_gain}": min_gain,
            f"--max-loss {max_loss}": None if max_loss is None else -max_loss,
        }
        below = [
            f"head {name}: the difference in top-1 may be {head.interval.low:+.4f}, below "
            f"{option} (it is {head.difference:+.4f}, 95 % interval {head.interval.low:+.4f} to "
            f"{head.interval.high:+.4f})"
            for option, least in needed.items()
            for name, head in self.heads.items()
            if least is not None and head.interval.low < least
        ]
        if below:
            raise GateError("\n".join(below), self)


def _classes_html(head: ComparedHead) -> str:
    """Returns what changes by class, the largest change first, as a table."""
    changed = sorted(head.classes, key=lambda each: -abs(each.only_new - each.only_old))
    return table_html(
        {
            "class": [each.label for each in changed],
            "images": [each.examples for each in changed],
            "old": [each.old for each in changed],
            "new": [each.new for each in changed],
            "lost": [each.only_old for each in changed],
            "gained": [each.only_new for each in changed],
            "p": [each.p_value for each in changed],
        }
    )


def compare_models(
    old: str | Path | Predictor,
    new: str | Path | Predictor,
    *,
    data: Path | None = None,
    split: str | None = None,
    overrides: Overrides = (),
    progress: Progress = SILENT,
) -> ModelComparison:
    """Compares two models on images that neither was trained on.

    Args:
        old: A MODEL or its predictor, such as the one in production.
        new: Another, which may take its place.
        data: Directory or manifest; default: the data that the new model was trained on, or else
            those of the old one.
        split: ``train``, ``validation``, ``test`` or ``all``; default: ``test``, and all of other
            data that have no splits.
        overrides: Values of the `data` section by which `data` are read; without `data`,
            ``data.labels`` alone.
        progress: Where progress is reported.

    Raises:
        ModelFileError: One is no model, or without `data` neither says where its images are.
        DataError: There are no such images, none that neither was trained on, or none of classes
            that both models know.
        UsageError: The models have no head with classes in common.
    """
    pair = [load_predictor(each) if isinstance(each, str | Path) else each for each in (old, new)]
    infos = [predictor.info for predictor in pair]
    heads = _common_heads(*infos)
    asked = replace(_info_with_data(*infos) if data is None else infos[1], heads=heads)
    index, loaded, split, _ = images_of_split(asked, split, data, progress, overrides)
    seen = [seen_in_training(info, index) for info in infos]
    known = [each for each in seen if each is not None]
    unseen = np.flatnonzero(~np.any(known, axis=0)) if known else np.arange(len(index))
    if not len(unseen):
        raise DataError(
            f"{pair[0].path} or {pair[1].path} was trained on each of the {len(index)} images, or "
            "chosen by it: on these nothing can be compared. Give other images with --data"
        )
    left_out = len(index) - len(unseen)
    outputs = [_answers(predictor, split, index, unseen, progress) for predictor in pair]
    index = index.take(unseen)
    compared = {
        name: compared_head(
            index.ids,
            index.targets[head.target],
            loaded.class_names[head.target],
            [info.heads[name].class_names for info in infos],
            [answers[name] for answers in outputs],
        )
        for name, head in heads.items()
    }
    latencies = _latencies(pair, index)
    old_model, new_model = (
        ComparedModel(
            model=str(run_directory(predictor) or predictor.path),
            kind=predictor.kind,
            bytes=_size(predictor.path),
            latency_ms=latency,
            left_out=None if of_model is None else int(of_model.sum()),
        )
        for predictor, latency, of_model in zip(pair, latencies, seen, strict=True)
    )
    others = [name for info in infos for name in info.heads if name not in heads]
    notes = loaded.notes
    if others:
        notes += (f"not compared: {', '.join(shown(list(dict.fromkeys(others))))}",)
    return ModelComparison(
        old_model, new_model, loaded.name, split, len(index), left_out, compared, notes
    )


def _common_heads(old: ModelInfo, new: ModelInfo) -> dict[str, HeadInfo]:
    """Returns the heads with classes that both models have, as the new one describes them."""
    common = {
        name: head
        for name, head in new.heads.items()
        if head.kind == "classification"
        and name in old.heads
        and (old.heads[name].kind, old.heads[name].target) == (head.kind, head.target)
    }
    if not common:
        raise UsageError(
            "the models have no head for classes in common, which is what is compared. Received: "
            f"{', '.join(old.heads)} of {old.name} and {', '.join(new.heads)} of {new.name}"
        )
    return common


def _info_with_data(old: ModelInfo, new: ModelInfo) -> ModelInfo:
    """Returns the description that says where images are: that of the new model if it does."""
    says = [info for info in (new, old) if info.data is not None and not is_place_hidden(info)]
    return says[0] if says else new


def _answers(
    predictor: Predictor, split: str, index: ImageIndex, unseen: np.ndarray, progress: Progress
) -> Outputs:
    """Returns what a model says of the images of a split that are unseen, by their positions.

    An evaluation of the run on the same images has kept it.
    """
    run = run_directory(predictor)
    kept = None if run is None else kept_answers(run, split, answers_key(predictor, index))
    if kept is not None:
        return {head: values[unseen] for head, values in kept.outputs.items()}
    text = f"answers of {predictor.path}"
    return predict_index(predictor, index.take(unseen), 32, text, progress)


def _latencies(predictors: Sequence[Predictor], index: ImageIndex) -> list[float]:
    """Returns the median time of each model from an encoded image to its answer, in ms."""
    image = index.read(0)
    taken: list[list[float]] = [[] for _ in predictors]
    for predictor in predictors:
        predictor.answers_from_bytes([image])
    end = time.perf_counter() + _TIMED_S * len(predictors)
    while len(taken[0]) < _TIMED_CALLS and time.perf_counter() < end:
        for predictor, times in zip(predictors, taken, strict=True):
            start = time.perf_counter()
            predictor.answers_from_bytes([image])
            times.append(1e3 * (time.perf_counter() - start))
    return [statistics.median(times) for times in taken]


def _size(path: str) -> int | None:
    """Returns the size of a file, or of all files in a directory, in bytes; None if not here."""
    place = Path(path)
    if place.is_file():
        return place.stat().st_size
    if not place.is_dir():
        return None
    return sum(file.stat().st_size for file in place.rglob("*") if file.is_file())
