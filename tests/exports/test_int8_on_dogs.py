"""Full int8 of a real backbone on real photos: as accurate as float32, and smaller.

How much faster it is `benchmarks/quantization.py` measures.
"""

from pathlib import Path

import pytest

import tfft
from tfft.exports.export import Export

pytestmark = [pytest.mark.slow, pytest.mark.shared]

TEST_IMAGES = 2_040


@pytest.fixture(scope="module")
def exported(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Export:
    """EfficientNet-Lite0 whose head is its own classifier's rows of 120 breeds, hardly trained."""
    place = tmp_path_factory.mktemp("dogs")
    run = tfft.train(
        "stanford_dogs_warm_start",
        overrides={
            "data.archives": str(shared_data / "stanford_dogs_crops160"),
            "data.subset": True,
            "data.limit_per_class": 2,
            "data.validation_fraction": 0.02,
            "train.phases": [{"unfreeze": "none", "epochs": 1, "learning_rate": 1e-6}],
        },
        run=place / "run",
    )
    return tfft.export(
        run.path,
        formats=["tflite"],
        output=place / "saved_models",
        tflite={"precisions": ("float32", "int8"), "timed": False},
        overrides={"export.check_images": TEST_IMAGES},
    )


def test_it_loses_less_than_a_point(exported: Export):
    figures = exported.checks["TFLite int8"]
    assert figures["images"] == TEST_IMAGES
    assert figures["keras_accuracy"] > 0.8
    assert figures["accuracy_drop"] < 0.01
    assert figures["top1_agreement"] > 0.95
    assert len(figures["tried"]) == 1  # all of it is int8


def test_it_takes_less_than_a_third_of_the_room(exported: Export):
    sizes = {name: path.stat().st_size for name, path in exported.tflite.items()}
    assert sizes["int8"] < sizes["float32"] / 3
