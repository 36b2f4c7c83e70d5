"""A value of another type in a JSON file that tfft wrote is used, or refused by the file's name.

The files are those of the first code, which have no checksums.
"""

import json
import random
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tally import tally

from tfft.backbones.keras_models.run_classifier import class_names_of_run
from tfft.backbones.record import read_backbone_record
from tfft.cache.room import list_entries
from tfft.errors import TfftError
from tfft.evaluation.calibrate import Calibration
from tfft.reports import facts
from tfft.reports.plan_figure import plan_figure
from tfft.runs.exports import recorded_exports
from tfft.runs.run import Run, open_run, refits_validation
from tfft.runtime.load import read_model_info
from tfft.studies.compare import Cell
from tfft.studies.outcome import read_outcome
from tfft.system.formats import CALIBRATION, METRICS, PLAN, RUN, described
from tfft.system.progress import SILENT
from tfft.transfer.resume import _as_it_ended

pytestmark = pytest.mark.slow
_ARCHIVE = Path(__file__).parents[1] / "old_formats" / "0.zip"
_NASTY = (
    *("null", "true", "-1", "3", "1.5", '""', '"x"', "[]", "{}", "[[]]", "[null]", '{"a": 1}'),
    *("NaN", "1e999", "9" * 40, "9" * 5_000, "[" * 100_000, r'"\ud800"', '"\x1b[31m"', "1e300"),
)
_MARK = "the value that is replaced"


def _use_record(place: Path) -> None:
    run = Run(place / "runs" / "finished")
    open_run(run.path)
    run.lines()
    recorded_exports(run.path)
    record = RUN.read(run.record_file)
    facts._circumstances(record)
    facts.made_by(record)


def _use_plan(place: Path) -> None:
    run = Run(place / "runs" / "finished")
    refits_validation(run)
    plan_figure(PLAN.read(run.plan_file))
    read_outcome(Cell("arm", 1.0, 0, run.path), "label")


def _use_metrics(place: Path) -> None:
    run, recipe = open_run(place / "runs" / "finished")
    refits_validation(run)
    _as_it_ended(run, recipe, SILENT).lines()
    metrics = METRICS.read(run.metrics_file)
    facts._kept(metrics["best"], PLAN.read(run.plan_file), True)


def _use_model(place: Path) -> None:
    run = place / "runs" / "finished"
    info = read_model_info(run)
    info.to_export_json()
    for head in info.heads.values():
        f"{len(head.class_names):,} {head.kind}"
    class_names_of_run(run)


def _use_backbone(place: Path) -> None:
    read_backbone_record(place / "runs" / "finished" / "backbone.json")


def _use_calibration(place: Path) -> None:
    file = place / "runs" / "finished" / "calibration.json"
    described(Calibration, CALIBRATION.read(file), file, CALIBRATION.what).lines()


def _use_entry(place: Path) -> None:
    for entry in list_entries(place / "cache" / "activations"):
        entry.lines()


USES: dict[str, Callable[[Path], object]] = {
    "runs/finished/run.json": _use_record,
    "runs/finished/plan.json": _use_plan,
    "runs/finished/metrics.json": _use_metrics,
    "runs/finished/model.json": _use_model,
    "runs/finished/backbone.json": _use_backbone,
    "runs/finished/calibration.json": _use_calibration,
}


@pytest.fixture(scope="module")
def old(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("old")
    with zipfile.ZipFile(_ARCHIVE) as archive:
        archive.extractall(place)
    for file in (*place.rglob("*.json"), *place.rglob("*.yaml")):
        file.write_text(file.read_text().replace("@PLACE@", str(place)))
    return place


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container in a JSON value, with each key in it."""
    keys = (
        range(len(value)) if isinstance(value, list) else value if isinstance(value, dict) else ()
    )
    for key in keys:
        yield value, key
        yield from places(value[key])


@pytest.mark.parametrize("count", [40, pytest.param(1_000, marks=pytest.mark.full)])
@pytest.mark.parametrize("name", USES)
def test_a_value_of_another_type_is_used_or_refused_by_the_name_of_its_file(name, count, old):
    file = old / name
    content = file.read_text()
    try:
        for seed in range(count):
            draw = random.Random(seed)
            values = json.loads(content)
            container, key = draw.choice(list(places(values)))
            if seed % 4:
                container[key] = _MARK
            else:
                del container[key]
            file.write_text(json.dumps(values).replace(f'"{_MARK}"', draw.choice(_NASTY)))
            try:
                USES[name](old)
            except TfftError as error:
                assert file.name in str(error), (seed, key, str(error))
                assert len(str(error)) < 1_500
            except Exception as error:
                raise AssertionError(f"{name}, seed {seed}: {key} of {container}") from error
    finally:
        file.write_text(content)
    promise = "A JSON file of a run with a value of another type is used, or refused by name."
    tally("runs", f"{promise} ({file.name})", tried=count, held=count)
