"""Who comes from Keras is told where a recipe has what they wrote."""

from typing import Any

import pytest

from tfft.config.loading.hints import _KEYS
from tfft.config.loading.load import recipe_from_dict
from tfft.config.loading.schema import fields_at
from tfft.config.recipe import Recipe
from tfft.errors import RecipeError


def faults_of(**sections: Any) -> list[str]:
    values = {
        "name": "mine",
        "data": {"kind": "digits"},
        "backbone": {"kind": "lite"},
        "train": {"phases": [{"solver": "linear"}]},
    }
    with pytest.raises(RecipeError) as caught:
        recipe_from_dict({**values, **sections})
    return str(caught.value).splitlines()


PHASES = [{"solver": "linear"}]


@pytest.mark.parametrize(
    ("sections", "hint"),
    [
        (
            {"train": {"phases": PHASES, "epochs": 5}},
            "train.epochs: unknown key: epochs are in train.strategy or in train.phases.N.",
        ),
        (
            {"train": {"phases": PHASES, "learning_rate": 1e-3}},
            "train.learning_rate: unknown key: the learning rate is in train.strategy or in "
            "train.phases.N, as learning_rate.",
        ),
        (
            {"train": {"phases": PHASES, "optimizer": {"name": "adam", "learning_rate": 1e-3}}},
            "train.optimizer.learning_rate: unknown key: the learning rate is in train.strategy or",
        ),
        ({"batch_size": 32}, "batch_size: unknown key: the batch size is train.batch_size."),
        (
            {"loss": "mse"},
            "loss: unknown key: the loss follows from heads.NAME.kind; that of classes may be "
            "heads.NAME.loss: focal.",
        ),
        ({"metrics": ["acc"]}, "metrics: unknown key: metrics follow from heads.NAME.kind"),
        (
            {"backbone": {"kind": "lite", "include_top": False}},
            "backbone.include_top: unknown key: a backbone never has its classifier",
        ),
        (
            {"backbone": {"kind": "lite", "input_shape": [224, 224, 3]}},
            "backbone.input_shape: unknown key: the size of the images is image.size_px.",
        ),
        ({"weights": "imagenet"}, "weights: unknown key: weights are backbone.weights"),
        ({"num_classes": 10}, "num_classes: unknown key: the classes are those of the data."),
        (
            {"data": {"kind": "digits", "validationSplit": 0.2}},
            "data.validationSplit: unknown key: the share of validation images is "
            "data.validation_fraction.",
        ),
        ({"lr-scheduler": 1}, "lr-scheduler: unknown key: the learning-rate schedule is"),
    ],
)
def test_a_key_of_keras_is_answered_by_its_place_in_a_recipe(sections, hint):
    (fault,) = faults_of(**sections)
    assert fault.startswith(hint)


@pytest.mark.parametrize(
    ("sections", "form"),
    [
        ({"backbone": "efficientnetlite0"}, "backbone: {kind: lite, name: EfficientNetLite0}"),
        ({"backbone": "ResNet50"}, "backbone: {kind: application, name: ResNet50}"),
        ({"backbone": "m.keras"}, "backbone: {kind: keras, path: m.keras}"),
        ({"backbone": "https://a/b"}, "backbone: {kind: hub, handle: https://a/b}"),
        ({"data": "./photos"}, "data: {kind: image_folder, path: ./photos}"),
        ({"data": "stanford_dogs"}, "data: {kind: tfds, name: stanford_dogs}"),
        ({"image": 224}, "image: {size_px: 224}"),
        ({"train": "full"}, "train: {strategy: full}"),
        ({"train": {"phases": PHASES, "optimizer": "adam"}}, "optimizer: {name: adam}"),
        ({"train": {"phases": PHASES, "cache": "off"}}, "cache: {mode: off}"),
    ],
)
def test_a_word_in_place_of_a_section_is_answered_by_the_section(sections, form):
    faults = faults_of(**sections)
    assert any(f"must be a section of keys and values, such as {form}. " in f for f in faults)


def test_a_backbone_of_the_catalog_without_a_kind_is_told_which_it_is():
    (fault,) = faults_of(backbone={"name": "ResNet50"})
    assert fault.endswith("keras_hub. ResNet50 is of kind application.")


def test_a_hint_names_places_that_a_recipe_has():
    """Of `a.b.N.c` in a hint, `a` and `a.b` are keys of a recipe."""
    top = fields_at(Recipe, ())
    for hint in _KEYS.values():
        for word in hint.replace(",", " ").replace(":", " ").split():
            section, dot, key = word.partition(".")
            if dot and key and section in top and section != "heads":
                assert key.split(".")[0] in fields_of(section), hint


def fields_of(section: str) -> set[str]:
    kinds = ("tfds", "image_folder", "manifest", "digits", "application", "lite", "")
    return {key for kind in kinds for key in fields_at(Recipe, (section, *filter(None, [kind])))}
