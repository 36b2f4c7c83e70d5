"""Faults that lie between the values of a recipe."""

import pytest

from tfft.config.loading.load import recipe_from_dict
from tfft.errors import RecipeError

LITE = {"kind": "lite"}
FULL = {"unfreeze": "all", "epochs": 2, "learning_rate": 1e-3}
LINEAR = {"solver": "linear"}


def recipe_with(**sections):
    values = {
        "name": "mine",
        "data": {"kind": "digits"},
        "backbone": LITE,
        "train": {"phases": [LINEAR]},
    }
    return recipe_from_dict({**values, **sections})


@pytest.mark.parametrize(
    ("sections", "fault"),
    [
        (
            {"data": {"kind": "image_folder"}},
            "data.path: which images? Give --data DIR, a directory with one folder a class, or "
            "set data.path",
        ),
        (
            {"data": {"kind": "manifest"}},
            "data.path: which images? Give --data FILE.csv, or set data.path",
        ),
        (
            {"data": {"kind": "tfds", "name": "beans", "archives": "x"}},
            "data.archives: belongs to data.name: stanford_dogs; TFDS prepares other sets itself. "
            "Received: name: beans",
        ),
        (
            {"data": {"kind": "tfds", "name": "stanford_dogs", "subset": True}},
            "data.subset: is about data.archives, which is not set",
        ),
        (
            {"heads": {"label": {"loss": "focal"}}},
            "heads.label.loss: focal is a loss of gradient steps, and solver: linear minimises the "
            "cross-entropy: give phases of steps alone, such as train.strategy: feature_extraction",
        ),
        (
            {"heads": {"label": {"focal_gamma": 3.0}}},
            "heads.label.focal_gamma: belongs to loss: focal",
        ),
        (
            {"heads": {"label": {"class_weights": {"a": -1.0}}}},
            "heads.label.class_weights.a: must be greater than 0. Received: -1.0",
        ),
        (
            {"heads": {"label": {"class_weights": 3}}},
            "heads.label.class_weights: must be one of none, balanced, or a section with a value "
            "for each name. Received: 3",
        ),
        (
            {"image": {"fit": "stretch", "resize_px": 256}},
            "image.resize_px: belongs to fit: crop; with fit: stretch there is only size_px",
        ),
        (
            {"image": {"fit": "letterbox", "resize_px": 256}},
            "image.resize_px: belongs to fit: crop; with fit: letterbox there is only size_px",
        ),
        (
            {"image": {"fill": [0, 0, 0]}},
            "image.fill: belongs to fit: letterbox; with fit: crop nothing is filled",
        ),
        (
            {"image": {"size_px": 224, "resize_px": 223}},
            "image.resize_px: must be at least size_px (224), which is cut from it. Received: 223",
        ),
        (
            {"image": {"resize_px": 223}},
            "image.resize_px: must be at least size_px, 224 with EfficientNetLite0 unless it is "
            "set. Received: 223",
        ),
        (
            {"image": {"size_px": 31}},
            "image.size_px: must be at least 32 for EfficientNetLite0 (or let the model enlarge "
            "them: backbone_px). Received: 31",
        ),
        (
            {"backbone": {"kind": "lite", "name": "ResNet50"}},
            "backbone.name: no backbone of kind 'lite' has this name. ResNet50 is of kind "
            "'application'. Received: 'ResNet50'",
        ),
        (
            {"train": {"phases": [{**FULL, "weight_decay": 0.1}], "optimizer": {"name": "adam"}}},
            "train.phases.0.weight_decay: belongs to adamw or sgd, where it is decoupled; set "
            "train.optimizer.name: adamw",
        ),
        (
            {
                "train": {
                    "phases": [LINEAR],
                    "optimizer": {"name": "sgd", "momentum": 0.0, "nesterov": True},
                }
            },
            "train.optimizer.nesterov: needs a momentum above 0",
        ),
        (
            {"train": {"phases": [{**FULL, "unfreeze": "none", "batch_norm": "adapt"}]}},
            "train.phases.0.batch_norm: adapts in trained blocks only, and unfreeze: none trains "
            "none",
        ),
        (
            {"train": {"phases": [{**FULL, "schedule": {"warmup_epochs": 2.5}}]}},
            "train.phases.0.schedule.warmup_epochs: must be at most the phase's epochs (2). "
            "Received: 2.5",
        ),
        (
            {"train": {"phases": [{**LINEAR, "refit": True}, FULL]}},
            "train.phases.0.refit: only the last phase can train on the validation images too: "
            "later phases choose their best weights with them",
        ),
        (
            {"train": {"phases": [{**LINEAR, "inverse_regularization": [0.1, 1, 0.1]}]}},
            "train.phases.0.inverse_regularization.2: stands in the list twice. Received: 0.1",
        ),
        (
            {"export": {"formats": ["tflite", "tflite"]}},
            "export.formats.1: stands in the list twice. Received: tflite",
        ),
    ],
)
def test_values_that_contradict_each_other_are_refused(sections, fault):
    with pytest.raises(RecipeError) as caught:
        recipe_with(**sections)
    assert str(caught.value) == fault


@pytest.mark.parametrize(
    "sections",
    [
        {"image": {"size_px": 224, "resize_px": 224}},
        {"image": {"size_px": 32}},
        {"image": {"fit": "letterbox", "fill": [0, 255, 0]}},
        {"data": {"kind": "tfds", "name": "stanford_dogs", "subset": True, "archives": "x"}},
        {"train": {"phases": [{**FULL, "weight_decay": 0.1, "schedule": {"warmup_epochs": 2}}]}},
        {"train": {"phases": [FULL, {**LINEAR, "refit": True}]}},
    ],
)
def test_values_at_the_bounds_are_accepted(sections):
    recipe_with(**sections)


def test_every_fault_of_a_backbone_s_arguments_is_named():
    arguments = {"alpha": "wide", "alhpa": 1.0}
    with pytest.raises(RecipeError) as caught:
        recipe_with(backbone={"kind": "application", "name": "MobileNet", "arguments": arguments})
    assert str(caught.value).splitlines() == [
        "backbone.arguments.alpha: alpha of MobileNet must be float. Received: 'wide'",
        "backbone.arguments.alhpa: MobileNet has no argument of this name. Did you mean 'alpha'? "
        "Allowed: alpha, depth_multiplier. Received: 'alhpa'",
    ]


def test_a_size_that_is_too_large_blames_no_other():
    with pytest.raises(RecipeError) as raised:
        recipe_with(image={"size_px": 99_999, "resize_px": 256})
    assert str(raised.value).startswith("image.size_px: must be at most 4,096")
    assert "resize_px" not in str(raised.value)
