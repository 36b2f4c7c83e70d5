"""Mixed precision where it makes a machine slower: a warning with the factor, never an error."""

import warnings
from pathlib import Path

import keras
import numpy as np
import pytest
from shapes import ALL, HEADS, LINEAR, shapes_recipe, write_backbone, write_photos

from tfft.errors import TfftWarning
from tfft.system.progress import SILENT
from tfft.transfer import precision
from tfft.transfer.plan.plan import make_plan
from tfft.transfer.precision import warn_if_slower
from tfft.transfer.prepare import prepare
from tfft.transfer.train import train


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_photos(tmp_path_factory.mktemp("photos"))
    write_backbone(root)
    return root


def _warnings_of(photos: Path, policy: str) -> list[str]:
    recipe = shapes_recipe(photos, HEADS, mixed_precision=policy)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_if_slower(recipe, None, None, SILENT)  # what it is timed on is patched away
    return [str(each.message) for each in caught if each.category is TfftWarning]


def test_a_factor_is_named_where_mixed_precision_is_slower(
    photos: Path, monkeypatch: pytest.MonkeyPatch
):
    seconds = {"mixed_bfloat16": 0.17, "mixed_float16": 0.09}
    monkeypatch.setattr(precision, "_first_images", lambda _: (([0] * 8,), {}))
    monkeypatch.setattr(
        precision, "_seconds", lambda recipe, *_: (seconds[recipe.train.mixed_precision], 0.1)
    )
    assert _warnings_of(photos, "float32") == _warnings_of(photos, "mixed_float16") == []
    (said,) = _warnings_of(photos, "mixed_bfloat16")
    assert "a step on 8 images takes 0.17 s, 1.7 times as long as in float32" in said
    monkeypatch.setattr(precision, "on_gpu", lambda: True)
    assert _warnings_of(photos, "mixed_bfloat16") == []


def test_a_model_in_another_precision_leaves_that_of_others_as_it_was(photos: Path):
    recipe = shapes_recipe(photos, HEADS, mixed_precision="mixed_bfloat16")
    prepare(recipe, SILENT)
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.slow
@pytest.mark.parametrize("phase", [{**HEADS, "unfreeze": {"last_blocks": 1}}, LINEAR])
def test_the_step_is_timed_in_both_precisions_before_training(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, phase: dict
):
    timed, time_step = {}, precision._step_s

    def kept(recipe, *of_step) -> float:
        policy = recipe.train.mixed_precision
        timed[policy] = time_step(recipe, *of_step)
        return timed[policy]

    monkeypatch.setattr(precision, "_step_s", kept)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        run = train(shapes_recipe(photos, phase, mixed_precision="mixed_bfloat16"), run=tmp_path)
    slower = timed["mixed_bfloat16"] > timed["float32"]
    assert any("train.mixed_precision" in str(each.message) for each in caught) == slower
    assert run.status == "finished"


@pytest.mark.slow
def test_timing_leaves_weights_statistics_and_seeds_as_they_were(photos: Path):
    recipe = shapes_recipe(photos, ALL, mixed_precision="mixed_bfloat16")
    prepared = prepare(recipe, SILENT)
    variables = prepared.classifier.model.variables
    before = [variable.numpy() for variable in variables]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plan = make_plan(recipe, prepared.classifier, prepared.counts)
        warn_if_slower(recipe, prepared, plan, SILENT)
    for variable, expected in zip(variables, before, strict=True):
        np.testing.assert_array_equal(variable, expected, err_msg=variable.path)
