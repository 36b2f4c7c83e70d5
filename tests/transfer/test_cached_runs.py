"""Whole runs on cached tensors: the same weights, nothing computed twice, resumed exactly."""

from pathlib import Path

import numpy as np
import pytest
from shapes import HEADS, shapes_recipe, weights_of, write_backbone, write_photos

from tfft.config.model import ApplicationBackbone
from tfft.transfer.estimate import dry_run
from tfft.transfer.resume import resume
from tfft.transfer.train import train

pytestmark = pytest.mark.slow
_LAST = {"unfreeze": {"last_blocks": 2}, "epochs": 3, "learning_rate": 1e-3}


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = write_photos(tmp_path_factory.mktemp("photos"))
    write_backbone(root)
    return root


class _Heard:
    """Progress that keeps what it is told, and presses Ctrl-C in the nth piece of training."""

    def __init__(self, interrupted_piece: int = 0) -> None:
        self.messages: list[str] = []
        self.computed: list[str] = []
        self._left = interrupted_piece

    def start(self, description: str, total: int | None, unit: str = "images"):
        if " of training images" in description or " of validation images" in description:
            self.computed.append(description)
        return self

    def advance(self, steps: int = 1, **figures: float) -> None:
        self._left -= bool(figures)
        if self._left == 0 and figures:
            raise KeyboardInterrupt

    def close(self) -> None:
        pass

    def message(self, text: str) -> None:
        self.messages.append(text)


def test_a_schedule_ends_with_the_weights_of_uncached_training_and_runs_the_backbone_once(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TFFT_CACHE_DIR", str(tmp_path / "cache"))
    first, second = _Heard(), _Heard()
    recipe = shapes_recipe(photos, HEADS, _LAST, keep_best=False)
    cached = train(recipe, run=tmp_path / "cached", progress=first)
    assert first.computed == ["features of training images", "features of validation images"]
    again = train(recipe, run=tmp_path / "again", progress=second)
    assert second.computed == []
    assert sum("from the cache" in message for message in second.messages) == 4
    uncached = shapes_recipe(photos, HEADS, _LAST, keep_best=False, cache={"mode": "off"})
    streamed = train(uncached, run=tmp_path / "streamed")
    expected, actual = weights_of(streamed.path), weights_of(cached.path)
    repeated = weights_of(again.path)
    for name, value in expected.items():
        np.testing.assert_allclose(actual[name], value, atol=1e-4, err_msg=name)
        np.testing.assert_array_equal(repeated[name], actual[name], err_msg=name)


@pytest.mark.parametrize("resident_bytes", [0, 2**30])
def test_a_run_on_views_resumes_exactly_in_memory_and_from_the_disk(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, resident_bytes: int
):
    monkeypatch.setattr("tfft.transfer.phases.cached_inputs.RESIDENT_BYTES", resident_bytes)
    monkeypatch.setattr("tfft.transfer.phases.inputs._STEPS_PER_CHUNK", 1)
    phase = {**_LAST, "augment": "random_crop"}
    recipe = shapes_recipe(
        photos, phase, keep_best=False, cache={"views": 2}, checkpoint_seconds=1e-9
    )
    whole = train(recipe, run=tmp_path / "whole")
    heard = _Heard(interrupted_piece=6)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, run=tmp_path / "cut", progress=heard)
    resumed = resume(tmp_path / "cut")
    expected, actual = weights_of(whole.path), weights_of(resumed.path)
    for name, value in expected.items():
        np.testing.assert_array_equal(actual[name], value, err_msg=name)


def test_the_plan_estimates_the_time_with_and_without_the_cache(photos: Path):
    """With a backbone whose frozen part takes longer than what is measured of it varies."""
    everything = {"unfreeze": "all", "epochs": 1, "learning_rate": 1e-3}
    recipe = shapes_recipe(photos, {"solver": "linear"}, _LAST, everything)
    mobilenet = ApplicationBackbone(
        kind="application", name="MobileNet", weights="random", arguments={"alpha": 0.25}
    )
    plan = dry_run(recipe.model_copy(update={"backbone": mobilenet}), measure=True)
    solved, last, whole = [phase.seconds for phase in plan.phases]
    assert solved.cached > 0
    assert solved.uncached is None
    assert 0 < last.cached < last.uncached
    assert whole.cached is None
    assert whole.uncached > 0
