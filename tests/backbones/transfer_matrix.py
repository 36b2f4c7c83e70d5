"""A backbone trained frozen, in part and whole by the real training, and what has to hold then."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfft.backbones.backbone import Backbone
from tfft.backbones.build import build_backbone
from tfft.backbones.keras_models.keras_file import load_keras_file
from tfft.config.loading.load import recipe_from_dict
from tfft.config.model import KerasBackbone
from tfft.exports.export import export
from tfft.transfer.train import train

SIZE_PX = 32
UNFREEZE: dict[str, Any] = {"frozen": "none", "partly": {"last_blocks": 1}, "whole": "all"}
# What is unfrozen, and the mode of its BatchNormalization; where nothing is, there is none.
WAYS = (
    ("frozen", "frozen"),
    ("partly", "frozen"),
    ("partly", "adapt"),
    ("whole", "frozen"),
    ("whole", "adapt"),
)


@dataclass(frozen=True)
class Cell:
    """A trained backbone: its run, and the values of each block before and after, by name."""

    run: Path
    before: dict[str, list[np.ndarray]]
    after: dict[str, list[np.ndarray]]
    batch_norms: dict[str, set[int]]

    def changed(self) -> dict[str, list[int]]:
        """Which variables of each block are not, bit for bit, what they were."""
        return {
            name: [
                number
                for number, (old, new) in enumerate(zip(values, self.after[name], strict=True))
                if not np.array_equal(old, new)
            ]
            for name, values in self.before.items()
        }


def recipe_of(backbone: dict[str, Any], pictures: Path, *phases: dict[str, Any]) -> Any:
    """A recipe over the pictures that keeps the last weights."""
    return recipe_from_dict(
        {
            "name": "cell",
            "data": {
                "kind": "image_folder",
                "path": str(pictures),
                "validation_fraction": 0.25,
            },
            "image": {"size_px": SIZE_PX},
            "backbone": backbone,
            "train": {"phases": list(phases), "batch_size": 8, "keep_best": False},
        }
    )


def train_cell(
    backbone: dict[str, Any], unfreeze: str, pictures: Path, run: Path, batch_norm: str = "frozen"
) -> Cell:
    """Trains two epochs; the run, taken as a backbone itself, shows what became of the blocks."""
    phase = {"unfreeze": UNFREEZE[unfreeze], "epochs": 2, "learning_rate": 1e-2}
    if unfreeze != "frozen":
        phase["batch_norm"] = batch_norm
    recipe = recipe_of(backbone, pictures, phase)
    before = build_backbone(recipe.backbone, SIZE_PX, recipe.seed)
    train(recipe, run=run)
    after = build_backbone(KerasBackbone(kind="keras", path=str(run)))
    return Cell(run, values(before), values(after), statistics(before))


def exported_in_this_suite(unfreeze: str, request: pytest.FixtureRequest) -> bool:
    """Whether a test exports its run: where all of it was trained; outside the sample always."""
    return unfreeze == "whole" or request.node.get_closest_marker("full") is not None


def values(backbone: Backbone) -> dict[str, list[np.ndarray]]:
    """The variables of each block."""
    return {b.name: [w.numpy() for x in b.layers for w in x.weights] for b in backbone.blocks}


def statistics(backbone: Backbone) -> dict[str, set[int]]:
    """Which variables of each block are statistics of a BatchNormalization."""
    found: dict[str, set[int]] = {}
    for block in backbone.blocks:
        weights = [weight for layer in block.layers for weight in layer.weights]
        moving = {
            id(v) for norm in block.batch_norms for v in (norm.moving_mean, norm.moving_variance)
        }
        found[block.name] = {i for i, weight in enumerate(weights) if id(weight) in moving}
    return found


def assert_only_the_unfrozen_changed(cell: Cell, unfreeze: str, batch_norm: str) -> None:
    """Frozen blocks keep every bit; trained ones learn; statistics move only when they adapt."""
    changed, names = cell.changed(), list(cell.before)
    trained = {"frozen": [], "partly": names[-1:], "whole": names}[unfreeze]
    for name in names:
        statistics_changed = cell.batch_norms[name] & set(changed[name])
        if name not in trained:
            assert changed[name] == [], name
            continue
        assert set(changed[name]) - cell.batch_norms[name], f"{name} has learned nothing"
        moves = cell.batch_norms[name] if batch_norm == "adapt" else set()
        assert statistics_changed == moves, name


def assert_saved_forms_agree(
    cell: Cell, directory: Path, *, exported: bool, saved_again: bool = True
) -> None:
    """The `.keras` file saves and loads the same; if `exported`, the others pass their checks.

    What an export holds doesn't depend on how its weights came about: in the sample that the slow
    suite runs, one way of training is exported for all (`exported_in_this_suite`).

    Layers whose own config does not load (KerasHub 0.32's of ViT) cannot be `saved_again` once
    they were loaded.
    """
    model = load_keras_file(cell.run / "model.keras")
    if saved_again:
        model.save(directory / "again.keras")
    again = load_keras_file(directory / "again.keras" if saved_again else cell.run / "model.keras")
    images = np.random.default_rng(0).uniform(0, 255, (2, SIZE_PX, SIZE_PX, 3))
    first, second = (
        m.predict(images.astype(np.float32), verbose=0)["label"] for m in (model, again)
    )
    np.testing.assert_array_equal(first, second)
    if not exported:
        return
    written = export(cell.run, output=directory / "saved_models", tflite={"timed": False})
    assert written.savedmodel is not None
    assert set(written.tflite) >= {"float32"}
