"""Trains the heads of a model that an earlier run kept, without TensorFlow or Keras.

The features come from the cache; those of new photos are computed by the converted backbone, once
it agrees with what is in the cache. Only to decode new photos, to the very pixels of the others, is
TensorFlow started. The run is the one that `tfft.transfer.train` would make: the same bits in its
weights, the same files, but no checkpoints, for it is as soon trained anew.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from datetime import UTC, datetime

import numpy as np

from tfft.backbones.record import FILE_NAME
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
from tfft.data.kept_splits import write_kept_splits
from tfft.images.pixels import encoded_batch_to_pixels
from tfft.images.spec import PixelSpec
from tfft.model.head_size import HeadSize
from tfft.runs.history import History, columns
from tfft.runs.run import Run, record, record_engine
from tfft.runtime.converted_predictor import BATCH_SIZE, may_convert
from tfft.runtime.tflite.agreement import outputs_agree
from tfft.runtime.tflite.runner import TfliteFunction, TfliteWorkers
from tfft.system.digests import file_sha256
from tfft.system.files import atomic_path, write_arrays
from tfft.system.formats import BACKBONE, BEFORE_REFIT, PLAN
from tfft.system.progress import Progress
from tfft.transfer.description import examples_of, head_sizes, model_info
from tfft.transfer.frozen.engine import FrozenFunction
from tfft.transfer.frozen.part import CutContent, FrozenPart
from tfft.transfer.linear.heads import Features, SolvedHead, solve_heads
from tfft.transfer.plan.solved import cached_bytes, solved_reason
from tfft.transfer.results import write_results
from tfft.transfer.stopping import recorded_if_stopped
from tfft.transfer.template import Template

# Photos on which the converted backbone has to agree with what is in the cache, and as many on
# which the finished model has to agree with its features.
_COMPARED = 4


class _NotKeptError(Exception):
    """What an earlier run kept is not enough to train without TensorFlow."""


def train_again(
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
    started = time.perf_counter()
    (phase,) = recipe.train.phases
    assert isinstance(phase, LinearPhase)
    plan = _plan(recipe, data, template)
    if plan["phases"][0]["cache_bytes"] > recipe.train.cache.max_gb * 1e9:
        return None  # the plan of the model says so
    pixels = PixelSpec.from_json(template.pixels)
    train, validation = (examples_of(data, split, pixels) for split in ("train", "validation"))
    name, licence = template.spec
    info = model_info(recipe, data, pixels, name, licence)
    sizes = head_sizes(recipe, data)
    with (
        recorded_if_stopped(run),
        closing(History(run.path)) as history,
        ExitStack() as opened,
    ):
        write_kept_splits(run.splits_file, data)
        PLAN.write(run.plan_file, plan)
        BACKBONE.write(run.path / FILE_NAME, template.backbone)
        record(
            run,
            status="running",
            data=data.to_json(),
            splits_sha256=file_sha256(run.splits_file),
            seed=recipe.seed,
            onednn=template.onednn,
        )
        try:
            features = _features(recipe, template, (train, validation), run, opened, progress)
        except _NotKeptError:
            return None
        solving = time.perf_counter()
        solved = solve_heads(
            {name: (config, sizes[name]) for name, config in recipe.heads.items()},
            template.poolings,
            features,
            phase,
            progress,
        )
        held_out = {f"outputs/{n}": s.held_out for n, s in solved.items() if s.held_out is not None}
        if held_out:
            write_arrays(run.before_refit_file, BEFORE_REFIT.stamped(held_out))
        validated = {name: head.validation for name, head in solved.items() if head.validation}
        now = time.perf_counter()
        row = {
            **{"phase": 1, "epoch": 1, "step": 0},
            **columns("validation", validated),
            **{"seconds": now - solving, "elapsed_seconds": now - started},
        }
        history.write([row])
        weights = {name: head.weights for name, head in solved.items()}
        with atomic_path(run.model_file) as temporary:
            temporary.write_bytes(template.keras_file(weights, datetime.now()))
        best = ({"phase": 1, "epoch": 1}, validated)
        info = info.with_thresholds({name: head.thresholds for name, head in solved.items()})
        finished = write_results(run, recipe, info, data, (train, validation), [row], best)
        record(run, status="finished", finished=datetime.now(UTC).isoformat(timespec="seconds"))
        _keep_converted(run, recipe, template, solved, sizes, features, validation)
    return finished


def _plan(recipe: Recipe, data: ImageData, template: Template) -> dict[str, object]:
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


def _features(
    recipe: Recipe,
    template: Template,
    images: tuple[Images, Images],
    run: Run,
    opened: ExitStack,
    progress: Progress,
) -> Features:
    """Returns the features of all images, `opened`; those that are not in the cache are computed.

    Raises:
        _NotKeptError: They cannot be, without TensorFlow.
    """
    train, validation = images
    cut = CutContent(*template.content)
    engines: set[str] = set()

    def function(_: np.ndarray) -> FrozenFunction:
        return _converted_backbone(recipe, template, cut, train)

    part = FrozenPart(function, [cut], recipe.train.cache, progress)

    def features(examples: Images, split: str) -> Sequence[Rows]:
        rows = part.outputs(examples, split)
        opened.callback(rows.close)
        engines.update(rows.said("engine"))
        resident = len(examples) * rows.content.row_bytes <= RESIDENT_BYTES
        return [tensor[:] for tensor in rows.tensors] if resident else rows.tensors

    found = Features(
        features(train, "train"),
        train.exact_targets(),
        features(validation, "validation"),
        validation.exact_targets(),
    )
    if engines:
        record_engine(run, 1, ", ".join(sorted(engines)))
    return found


def _converted_backbone(
    recipe: Recipe, template: Template, cut: CutContent, train: Images
) -> FrozenFunction:
    """Returns the backbone as it was converted, which gives what the cache has of some photos."""
    kept = kept_conversion(template.conversion)
    if kept is None or kept.content is None:
        raise _NotKeptError
    function = FrozenFunction("xnnpack", TfliteWorkers(kept.content).map)
    content = cut.of(train, recipe.train.cache.dtype)
    with closing(open_rows(content, train.keys())) as rows:
        known = np.flatnonzero(rows.segment_of >= 0)[:_COMPARED]
        if len(known) < _COMPARED:
            raise _NotKeptError
        expected = [tensor[known] for tensor in rows.tensors]
    batch = next(iter(train.take(known).exact_batches(_COMPARED)))
    (actual,) = function([batch["inputs"].numpy()])
    if not outputs_agree(actual, expected):
        raise _NotKeptError
    return function


def _keep_converted(
    run: Run,
    recipe: Recipe,
    template: Template,
    solved: Mapping[str, SolvedHead],
    sizes: Mapping[str, HeadSize],
    features: Features,
    validation: Images,
) -> None:
    """Keeps the finished model as a TFLite file for predictions, if it gives the right answers.

    They are those of its heads on the features of some validation images, whose pixels are made as
    for a prediction.
    """
    weights = {name: head.weights for name, head in solved.items()}
    content = template.tflite_file(weights) if may_convert() else None
    if content is None:
        return
    index = validation.index.take(range(min(_COMPARED, len(validation))))
    encoded = [index.read(position) for position in range(len(index))]
    outputs = TfliteFunction(content)(
        encoded_batch_to_pixels(encoded, validation.pixels, index.boxes)
    )
    expected = []
    for name in template.outputs:
        of_head = features.validation[template.poolings.index(recipe.heads[name].pooling)]
        linear = weights[name].outputs(of_head[: len(index)])
        expected.append(linear * sizes[name].deviation + sizes[name].mean)
    if outputs_agree(outputs, expected):
        key = conversion_key(model=file_sha256(run.model_file), batch_size=BATCH_SIZE)
        about = {"what": "converted model", "backbone": template.spec[0], "recipe": recipe.name}
        keep_conversion(key, Conversion(content, template.outputs), about)
