"""What is printed of the results of the Python interface: `print(result)`, and in a console."""

import shlex
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from tfft.audit.class_pairs import ClassPair
from tfft.audit.findings import Finding as Found
from tfft.audit.result import Audit
from tfft.backbones.describe import BackboneDescription, BlockDescription
from tfft.cache.room import Listed
from tfft.data.applied_labels import AppliedLabels, Move
from tfft.data.dataset import BadImage, DataReport, ImageData
from tfft.data.index import index_of_files
from tfft.evaluation.calibrate import Calibration, HeadCalibration
from tfft.evaluation.compare_models import ComparedModel, ModelComparison
from tfft.evaluation.evaluate import Evaluation
from tfft.evaluation.features import FeatureFile
from tfft.exports.export import Export
from tfft.exports.serving.publish import Published
from tfft.exports.serving.serve_check import Live, ServeCheck
from tfft.images.spec import PixelSpec
from tfft.metrics.compared import ComparedHead
from tfft.metrics.intervals import Interval
from tfft.reports.report import Report
from tfft.runs.finding import Finding
from tfft.runs.run import Run
from tfft.runtime.timing import BatchTiming, Timing
from tfft.studies.advise import Advice
from tfft.studies.backbone_check import CheckResult
from tfft.studies.report import StudyReport
from tfft.studies.tune import Tuned
from tfft.system.files import write_json
from tfft.system.readable import Readable, install_command
from tfft.transfer.lr_range import RangeTest
from tfft.transfer.plan.plan import FreezePlan, PartPlan, PhasePlan
from tfft.transfer.probes.probe import BlockProbe, Probe
from tfft.transfer.probes.rank import RankedBackbone, Ranking

METRICS = {
    "label": {
        "examples": 200,
        "top1": 0.8934,
        "top1_interval": Interval(0.8512, 0.9255),
        "top5": 0.99,
        "loss": 0.31,
        "ece": 0.04,
        "mean_class_accuracy": 0.88,
        "per_class": [{"label": "cat", "accuracy": 0.9}] * 300,
        "confusion": [[1] * 300] * 300,
    }
}
BAD = tuple(BadImage(f"{n}.jpg", "no image") for n in range(7))


def _phase(number: int, **values: Any) -> PhasePlan:
    plan = {
        "frozen_blocks": 2,
        "cut": "block2",
        "trained_by_block": (0, 0),
        "trained_parameters": 3003,
        "block_factors": (1.0, 1.0),
        "head_factor": 1.0,
        "steps_per_epoch": 0,
        "steps": 0,
        "cached": True,
        "views": 0,
        "cut_shapes": ((1280,),),
        "cache_bytes": 5,
        "reason": "",
    }
    return PhasePlan(number, cast(Any, None), **{**plan, **values})


def _ranked(name: str, top1: float) -> RankedBackbone:
    return RankedBackbone(
        name, 224, 5, 6, 7, 0.25, 0.5, top1, Interval(top1 - 0.05, top1 + 0.05), 1.0, 1.0, 1.0
    )


def _compared_head() -> ComparedHead:
    metrics = METRICS["label"]
    interval = Interval(0.01, 0.05)
    return ComparedHead(200, metrics, metrics, 0.03, interval, 0.0129, -0.1, None, (), (), ())


RESULTS: dict[str, tuple[Readable, str, str]] = {
    "run": (
        Run(Path("runs/none"), METRICS, (Finding("overfits", 1, "The loss rises."),)),
        "<Run runs/none: not started, label top1 0.893>",
        "runs/none: not started, label top1 0.893\n"
        "  label: top1 0.893 [0.851, 0.925], top5 0.990, loss 0.310, ece 0.040\n"
        "  The loss rises.\n"
        "  next: tfft.resume('runs/none')",
    ),
    "evaluation": (
        Evaluation("runs/a", "test", 200, METRICS),
        "<Evaluation runs/a on test, 200 images: label top1 0.893>",
        "runs/a on test, 200 images: label top1 0.893\n"
        "  label: top1 0.893 [0.851, 0.925], top5 0.990, loss 0.310, ece 0.040",
    ),
    "features": (
        FeatureFile(
            Path("f.parquet"), 5_130_000, "runs/a", "label", 1000, 1280, ("id", "label"), BAD[:1]
        ),
        "<FeatureFile f.parquet: 1,280 features of 1,000 images, 5.1 MB>",
        "f.parquet: 1,280 features of 1,000 images, 5.1 MB\n"
        "  what head label of runs/a takes\n"
        "  beside them: id, label\n"
        "  skipped 0.jpg: no image",
    ),
    "calibration": (
        Calibration(40, {"label": HeadCalibration(1.5, True, 0.4, 0.3, 0.1, 0.05)}, "0", False),
        "<Calibration temperature label 1.500, fitted on 40 images>",
        "temperature label 1.500, fitted on 40 images\n"
        "  label: loss 0.400 → 0.300, calibration error 0.100 → 0.050",
    ),
    "export": (
        Export(Path("s/a/1"), {"int8": Path("s/a/t.tflite")}, {"x": {}}, {"float16": "Off by\n1"}),
        "<Export SavedModel, TFLite int8, 1 file refused>",
        "SavedModel, TFLite int8, 1 file refused\n"
        "  SavedModel: s/a/1\n"
        "  TFLite int8: s/a/t.tflite\n"
        "  refused: Off by",
    ),
    "plan": (
        FreezePlan(
            "EfficientNetLite0",
            224,
            False,
            (PartPlan("block1", 1000), PartPlan("block2", 2000)),
            (PartPlan("label", 3003),),
            (_phase(1), _phase(2, cut=None, cached=False, steps=40, trained_parameters=6003)),
            {"train": 320, "validation": 80},
        ),
        "<FreezePlan EfficientNetLite0 at 224 px: 2 phases, 6,003 parameters>",
        "EfficientNetLite0 at 224 px: 2 phases, 6,003 parameters\n"
        "  images: 320 train, 80 validation\n"
        "  phase 1: 3,003 parameters trained, frozen up to block2, solved, from the cache\n"
        "  phase 2: 6,003 parameters trained, no cut, 40 steps",
    ),
    "ranking": (
        Ranking(
            "photos", {"train": 320, "validation": 80}, 5, (_ranked("A", 0.9), _ranked("B", 0.8))
        ),
        "<Ranking 2 backbones on photos: A is first, probe top1 0.900>",
        "2 backbones on photos: A is first, probe top1 0.900\n"
        "  images: 320 train, 80 validation; 5 classes\n"
        "  A: probe top1 0.900 [0.850, 0.950], LogME 0.250\n"
        "  B: probe top1 0.800 [0.750, 0.850], LogME 0.250",
    ),
    "probe": (
        Probe(
            "A",
            "label",
            80,
            (
                BlockProbe("block1", 5, 0.7, Interval(0.65, 0.8), 0.4),
                BlockProbe("block2", 5, 0.8, Interval(0.75, 0.85), 1.0),
            ),
        ),
        "<Probe A, head label: block1 is enough, best block2, top1 0.800 [0.750, 0.850]>",
        "A, head label: block1 is enough, best block2, top1 0.800 [0.750, 0.850]\n"
        "  on 80 validation images\n"
        "  block1: top1 0.700 [0.650, 0.800]\n"
        "  block2: top1 0.800 [0.750, 0.850]",
    ),
    "range test": (
        RangeTest(1, (0.1,) * 100, (0.2,) * 90, 0.003, 0.2, 0.001),
        "<RangeTest phase 1: learning rate 0.003 suggested, 0.001 configured>",
        "phase 1: learning rate 0.003 suggested, 0.001 configured\n  90 steps, diverged at 0.2",
    ),
    "flat range test": (
        RangeTest(1, (0.1,) * 100, (0.2,) * 100, None, None, 0.001),
        "<RangeTest phase 1: the loss falls at no learning rate, 0.001 configured>",
        "phase 1: the loss falls at no learning rate, 0.001 configured\n  100 steps",
    ),
    "report": (
        Report(Path("r.html"), "test", 1_234_567, 2.0, (Path("plan.png"),)),
        "<Report r.html, 1.2 MB, on test images>",
        "r.html, 1.2 MB, on test images\n  plan.png",
    ),
    "study": (
        StudyReport(
            cast(
                Any,
                SimpleNamespace(
                    path="studies/a", arms=[SimpleNamespace(name=name) for name in ("full", "none")]
                ),
            ),
            cast(Any, SimpleNamespace(fractions=[], head="label", test_images=80)),
        ),
        "<StudyReport studies/a: full against none, 80 test images>",
        "studies/a: full against none, 80 test images\n  page: studies/a/comparison.html",
    ),
    "search": (
        Tuned(
            "studies/t",
            "studies/t/best.yaml",
            8,
            2,
            {"train.batch_size": 16},
            0.9,
            0.85,
            True,
            0.01,
            "Better.",
        ),
        "<Tuned studies/t: 8 trials, validation top1 0.900 against 0.850 by default>",
        "studies/t: 8 trials, validation top1 0.900 against 0.850 by default\n"
        "  train.batch_size: 16\n"
        "  Better.\n"
        "  next: tfft.train('studies/t/best.yaml')",
    ),
    "advice": (
        Advice("partial", "Few images.", cast(Any, None), 40, 2, cast(Any, None)),
        "<Advice partial: Few images.>",
        "partial: Few images.\n  next: advice.write(Path('partial.yaml'))",
    ),
    "published": (
        Published("s/a/1", "/models/a/1", 1),
        "<Published /models/a/1, from s/a/1>",
        "/models/a/1, from s/a/1",
    ),
    "published already": (
        Published("s/a/1", "/models/a/1", 1, already_live=True),
        "<Published /models/a/1 is s/a/1 already: nothing to do>",
        "/models/a/1 is s/a/1 already: nothing to do",
    ),
    "serve check": (
        ServeCheck(
            "http://h/v1/models/a",
            "runs/a",
            256,
            0.001,
            {"serve_bytes": {"label": {"largest_difference": 0.1, "top1_agreement": 0.9}}},
            Live(4, 3, "dogs-2", "0123456789abcdef", "2026-01-01T00:00:00+00:00"),
        ),
        "<ServeCheck http://h/v1/models/a does NOT answer as runs/a, 256 images>",
        "http://h/v1/models/a does NOT answer as runs/a, 256 images\n"
        "  version 4: export 3 of run dogs-2, weights 0123456789ab\n"
        "  serve_bytes, head label: largest difference 0.1\n"
        "  allowed: 0.001",
    ),
    "timing": (
        Timing(
            "a.tflite",
            "tflite",
            1,
            0.5,
            0.1,
            0.9,
            None,
            (BatchTiming(1, 9, 5.25, 6.5, 7.0, 190.0),),
        ),
        "<Timing a.tflite, 1 thread: 5.25 ms for 1 image>",
        "a.tflite, 1 thread: 5.25 ms for 1 image\n"
        "  loaded in 0.50 s, first answer after 0.90 s\n"
        "  1 image: p90 6.5 ms, p99 7 ms, 190 images/s",
    ),
    "images": (
        ImageData("photos", {}, {"label": ("cat", "dog")}, BAD, None, ("One note.",)),
        "<ImageData photos: 0 images, 2 classes>",
        "photos: 0 images, 2 classes\n  0 validation\n"
        + "".join(f"  skipped {n}.jpg: no image\n" for n in range(5))
        + "  and 2 more\n  One note.",
    ),
    "data report": (
        DataReport("photos", {"train": {"cat": 3, "dog": 4}}, BAD, (), (), {"jpeg": 7}),
        "<DataReport photos: 7 images, 7 bad files, 0 under two labels>",
        "photos: 7 images, 7 bad files, 0 under two labels\n  7 train; 7 jpeg\n"
        + "".join(f"  {n}.jpg: no image\n" for n in range(5))
        + "  and 2 more\n  3 (cat) to 4 (dog) images a class, 1.33 times as many",
    ),
    "comparison": (
        ModelComparison(
            ComparedModel("runs/a", "keras", 5, 1.0, 0),
            ComparedModel("b.tflite", "tflite", 5, 1.0, None),
            "photos",
            "test",
            200,
            3,
            {"label": _compared_head()},
            ("One note.",),
        ),
        "<ModelComparison b.tflite against runs/a on photos, test, 200 images; 3 that were trained "
        "on left out>",
        "b.tflite against runs/a on photos, test, 200 images; 3 that were trained on left out\n"
        "  the new model is better: +3.0 points of top-1, 95 % interval +1.0 to +5.0, on 200 "
        "images (McNemar's p = 0.013)\n"
        "  It is not known which of these images b.tflite was trained on, so the verdict may "
        "flatter: compare the runs themselves, or name the run of a URL with --info\n"
        "  label: top1 0.893 [0.851, 0.925] → 0.893 [0.851, 0.925], ece 0.040 → 0.040\n"
        "  One note.",
    ),
    "applied labels": (
        AppliedLabels(
            Path("/data/photos"),
            (Move("red/1.png", "blue/1-2.png"), Move("red/2.png", "../photos-removed/red/2.png")),
            1,
            Path("/data/photos-removed"),
            undone=False,
            is_done=False,
        ),
        "<AppliedLabels photos: 2 files to move, 1 of them removed>",
        "photos: 2 files to move, 1 of them removed\n"
        "  red/1.png to blue/1-2.png\n"
        "  red/2.png to ../photos-removed/red/2.png",
    ),
    "backbone": (
        BackboneDescription(
            "A",
            "lite",
            224,
            "0 … 255",
            (7, 7, 1280),
            5_000,
            4_000,
            False,
            (BlockDescription("stem", 1, 0, ()), BlockDescription("top", 1, 0, ())),
            "somewhere",
            "Apache-2.0",
            None,
        ),
        "<BackboneDescription A at 224 px: 5,000 parameters, 2 blocks>",
        "A at 224 px: 5,000 parameters, 2 blocks\n"
        "  kind lite, pixels 0 … 255, output 7 x 7 x 1280\n"
        "  blocks: stem, top\n"
        "  source: somewhere, licence: Apache-2.0",
    ),
    "tried": (
        CheckResult("forward", False, "Not finite", 1.0),
        "<CheckResult FAILED: forward, Not finite>",
        "FAILED: forward, Not finite",
    ),
    "cache entry": (
        Listed(Path("cache/abc"), 2_500_000, 0.0, True, {"backbone": "A", "view": ""}, 7),
        "<Listed abc: 7 examples, 2.5 MB, in use>",
        "abc: 7 examples, 2.5 MB, in use\n  backbone A",
    ),
}


RESULTS["audit"] = (
    Audit(
        name="photos",
        head="label",
        index=index_of_files([], ["a.jpg", "b.jpg"], [0, 1]),
        splits=("train", "test"),
        class_names=("cat", "dog"),
        labels=np.array([0, 1]),
        probabilities=np.eye(2, dtype=np.float32),
        folds=np.array([0, 1]),
        top1=0.5,
        top1_interval=Interval(0.1, 0.9),
        expected_wrong_labels=1.0,
        findings=tuple(
            Found("wrong_label", 0, f"{n}.jpg", "train", "cat", "dog", 0.9, "looks like dog")
            for n in range(6)
        ),
        hardly_told_apart=(ClassPair(("cat", "dog"), (1, 1), 0.5, Interval(0.2, 0.7)),),
        skipped=(),
        notes=("no test image of: dog",),
        pixels=PixelSpec(224, 224),
    ),
    "<Audit photos: 2 images, 6 findings>",
    "photos: 2 images, 6 findings\n"
    "  likely wrong labels: 6\n"
    "  accuracy by cross-validation: 0.500 [0.100, 0.900]\n"
    "  cat and dog are hardly told apart: 0.50 [0.20, 0.70] right of the two, 0.50 is chance\n"
    "  0.jpg: looks like dog\n"
    "  1.jpg: looks like dog\n"
    "  2.jpg: looks like dog\n"
    "  3.jpg: looks like dog\n"
    "  4.jpg: looks like dog\n"
    "  and 1 more\n"
    "  no test image of: dog",
)


@pytest.mark.parametrize("kind", RESULTS)
def test_a_result_prints_a_few_lines_and_shows_one_in_a_console(kind):
    result, shown, printed = RESULTS[kind]
    assert repr(result) == shown
    assert str(result) == printed


def test_a_finished_run_says_so_and_what_comes_next(tmp_path: Path):
    run = Run(tmp_path, METRICS)
    write_json(run.record_file, {"status": "finished"})
    run.model_file.touch()
    assert repr(run) == f"<Run {tmp_path}: finished, label top1 0.893>"
    assert str(run).endswith(f"\n  next: tfft.evaluate('{tmp_path}')")


def test_a_model_says_what_it_takes_and_gives(small_keras):
    assert repr(small_keras) == (
        f"<KerasPredictor {small_keras.path} (keras): colours, EfficientNetLite0>"
    )
    assert str(small_keras).splitlines()[1:] == [
        "  images of 32 x 32 px",
        "  head label: classification, 3 classes",
    ]


def test_verdicts_of_a_comparison_are_printed(monkeypatch):
    study, _, _ = RESULTS["study"]
    verdict = SimpleNamespace(text="At 100 %: gain.")
    monkeypatch.setattr("tfft.studies.report.verdicts", lambda results: [verdict])
    assert str(study).splitlines()[1] == "  At 100 %: gain."


def test_the_command_that_installs_an_extra_is_of_this_python_and_this_tfft():
    python, *words = shlex.split(install_command("tune"))
    assert python == sys.executable
    assert words[:4] == ["-m", "pip", "install", "-e"]
    assert Path(words[4].removesuffix("[tune]"), "pyproject.toml").is_file()
