"""Trains the heads of a model that an earlier run kept, without TensorFlow or Keras.

The features come from the cache; those of new photos are computed by the converted backbone, once
it agrees with what is in the cache. Only to decode new photos, to the very pixels of the others, is
TensorFlow started. The run is the one that `tfft.transfer.train` would make: the same bits in its
weights, the same files, but no checkpoints, for it is as soon trained anew.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from tfft.cache.converted import (
    Conversion,
    conversion_key,
    keep_conversion,
    kept_conversion,
)
from tfft.cache.store import open_rows
from tfft.cache.tensors import RESIDENT_BYTES, Rows
from tfft.config.recipe import Recipe
from tfft.config.train import LinearPhase
from tfft.data.dataset import ImageData
from tfft.data.examples import Images
from tfft.images.pixels import encoded_batch_to_pixels
from tfft.images.spec import PixelSpec
from tfft.runs.history import History, columns
from tfft.runs.run import Run, record, record_engine
from tfft.runtime.converted_predictor import BATCH_SIZE, may_convert
from tfft.runtime.tflite.agreement import outputs_agree
from tfft.runtime.tflite.runner import TfliteFunction, TfliteWorkers
from tfft.system.digests import file_sha256
from tfft.system.files import atomic_path, write_arrays
from tfft.system.formats import BEFORE_REFIT
from tfft.system.names import UNLIKENESS
from tfft.system.progress import Progress
from tfft.transfer.description import examples_of, head_sizes, model_info
from tfft.transfer.frozen.engine import FrozenFunction
from tfft.transfer.frozen.part import CutContent, FrozenPart
from tfft.transfer.linear.heads import Features, SolvedHead, solve_heads
from tfft.transfer.linear.weights import LinearWeights
from tfft.transfer.plan.solved import cached_bytes, solved_reason
from tfft.transfer.run_files import begin_run, write_results
from tfft.transfer.stopping import recorded_if_stopped
from tfft.transfer.template import Template
from tfft.transfer.unlikeness import (
    Unlikeness,
    chosen_pooling,
    fit_unlikeness,
    measured_positions,
    share_to_keep,
)

# Photos on which the converted backbone has to agree with what is in the cache, and as many on
# which the finished model has to agree with its features.
_COMPARED = 4


class _NotKeptError(Exception):
    """What an earlier run kept is not enough to train without TensorFlow."""


def train_from_template(
    recipe: Recipe, data: ImageData, template: Template, run: Run, progress: Progress
) -> Run | None:
    """Trains a recipe in the directory of a run that is made, with what an earlier run kept.

    Args:
        recipe: The recipe, resolved.
        data: Its images.
        template: The model to fill in.
        run: The run.
        progress: Where the work is reported.

    Returns:
        The finished run; None if the images cannot be trained on in this way after all.

    Raises:
        TfftError: A feature is not finite, the disk is full, …
    """
    plan = _plan(recipe, data, template)
    if plan["phases"][0]["cache_bytes"] > recipe.train.cache.max_gb * 1e9:
        return None  # the training with TensorFlow says so
    with ExitStack() as opened:
        training = _Training(recipe, data, template, run, opened, progress)
        with recorded_if_stopped(run), closing(History(run.path)) as history:
            training.begin(plan)
            try:
                features = training.features()
            except _NotKeptError:
                return None
            solved = training.solved(features, history)
            unlikeness = training.unlikeness(features)
            finished = training.finished(solved, unlikeness)
        if may_convert():
            training.keep_converted(solved, unlikeness, features)
    return finished


def _plan(recipe: Recipe, data: ImageData, template: Template) -> dict[str, Any]:
    """Returns the plan of the run that kept the template, for other images."""
    (phase,) = recipe.train.phases
    shapes, counts = template.content[2], data.counts
    changed = {
        "config": phase.model_dump(mode="json"),
        "cache_bytes": cached_bytes(shapes, counts, recipe.train.cache.dtype),
        "reason": solved_reason(shapes, counts["train"]),
    }
    (planned,) = template.plan["phases"]
    return {**template.plan, "images": counts, "phases": [{**planned, **changed}]}


class _Training:
    """What the steps of a training share; arguments as in `train_from_template`.

    Args:
        opened: Where what is read from the cache stays open.
    """

    def __init__(
        self,
        recipe: Recipe,
        data: ImageData,
        template: Template,
        run: Run,
        opened: ExitStack,
        progress: Progress,
    ) -> None:
        self._started = time.perf_counter()
        self._recipe, self._data, self._template = recipe, data, template
        self._run, self._opened, self._progress = run, opened, progress
        self._pixels = PixelSpec.from_json(template.pixels)
        self._train = examples_of(data, "train", self._pixels)
        self._validation = examples_of(data, "validation", self._pixels)
        self._sizes = head_sizes(recipe, data)
        self._history: list[dict[str, Any]] = []

    def begin(self, plan: Mapping[str, Any]) -> None:
        """Writes what the run says from its beginning."""
        backbone, onednn = self._template.backbone, self._template.onednn
        seed = self._recipe.seed
        begin_run(self._run, self._data, plan, backbone, seed=seed, onednn=onednn)

    def features(self) -> Features:
        """Returns the features of all images; those that are not in the cache are computed.

        Raises:
            _NotKeptError: They cannot be, without TensorFlow.
        """
        cut = CutContent(*self._template.content)
        part = FrozenPart(
            lambda _: self._backbone(cut), [cut], self._recipe.train.cache, self._progress
        )
        engines: set[str] = set()

        def features(examples: Images, split: str) -> Sequence[Rows]:
            rows = part.outputs(examples, split)
            self._opened.callback(rows.close)
            engines.update(rows.said("engine"))
            resident = len(examples) * rows.content.row_bytes <= RESIDENT_BYTES
            return [tensor[:] for tensor in rows.tensors] if resident else rows.tensors

        found = Features(
            features(self._train, "train"),
            self._train.exact_targets(),
            features(self._validation, "validation"),
            self._validation.exact_targets(),
        )
        if engines:
            record_engine(self._run, 1, ", ".join(sorted(engines)))
        return found

    def _backbone(self, cut: CutContent) -> FrozenFunction:
        """Returns the converted backbone, which gives what the cache has of some photos."""
        kept = kept_conversion(self._template.conversion)
        if kept is None or kept.content is None:
            raise _NotKeptError
        function = FrozenFunction("xnnpack", TfliteWorkers(kept.content).map)
        content = cut.of(self._train, self._recipe.train.cache.dtype)
        with closing(open_rows(content, self._train.keys())) as rows:
            known = np.flatnonzero(rows.segment_of >= 0)[:_COMPARED]
            if len(known) < _COMPARED:
                raise _NotKeptError
            expected = [tensor[known] for tensor in rows.tensors]
        (actual,) = function([_pixels_of(self._train.take(known))])
        if not outputs_agree(actual, expected):
            raise _NotKeptError
        return function

    def solved(self, features: Features, history: History) -> dict[str, SolvedHead]:
        """Solves the heads, and records the phase as one epoch."""
        began = time.perf_counter()
        recipe, sizes = self._recipe, self._sizes
        (phase,) = recipe.train.phases
        assert isinstance(phase, LinearPhase)
        heads = {name: (config, sizes[name]) for name, config in recipe.heads.items()}
        solved = solve_heads(heads, self._template.poolings, features, phase, self._progress)
        held_out = {f"outputs/{n}": s.held_out for n, s in solved.items() if s.held_out is not None}
        if held_out:
            write_arrays(self._run.before_refit_file, BEFORE_REFIT.stamped(held_out))
        now = time.perf_counter()
        seconds = {"seconds": now - began, "elapsed_seconds": now - self._started}
        of_heads = columns("validation", _validated(solved))
        self._history.append({"phase": 1, "epoch": 1, "step": 0, **of_heads, **seconds})
        history.write(self._history)
        return solved

    def unlikeness(self, features: Features) -> Unlikeness | None:
        """Returns what the model measures beside its heads; None if it does not."""
        keep = share_to_keep(self._recipe, len(self._validation), self._progress)
        if keep is None:
            return None
        column = chosen_pooling(self._template.poolings)
        train, validation = features.train[column], features.validation[column]
        return fit_unlikeness(
            train[measured_positions(len(self._train))],
            validation[measured_positions(len(self._validation))],
            keep,
        )

    def finished(self, solved: Mapping[str, SolvedHead], unlikeness: Unlikeness | None) -> Run:
        """Writes the model and what the run says of it, and records the run as finished."""
        weights = _filled_in(solved, unlikeness)
        with atomic_path(self._run.model_file) as temporary:
            temporary.write_bytes(self._template.keras_file(weights, datetime.now()))
        name, licence = self._template.spec
        info = model_info(self._recipe, self._data, self._pixels, name, licence)
        info = replace(info, unsure=unlikeness.info if unlikeness else None)
        finished = write_results(
            self._run,
            self._recipe,
            info.with_thresholds({name: head.thresholds for name, head in solved.items()}),
            self._data,
            (self._train, self._validation),
            self._history,
            ({"phase": 1, "epoch": 1}, _validated(solved)),
        )
        now = datetime.now(UTC).isoformat(timespec="seconds")
        record(self._run, status="finished", finished=now)
        return finished

    def keep_converted(
        self, solved: Mapping[str, SolvedHead], unlikeness: Unlikeness | None, features: Features
    ) -> None:
        """Keeps the model as a TFLite file for predictions, if it gives the right answers.

        They are those of its heads on the features of some validation images, whose pixels are made
        as for a prediction.
        """
        template, heads = self._template, self._recipe.heads
        weights = _filled_in(solved, unlikeness)
        content = template.tflite_file(weights)
        if content is None:
            return
        some = self._validation.take(range(min(_COMPARED, len(self._validation))))
        outputs = TfliteFunction(content)(_pixels_of(some))
        expected = []
        for name in template.outputs:
            if name == UNLIKENESS and unlikeness is not None:
                measured = features.validation[chosen_pooling(template.poolings)]
                expected.append(unlikeness.distances(measured[: len(some)]))
                continue
            of_pooling = features.validation[template.poolings.index(heads[name].pooling)]
            linear = weights[name].outputs(of_pooling[: len(some)])
            expected.append(linear * self._sizes[name].deviation + self._sizes[name].mean)
        if outputs_agree(outputs, expected):
            key = conversion_key(model=file_sha256(self._run.model_file), batch_size=BATCH_SIZE)
            about = {"backbone": template.spec[0], "recipe": self._recipe.name}
            conversion = Conversion(content, template.outputs)
            keep_conversion(key, conversion, {"what": "converted model", **about})


def _filled_in(
    solved: Mapping[str, SolvedHead], unlikeness: Unlikeness | None
) -> dict[str, LinearWeights]:
    """Returns the weights that the template is filled with, by head and by other layer."""
    heads = {name: head.weights for name, head in solved.items()}
    return {**heads, **(unlikeness.layers if unlikeness else {})}


def _validated(solved: Mapping[str, SolvedHead]) -> dict[str, dict[str, float]]:
    """Returns the metrics of the heads that have a target among the validation images."""
    return {name: head.validation for name, head in solved.items() if head.validation}


def _pixels_of(images: Images) -> np.ndarray:
    """Returns the pixels of a few images as for a prediction, float32 [n, h, w, channels]."""
    index = images.index
    encoded = [index.read(position) for position in range(len(index))]
    return encoded_batch_to_pixels(encoded, images.pixels, index.boxes)
