"""Runs whose head knows its classes before anything is trained: phase 0."""

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tfft.backbones.lite import package as lite_package
from tfft.backbones.source_classes import source_classifier
from tfft.config.model import LiteBackbone
from tfft.config.recipe import Recipe
from tfft.errors import RecipeError
from tfft.runs.run import Run
from tfft.transfer.estimate import dry_run
from tfft.transfer.lr_range import find_learning_rate
from tfft.transfer.train import train

pytestmark = pytest.mark.slow

_BREEDS = ("n02085620-chihuahua", "n02110958-pug")
_SPOILING = {"unfreeze": "none", "epochs": 1, "learning_rate": 1.0}


@pytest.fixture(scope="module", autouse=True)
def weights():
    if lite_package.find_lite0_file() is None:
        pytest.skip("the extra `offline` is not installed")


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten pictures of nothing under the name of each breed."""
    root = tmp_path_factory.mktemp("noise") / "photos"
    generator = np.random.default_rng(0)
    for breed in _BREEDS:
        (root / breed).mkdir(parents=True)
        for number in range(10):
            pixels = generator.integers(0, 256, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / breed / f"{number}.png")
    return root


def _recipe(photos: Path, *phases: dict, head: dict | None = None, **train_section) -> Recipe:
    return Recipe.model_validate(
        {
            "name": "known",
            "data": {"kind": "image_folder", "path": str(photos), "validation_fraction": 0.5},
            "image": {"size_px": 32},
            "backbone": {"kind": "lite"},
            "heads": {"breed": {"init": "source_classes", **(head or {})}},
            "train": {"phases": phases, "batch_size": 8, **train_section},
        }
    )


def _history(run: Path) -> list[dict[str, str]]:
    with (run / "history.csv").open() as stream:
        return list(csv.DictReader(stream))


def _best(run: Run) -> dict[str, int]:
    return json.loads((run.path / "metrics.json").read_text())["best"]


def _head_weights(run: Run) -> list[np.ndarray]:
    import keras

    model = keras.saving.load_model(run.path / "model.keras", compile=False)
    return model.get_layer("breed_logits").get_weights()


def test_what_a_head_reaches_untrained_is_phase_0_and_kept_if_nothing_is_better(
    noise: Path, tmp_path: Path
):
    run = train(_recipe(noise, _SPOILING, monitor="loss"), run=tmp_path / "run")
    untrained, trained = _history(run.path)
    assert [untrained[name] for name in ("phase", "epoch", "step")] == ["0", "0", "0"]
    assert float(untrained["validation/breed/top1"]) == run.metrics["breed"]["top1"]
    assert untrained["train/breed/loss"] == ""
    assert trained["phase"] == "1"
    assert 0 < float(untrained["elapsed_seconds"]) < float(trained["elapsed_seconds"])
    assert float(trained["validation/breed/loss"]) > float(untrained["validation/breed/loss"])
    assert _best(run) == {"phase": 0, "epoch": 0}
    kernel, bias = _head_weights(run)
    rows = source_classifier(LiteBackbone(kind="lite")).rows(["n02085620", "n02110958"])
    np.testing.assert_array_equal(kernel, rows.kernel)
    np.testing.assert_array_equal(bias, rows.bias)


def test_every_fault_is_named_before_anything_is_trained(noise: Path):
    head = {"pooling": "max", "source_classes": {"n02110958-pug": "pug"}}
    with pytest.raises(RecipeError) as caught:
        dry_run(_recipe(noise, _SPOILING, head=head))
    assert [line.strip()[:42] for line in str(caught.value).splitlines()[1:]] == [
        "heads.breed.init: source_classes needs poo",
        "heads.breed.init: 'n02110958-pug' is not a",
    ]


def test_a_rate_test_starts_from_the_source_s_rows_as_training_does(noise: Path):
    found = find_learning_rate(_recipe(noise, _SPOILING), lowest=1e-9, highest=1e-8, steps=10)
    # At such rates nothing is learned, and a new head would have the loss of guessing.
    assert abs(found.losses[-1] - math.log(2)) > 1e-3
