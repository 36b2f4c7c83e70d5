"""What EfficientNet-Lite0 knows of dogs: it stays when training spoils it, and in full int8.

How much faster int8 is `benchmarks/quantization.py` measures.
"""

import csv
import json
from pathlib import Path

import pytest

import tfft
from tfft.exports.export import Export
from tfft.runs.run import Run

pytestmark = [pytest.mark.slow, pytest.mark.shared]

# Ten of each breed.
TEST_IMAGES = 1_200


@pytest.fixture(scope="module")
def spoiled(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run whose head starts as the source's own rows of 120 breeds, and whose phase spoils it."""
    return tfft.train(
        "stanford_dogs_warm_start",
        overrides={
            "data.archives": str(shared_data / "stanford_dogs_crops160"),
            "data.subset": True,
            "data.limit_per_class": 2,
            "data.validation_fraction": 0.02,
            "train.phases": [{"unfreeze": "none", "epochs": 1, "learning_rate": 1.0}],
        },
        run=tmp_path_factory.mktemp("dogs") / "run",
    )


@pytest.fixture(scope="module")
def exported(spoiled: Run, tmp_path_factory: pytest.TempPathFactory) -> Export:
    return tfft.export(
        spoiled.path,
        formats=["tflite"],
        output=tmp_path_factory.mktemp("dogs") / "saved_models",
        tflite={"precisions": ("float32", "int8"), "timed": False},
        overrides={"export.check_images": TEST_IMAGES},
    )


def test_a_run_that_training_spoils_ends_with_the_source_s_rows(spoiled: Run):
    with (spoiled.path / "history.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    untrained, trained = (float(row["validation/breed/top1"]) for row in rows)
    assert trained < untrained - 0.1
    metrics = json.loads((spoiled.path / "metrics.json").read_text())
    assert metrics["best"] == {"phase": 0, "epoch": 0}
    assert spoiled.metrics["breed"]["top1"] == untrained


def test_the_source_s_rows_know_the_breeds(exported: Export):
    """0.822 of all 8,580 test photos; here of as many of each breed."""
    assert exported.checks["TFLite int8"]["keras_accuracy"] >= 0.80


def test_int8_loses_less_than_a_point(exported: Export):
    figures = exported.checks["TFLite int8"]
    assert figures["images"] == TEST_IMAGES
    assert figures["accuracy_drop"] < 0.01
    assert figures["top1_agreement"] > 0.95
    assert len(figures["tried"]) == 1  # all of it is int8


def test_int8_takes_less_than_a_third_of_the_room(exported: Export):
    sizes = {name: path.stat().st_size for name, path in exported.tflite.items()}
    assert sizes["int8"] < sizes["float32"] / 3
