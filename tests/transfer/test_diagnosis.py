"""What the epochs of a run say, on curves drawn by hand."""

import pytest

from tfft.config.loading.load import recipe_from_dict
from tfft.runs.diagnosis import diagnose

SPLITS = ("train", "validation")
_PHASE = {"unfreeze": "all", "epochs": 6, "learning_rate": 1e-3}


def recipe(*phases: dict, **train: object):
    return recipe_from_dict(
        {
            "name": "drawn",
            "data": {"kind": "digits"},
            "backbone": {"kind": "lite"},
            "train": {"phases": list(phases) or [_PHASE], **train},
        }
    )


def rows(train_loss, loss, train_top1, top1, phase=1):
    columns = zip(train_loss, loss, train_top1, top1, strict=True)
    names = (
        "train/label/loss",
        "validation/label/loss",
        "train/label/top1",
        "validation/label/top1",
    )
    return [{"phase": phase, **dict(zip(names, row, strict=True))} for row in columns]


OVERFIT = rows(
    [1.0, 0.6, 0.3, 0.2, 0.1, 0.05],
    [1.0, 0.7, 0.6, 0.7, 0.8, 0.9],
    [0.60, 0.80, 0.90, 0.95, 0.99, 1.00],
    [0.60, 0.75, 0.80, 0.80, 0.79, 0.79],
)
FALLING = rows(
    [1.5, 1.3, 1.1, 0.9, 0.8, 0.7],
    [1.5, 1.3, 1.1, 1.0, 0.9, 0.8],
    [0.40, 0.50, 0.60, 0.65, 0.70, 0.72],
    [0.40, 0.50, 0.60, 0.64, 0.69, 0.71],
)
FLAT = rows(
    [1.5, 1.2, 1.11, 1.10, 1.10, 1.10],
    [1.5, 1.2, 1.12, 1.11, 1.11, 1.11],
    [0.40, 0.50, 0.55, 0.56, 0.56, 0.56],
    [0.40, 0.50, 0.55, 0.55, 0.55, 0.55],
)
BY_HEART = rows(
    [1.0, 0.5, 0.3, 0.2, 0.1, 0.05],
    [1.5, 1.3, 1.21, 1.20, 1.20, 1.20],
    [0.60, 0.80, 0.90, 0.95, 0.99, 1.00],
    [0.50, 0.55, 0.58, 0.60, 0.60, 0.60],
)
FINE = rows(
    [0.5, 0.2, 0.15, 0.12, 0.11, 0.11],
    [0.5, 0.3, 0.21, 0.20, 0.199, 0.199],
    [0.85, 0.93, 0.96, 0.97, 0.97, 0.97],
    [0.84, 0.90, 0.93, 0.94, 0.94, 0.94],
)


@pytest.mark.parametrize(
    ("history", "kind", "says"),
    [
        (OVERFIT, "overfits", "lowest, 0.6, in epoch 3 of 6 and rose to 0.9"),
        (FALLING, "stopped_early", "fell by 20% over the last 2 of 6 epochs"),
        (FLAT, "underfits", "56.0% of the training and 55.0% of the validation images"),
        (BY_HEART, "wide_gap", "right on 100.0% of the training and 60.0% of the validation"),
        (FINE, "fine", "no sign of over- or underfitting"),
    ],
    ids=["overfits", "stopped early", "underfits", "wide gap", "fine"],
)
def test_a_curve_is_named_with_its_figures(history, kind, says):
    (finding,) = diagnose(history, recipe(), 400)
    assert (finding.kind, finding.phase) == (kind, 1)
    assert says in finding.text


def test_advice_is_what_the_recipe_does_not_have_yet():
    (bare,) = diagnose(OVERFIT, recipe(), 400)
    assert "Set in train.phases.0: early_stop" in bare.text
    assert "augment: random_crop" in bare.text
    careful = {**_PHASE, "augment": "random_crop", "early_stop": {"patience_epochs": 5}}
    (finding,) = diagnose(OVERFIT, recipe({**careful, "weight_decay": 0.1}), 400)
    assert "epochs: 3" in finding.text
    assert "augment" not in finding.text
    assert "weight_decay" not in finding.text


def test_a_gap_that_few_validation_images_explain_is_no_overfitting():
    assert [f.kind for f in diagnose(OVERFIT, recipe(), 10)] == ["fine"]


def test_a_phase_that_loses_what_was_there_is_named():
    solved = [{"phase": 1, "validation/label/loss": 0.2, "validation/label/top1": 0.9}]
    history = solved + rows([2.0] * 3, [2.1] * 3, [0.5] * 3, [0.5] * 3, phase=2)
    schedule = recipe({"solver": "linear"}, {**_PHASE, "epochs": 3})
    kinds = {finding.kind: finding for finding in diagnose(history, schedule, 400)}
    assert "phase 2 lost what phase 1 had: validation top-1 0.500 at best, after 0.900" in (
        kinds["lost"].text
    )
    assert "Lower train.phases.1.learning_rate" in kinds["lost"].text


@pytest.mark.parametrize("curves", [FLAT, FALLING, OVERFIT], ids=["flat", "falling", "overfit"])
def test_a_phase_that_did_harm_is_not_advised_to_go_further(curves):
    before = [{"phase": 1, "validation/label/loss": 0.2, "validation/label/top1": 0.95}]
    augmented = {**_PHASE, "augment": "random_crop"}
    schedule = recipe({"solver": "linear"}, augmented)
    found = diagnose(before + [{**row, "phase": 2} for row in curves], schedule, 400)
    assert [f.kind for f in found] == (["lost", "overfits"] if curves is OVERFIT else ["lost"])
    assert found[0].text.endswith(
        "unfreeze fewer blocks, or augment less than random_crop, or leave the phase out."
    )


def test_training_that_does_less_well_than_the_source_s_own_classes_is_named():
    source = [{"phase": 0, "validation/label/loss": 0.2, "validation/label/top1": 0.95}]
    (finding,) = diagnose(source + FLAT, recipe(), 400)
    assert "phase 1 lost what the source's own classes had" in finding.text


def test_without_validation_images_nothing_is_said():
    assert diagnose(OVERFIT, recipe(), 0) == []


def test_a_loss_that_one_image_explains_is_no_loss():
    two = recipe(_PHASE, _PHASE)
    for images, before, after, lost in (
        (100, 0.99, 0.98, False),
        (20, 1.00, 0.95, False),
        (2000, 0.99, 0.96, True),
    ):
        history = rows([1.0], [1.0], [0.9], [before]) + rows([1.0], [1.0], [0.9], [after], 2)
        assert ("lost" in {f.kind for f in diagnose(history, two, images)}) == lost


def test_training_figures_that_are_made_harder_are_no_underfitting():
    """Augmented and mixed images are harder than those that validation counts."""
    flat = [1.0] * 6
    right = rows(flat, flat, [0.83] * 6, [0.98] * 6)
    assert "underfits" not in {f.kind for f in diagnose(right, recipe(), 500)}
    low = rows(flat, flat, [0.56] * 6, [0.70] * 6)
    assert "underfits" in {f.kind for f in diagnose(low, recipe(), 500)}
    mixed = recipe({**_PHASE, "mix": {"kind": "mixup"}})
    assert "underfits" not in {f.kind for f in diagnose(low, mixed, 500)}
