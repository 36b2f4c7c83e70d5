"""Probes by depth."""

from dataclasses import replace
from pathlib import Path

import pytest
from shapes import FEATURES, HEADS, LINEAR, shapes_recipe, write_backbone, write_photos

from tfft.errors import DataError, UsageError
from tfft.metrics.commonest import CommonestClass
from tfft.metrics.intervals import Interval, wilson_interval
from tfft.system.pictures import require_picture
from tfft.system.progress import SILENT
from tfft.transfer.description import load_of_recipe
from tfft.transfer.probes.probe import BlockProbe, Probe, probe_recipe, probe_run
from tfft.transfer.probes.probe_plot import write_plot
from tfft.transfer.train import train


def _probe(**right: int) -> Probe:
    blocks = [
        BlockProbe(name, 8, count / 200, wilson_interval(count, 200), 0.5)
        for name, count in right.items()
    ]
    return Probe("Small", "label", 200, tuple(blocks))


def test_the_first_block_that_is_not_shown_to_be_worse_is_where_to_cut():
    probe = _probe(stem=80, middle=175, top=180, last=160)
    assert probe.best.block == "top"
    assert probe.sufficient.block == "middle"
    assert probe.to_json()["sufficient"] == "middle"


def test_a_best_block_at_chance_is_not_praised():
    roses = CommonestClass("rose", 0.4, Interval(0.335, 0.469))
    assert "always answering with the commonest class, rose" in str(
        replace(_probe(stem=80, top=90), commonest=roses)
    )
    assert "commonest" not in str(replace(_probe(stem=80, top=98), commonest=roses))


def test_a_picture_is_written_or_refused_before_anything_is_computed(tmp_path: Path):
    with pytest.raises(UsageError, match=r"\.png"):
        require_picture(tmp_path / "probe.jpeg")
    pytest.importorskip("matplotlib")
    write_plot(_probe(stem=80, top=180), tmp_path / "probe.png")
    assert (tmp_path / "probe.png").read_bytes().startswith(b"\x89PNG")


def test_a_probe_needs_a_head_that_classifies(tmp_path: Path):
    with pytest.raises(UsageError, match="label"):
        probe_recipe(shapes_recipe(tmp_path, LINEAR), head="box")


@pytest.mark.slow
def test_each_block_of_a_recipe_and_of_a_run_is_probed(tmp_path: Path):
    (tmp_path / "photos").mkdir()
    photos = write_photos(tmp_path / "photos")
    write_backbone(photos)
    recipe = shapes_recipe(photos, {**HEADS, "unfreeze": "all"}, keep_best=False)
    probe = probe_recipe(recipe)
    assert probe.validation_images == load_of_recipe(recipe, SILENT).counts["validation"]
    assert [block.features for block in probe.blocks][-1] == FEATURES
    shares = [block.share_of_compute for block in probe.blocks]
    assert shares == sorted(shares)
    assert shares[-1] == 1
    assert probe_recipe(recipe) == probe
    run = train(recipe, run=tmp_path / "run")
    assert probe_run(run.path) != probe
    whole = recipe.data.model_copy(update={"validation_fraction": 0.0})
    with pytest.raises(DataError, match="validation"):
        probe_recipe(recipe.model_copy(update={"data": whole}))
