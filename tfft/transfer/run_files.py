"""What a training writes into its run beside weights: at its beginning, and of its result."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tfft.backbones.record import FILE_NAME
from tfft.config.recipe import Recipe
from tfft.data.dataset import ImageData
from tfft.data.examples import Examples
from tfft.data.kept_splits import write_kept_splits
from tfft.runs.curves import Row
from tfft.runs.diagnosis import diagnose
from tfft.runs.history import history_digest
from tfft.runs.run import Run, record
from tfft.runtime.info import ModelInfo
from tfft.system.digests import file_sha256
from tfft.system.formats import BACKBONE, METRICS, MODEL, PLAN
from tfft.transfer.baselines import baselines_of
from tfft.transfer.description import head_sizes


def begin_run(
    run: Run,
    data: ImageData,
    plan: Mapping[str, Any],
    backbone: Mapping[str, Any],
    **entries: Any,
) -> None:
    """Writes what a run says while it trains; the splits that it has already are kept.

    Args:
        run: The run.
        data: Its images.
        plan: Its plan, as JSON values.
        backbone: Record of its backbone, as JSON values.
        entries: What else stands in ``run.json``.
    """
    if not run.splits_file.is_file():
        write_kept_splits(run.splits_file, data)
    PLAN.write(run.plan_file, plan)
    BACKBONE.write(run.path / FILE_NAME, backbone)
    splits = file_sha256(run.splits_file)
    record(run, status="running", data=data.to_json(), splits_sha256=splits, **entries)


def write_results(
    run: Run,
    recipe: Recipe,
    info: ModelInfo,
    data: ImageData,
    examples: tuple[Examples, Examples],
    history: Sequence[Row],
    best: tuple[Mapping[str, int], dict[str, dict[str, float]]],
) -> Run:
    """Writes ``model.json`` and ``metrics.json`` of a run.

    Args:
        run: The run.
        recipe: Its recipe.
        info: What its model says of itself.
        data: Its images.
        examples: Training and validation examples.
        history: Rows of its history.
        best: Phase and epoch of the kept weights, empty if there are none, and their metrics on
            the validation images.

    Returns:
        The run with its metrics, its diagnosis, and the notes about its images.
    """
    MODEL.write(run.model_info_file, info.to_json())
    sizes, (train, validation) = head_sizes(recipe, data), examples
    baselines = baselines_of(
        {name: (config, sizes[name]) for name, config in recipe.heads.items()},
        train.exact_targets(),
        validation.exact_targets(),
    )
    diagnosis = tuple(diagnose(history, recipe, len(validation), baselines))
    place, metrics = best
    METRICS.write(
        run.metrics_file,
        {
            "validation": metrics,
            "best": dict(place),
            "diagnosis": [finding.to_json() for finding in diagnosis],
            "history_sha256": history_digest(run.path),
        },
    )
    return replace(run, metrics=metrics, diagnosis=diagnosis, notes=data.notes)
