"""What the epochs of a run say, on curves drawn by hand."""

import math

import pytest
from pydantic import TypeAdapter

from tfft.config.loading.load import recipe_from_dict
from tfft.config.model import HeadConfig, RegressionHead
from tfft.runs.diagnosis import Baseline, diagnose

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
    [0.85, 0.93, 0.96, 0.97, 0.97, 0.972],
    [0.84, 0.90, 0.93, 0.94, 0.94, 0.943],
)


@pytest.mark.parametrize(
    ("history", "kind", "says"),
    [
        (OVERFIT, "overfits", "lowest, 0.6, in epoch 3 of 6 and rose to 0.9"),
        (FALLING, "stopped_early", "fell by 20% over the last 2 of 6 epochs"),
        (FLAT, "underfits", "56.0% of the training and 55.0% of the validation images"),
        (BY_HEART, "wide_gap", "right on 100.0% of the training and 60.0% of the validation"),
        (FINE, "fine", "right on 97.2% of the training and 94.3% of the validation images"),
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


# Fifteen of the 38 validation images are roses: by chance up to 0.553.
ROSES = {"label": Baseline("the commonest class, rose", "top1", "top-1", 0.395, 0.553, 1.09, 38)}
AT_CHANCE = rows(
    [1.10, 1.09, 1.08, 1.08],
    [1.11, 1.10, 1.09, 1.09],
    [0.33, 0.36, 0.40, 0.41],
    [0.29, 0.37, 0.395, 0.395],
)
DIVERGED = rows([5e11, 4e11, 5e11], [4e11, 5e11, 5e11], [0.30, 0.35, 0.33], [0.395, 0.395, 0.395])
RISING = rows([1.2, 2.5, 6.0], [1.9, 4.0, 6.5], [0.40, 0.33, 0.30], [0.40, 0.33, 0.30])
OVERCONFIDENT = rows([0.5, 0.1, 0.01], [0.6, 0.9, 1.8], [0.8, 0.97, 1.0], [0.75, 0.72, 0.71])
FALLING_FROM_HIGH = rows([9.0, 5.0, 3.0], [8.0, 4.0, 2.5], [0.3, 0.4, 0.6], [0.3, 0.5, 0.62])


@pytest.mark.parametrize(
    "history",
    [
        DIVERGED,
        DIVERGED[:1],
        RISING,
        rows([1.0, 0.8], [1.0, math.nan], [0.4, 0.5], [0.4, 0.4]),
        rows([1.0, 0.8], [1.0, math.inf], [0.4, 0.5], [0.4, 0.4]),
        rows([0.9, 0.5, 0.2], [0.9, 1e3, 1e5], [0.5, 0.8, 0.9], [0.4, 0.33, 0.33]),
    ],
    ids=["huge", "one epoch", "rising", "nan", "infinite", "validation alone"],
)
def test_a_divergence_is_called_that_and_nothing_else(history):
    (finding,) = diagnose(history, recipe(), 38, ROSES)
    assert (finding.kind, finding.phase) == ("diverged", 1)
    assert f"validation loss is {history[-1]['validation/label/loss']:.3g}" in finding.text
    assert "Lower train.phases.0.learning_rate" in finding.text


@pytest.mark.parametrize("history", [OVERCONFIDENT, FALLING_FROM_HIGH, OVERFIT])
def test_a_high_loss_alone_is_no_divergence(history):
    assert "diverged" not in {f.kind for f in diagnose(history, recipe(), 400, ROSES)}


def test_a_divergence_shows_without_validation_images():
    history = [
        {name: value for name, value in row.items() if not name.startswith("validation")}
        for row in DIVERGED
    ]
    (finding,) = diagnose(history, recipe(), 0)
    assert finding.kind == "diverged"
    assert "its training loss is 5e+11" in finding.text
    assert "validation loss" not in finding.text


def test_a_phase_that_diverged_after_a_good_one_is_not_also_lost():
    solved = [{"phase": 1, "validation/label/loss": 0.2, "validation/label/top1": 0.9}]
    history = [*solved, *({**row, "phase": 2} for row in DIVERGED)]
    found = diagnose(history, recipe({"solver": "linear"}, {**_PHASE, "epochs": 3}), 38, ROSES)
    assert [(f.kind, f.phase) for f in found] == [("diverged", 2)]


def test_what_is_no_better_than_the_commonest_class_has_learned_nothing():
    found = {f.kind: f.text for f in diagnose(AT_CHANCE, recipe(), 38, ROSES)}
    assert "fine" not in found
    assert (
        "nothing learned that 38 validation images can show: top-1 0.395 and loss 1.09, "
        "against 0.395 and 1.09 of always answering with the commonest class, rose; 0.553 may be "
        "chance."
    ) in found["learned_nothing"]


def test_a_solved_head_at_chance_has_learned_nothing():
    solved = [{"phase": 1, "validation/label/loss": 1.1, "validation/label/top1": 0.5}]
    (finding,) = diagnose(solved, recipe({"solver": "linear"}), 38, ROSES)
    assert finding.kind == "learned_nothing"


@pytest.mark.parametrize(("top1", "loss"), [(0.56, 1.05), (0.4, 0.5)])
def test_a_metric_beyond_chance_or_half_the_loss_shows_learning(top1, loss):
    """Where nearly all images are of one class, only the loss can show it."""
    history = rows([1.0, 0.9, 0.9], [1.1, loss, loss], [0.4, top1, top1], [0.4, top1, top1])
    assert "learned_nothing" not in {f.kind for f in diagnose(history, recipe(), 38, ROSES)}


def test_one_lucky_epoch_is_no_learning():
    lucky = rows([1.1] * 5, [1.1, 1.09, 1.2, 1.1, 1.1], [0.4] * 5, [0.4, 0.4, 0.6, 0.4, 0.4])
    assert "learned_nothing" in {f.kind for f in diagnose(lucky, recipe(), 38, ROSES)}


def test_a_number_has_to_have_a_smaller_error_than_the_median():
    head = RegressionHead(kind="regression", target="age")
    given = recipe().model_copy(update={"heads": {"age": head}})
    median = {"age": Baseline("the median, 41", "mae", "mean absolute error", 8.0, 7.0, 1.0, 60)}
    for error, nothing in ((7.5, True), (6.5, False)):
        history = [
            {"phase": 1, "validation/age/loss": 0.9, "train/age/loss": 0.9}
            | {"validation/age/mae": error}
            for _ in range(3)
        ]
        kinds = [f.kind for f in diagnose(history, given, 60, median)]
        assert kinds == (["learned_nothing"] if nothing else [])


@pytest.mark.parametrize("epochs", [1, 2])
def test_fewer_than_three_epochs_are_called_too_few(epochs):
    (finding,) = diagnose(FINE[:epochs], recipe(), 400, ROSES)
    assert finding.kind == "too_few_epochs"
    assert f"phase 1 has {epochs} epoch" in finding.text


def test_the_last_phase_is_the_one_that_has_to_be_long_enough():
    two = recipe(_PHASE, {**_PHASE, "epochs": 1})
    history = [*FINE, {**FINE[-1], "phase": 2}]
    assert [f.kind for f in diagnose(history, two, 400, ROSES)] == ["too_few_epochs"]


_TWO = {
    "tags": {"kind": "multi_label", "target": "tags"},
    "age": {"kind": "regression", "target": "age"},
}


def of_heads(**metrics: tuple[list[float], list[float], list[float], list[float]]):
    """Rows of epochs, by head: training loss, validation loss, and the metric of both."""
    names = {"tags": "f1", "age": "mae"}
    history = [{"phase": 1} for _ in range(6)]
    for head, columns in metrics.items():
        places = [(split, name) for name in ("loss", names[head]) for split in SPLITS]
        for (split, name), values in zip(places, columns, strict=True):
            for row, value in zip(history, values, strict=True):
                row[f"{split}/{head}/{name}"] = value
    return history


def heads_recipe():
    return recipe().model_copy(
        update={"heads": {n: TypeAdapter(HeadConfig).validate_python(h) for n, h in _TWO.items()}}
    )


_FINE_TAGS = (
    [0.5, 0.2, 0.15, 0.12, 0.11, 0.11],
    [0.5, 0.3, 0.21, 0.20, 0.199, 0.199],
    [0.85, 0.93, 0.96, 0.97, 0.97, 0.972],
    [0.84, 0.90, 0.93, 0.94, 0.94, 0.943],
)
_FINE_AGE = (_FINE_TAGS[0], _FINE_TAGS[1], [9, 6, 5, 4.2, 4.1, 4.0], [9, 6, 5, 4.5, 4.4, 4.4])


def test_every_head_is_spoken_of_where_all_are_fine():
    (finding,) = diagnose(of_heads(tags=_FINE_TAGS, age=_FINE_AGE), heads_recipe(), 400)
    assert finding.kind == "fine"
    assert "its F1 of an image is 0.972 on the training and 0.943 on the validation images " in (
        finding.text
    )
    assert (
        "mean absolute error is 4 on the training and 4.4 on the validation images (head age)"
        in (finding.text)
    )


@pytest.mark.parametrize(
    ("head", "train", "validation"),
    [("tags", 0.99, 0.80), ("age", 1.0, 4.0)],
)
def test_labels_and_numbers_overfit_too(head, train, validation):
    losses = [1.0, 0.6, 0.3, 0.2, 0.1, 0.05], [1.0, 0.7, 0.6, 0.7, 0.8, 0.9]
    columns = (*losses, [train] * 6, [validation] * 6)
    fine = {"tags": _FINE_TAGS, "age": _FINE_AGE}
    (finding,) = diagnose(of_heads(**{**fine, head: columns}), heads_recipe(), 400)
    assert finding.kind == "overfits"
    assert f"phase 1 overfits (head {head}): its validation loss was lowest" in finding.text
    assert f"{train:.3g} on the training and {validation:.3g} on the validation" in finding.text


def test_an_error_that_grew_from_phase_to_phase_is_lost():
    solved = [{"phase": 1, "validation/age/loss": 0.2, "validation/age/mae": 2.0}]
    worse = [{**row, "phase": 2} for row in of_heads(age=(*[[0.5] * 6] * 2, [3.0] * 6, [4.0] * 6))]
    schedule = recipe({"solver": "linear"}, _PHASE)
    heads = {"age": TypeAdapter(HeadConfig).validate_python(_TWO["age"])}
    kinds = {
        f.kind: f
        for f in diagnose(solved + worse, schedule.model_copy(update={"heads": heads}), 400)
    }
    assert "validation mean absolute error 4.000 at best, after 2.000" in kinds["lost"].text
