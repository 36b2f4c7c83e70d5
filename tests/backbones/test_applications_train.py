"""Backbones of the catalog, frozen, in part and whole: what holds of modules holds of them."""

from pathlib import Path
from typing import Any

import pytest
from backbones.transfer_matrix import (
    WAYS,
    assert_only_the_unfrozen_changed,
    assert_saved_forms_agree,
    exported_in_this_suite,
    train_cell,
)

_BACKBONES: dict[str, dict[str, Any]] = {
    "EfficientNetLite0": {"kind": "lite"},
    "MobileNet": {
        "kind": "application",
        "name": "MobileNet",
        "weights": "random",
        "arguments": {"alpha": 0.25},
    },
}


_SAMPLE = (
    ("EfficientNetLite0", "partly", "adapt"),
    ("MobileNet", "frozen", "frozen"),
    ("MobileNet", "partly", "frozen"),
    ("MobileNet", "whole", "adapt"),
)
_CELLS = [(name, *way) for name in _BACKBONES for way in WAYS]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "unfreeze", "batch_norm"),
    [
        *_SAMPLE,
        *(pytest.param(*cell, marks=pytest.mark.full) for cell in _CELLS if cell not in _SAMPLE),
    ],
)
def test_every_way_of_training_keeps_what_it_should(
    name: str, unfreeze: str, batch_norm: str, pictures: Path, tmp_path: Path, request
):
    cell = train_cell(_BACKBONES[name], unfreeze, pictures, tmp_path / "run", batch_norm)
    assert_only_the_unfrozen_changed(cell, unfreeze, batch_norm)
    exported = exported_in_this_suite(unfreeze, request)
    assert_saved_forms_agree(cell, tmp_path, exported=exported)
