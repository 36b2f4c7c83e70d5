"""Every fault of a recipe at once: where, what, and what is allowed."""

from pathlib import Path

import pytest
from pydantic import BaseModel, Field, ValidationError

from tfft.config.loading.faults import find_faults
from tfft.config.loading.load import load_recipe, recipe_from_dict
from tfft.config.train import GradientPhase, TrainConfig
from tfft.errors import RecipeError

GOOD = """\
name: mine
data: {kind: digits}
backbone: {kind: lite}
"""
GOOD_TRAIN = "train: {phases: [{solver: linear}]}\n"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Tests write recipes into a directory of their own, where they are `my.yaml`."""
    monkeypatch.chdir(tmp_path)


def faults_of(text: str, **arguments) -> list[str]:
    Path("my.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(RecipeError) as caught:
        load_recipe("my.yaml", **arguments)
    return str(caught.value).splitlines()


MANY_FAULTS = """\
name: 1st try
sed: 3
data:
  kind: image_foldr
image:
  size_px: 96
  fit: squash
  resize_px: yes
backbone:
  name: ResNet50
heads:
  breed: {droput: 0.2, dropout: 1.5}
train:
  batch_size: -3
  optimizer: {name: admw}
  phases:
    - solver: linaer
    - unfreze: all
      epochs: 1.5
      learning_rate: 1e-4
    - unfreeze: som
      epochs: 0
      learning_rate: fast
    - unfreeze: {last_block: 3}
      epochs: 2
      learning_rate: 1e-3
      schedule: {kind: cos}
    - 17
    - solver: linear
      inverse_regularization: []
      epochs: 3
export:
  formats: [tflite, onnx]
"""
PHASE_KEYS = ", ".join(GradientPhase.model_fields)
TRAIN_KEYS = ", ".join(TrainConfig.model_fields)


def test_every_fault_is_named_in_the_order_of_the_file():
    assert faults_of(MANY_FAULTS) == [
        "my.yaml:1: name: must begin with a letter and go on with letters, digits, _ and -, 64 at "
        "most. Received: 1st try",
        "my.yaml:2: sed: unknown key. Allowed: name, description, seed, data, image, backbone, "
        "heads, train, unsure, export, tune. Did you mean 'seed'?",
        "my.yaml:4: data.kind: must be one of tfds, image_folder, manifest, digits. "
        "Did you mean 'image_folder'? Received: image_foldr",
        "my.yaml:7: image.fit: must be one of crop, stretch, letterbox. Received: squash",
        "my.yaml:8: image.resize_px: must be a whole number. Received: yes",
        "my.yaml:9: backbone.kind: is missing. Allowed: application, lite, hub, keras, keras_hub. "
        "ResNet50 is of kind application.",
        "my.yaml:12: heads.breed.dropout: must be less than 1. Received: 1.5",
        "my.yaml:12: heads.breed.droput: unknown key. Allowed: pooling, dropout, weight, "
        "learning_rate_factor, kind, target, label_smoothing, init, source_classes, "
        "class_weights, loss, focal_gamma. Did you mean 'dropout'?",
        "my.yaml:14: train.batch_size: must be greater than 0. Received: -3",
        "my.yaml:15: train.optimizer.name: must be one of sgd, adam, adamw. "
        "Did you mean 'adamw'? Received: admw",
        "my.yaml:17: train.phases.0.solver: must be one of gradient, linear. "
        "Did you mean 'linear'? Received: linaer",
        f"my.yaml:18: train.phases.1.unfreze: unknown key. Allowed: {PHASE_KEYS}. "
        "Did you mean 'unfreeze'?",
        "my.yaml:19: train.phases.1.epochs: must be a whole number. Received: 1.5",
        "my.yaml:21: train.phases.2.unfreeze: must be one of none, all, or a section with "
        "last_blocks, patterns. Received: som",
        "my.yaml:22: train.phases.2.epochs: must be greater than 0. Received: 0",
        "my.yaml:23: train.phases.2.learning_rate: must be a number. Received: fast",
        "my.yaml:24: train.phases.3.unfreeze.last_blocks: is missing: how many blocks, counted "
        "from the heads",
        "my.yaml:24: train.phases.3.unfreeze.last_block: unknown key. Allowed: last_blocks. "
        "Did you mean 'last_blocks'?",
        "my.yaml:27: train.phases.3.schedule.kind: must be one of constant, linear, cosine. "
        "Did you mean 'cosine'? Received: cos",
        "my.yaml:28: train.phases.4: must be a section of keys and values. Received: 17",
        "my.yaml:30: train.phases.5.inverse_regularization: must have at least one entry",
        "my.yaml:31: train.phases.5.epochs: unknown key: it belongs to a phase by gradient steps; "
        "with solver: linear the heads are solved. Allowed here: solver, unfreeze, "
        "inverse_regularization, choose_by, refit, when_too_large",
        "my.yaml:33: export.formats.1: must be one of savedmodel, tflite. Received: onnx",
    ]


def test_missing_keys_are_named_at_the_line_of_their_parent():
    text = "name: mine\ntrain:\n  phases:\n    - unfreeze: all\n      epochs: 3\n"
    assert faults_of(text) == [
        "my.yaml:1: data: is missing: which images, and how they are split",
        "my.yaml:1: backbone: is missing: the pretrained model that is transferred",
        "my.yaml:4: train.phases.0.learning_rate: is missing: highest learning rate of the phase",
    ]


class Pair(BaseModel):
    sizes: tuple[int, ...] = Field(min_length=2)


@pytest.mark.parametrize(
    ("sizes", "faults"),
    [
        ([], ["must have 2 entries or more"]),
        ([8], ["must have 2 entries or more. Received: [8]"]),
        ([8, 9.5], ["must be a whole number. Received: 9.5"]),
    ],
)
def test_entries_are_too_few_where_there_are_too_few_and_not_where_one_is_faulty(sizes, faults):
    with pytest.raises(ValidationError) as caught:
        Pair(sizes=sizes)
    assert [fault.text for fault in find_faults(caught.value, Pair, {"sizes": sizes})] == faults


def test_faults_between_values_are_named_beside_faults_of_other_sections():
    text = (
        "name: mine\ndata: {kind: digits}\nbackbone: {kind: lite, name: EfficientNetLite9}\n"
        "image:\n  size_px: 96\n  resize_px: 64\nseed: no\n" + GOOD_TRAIN
    )
    assert faults_of(text) == [
        "my.yaml:3: backbone.name: no backbone of kind 'lite' has this name. "
        "Did you mean 'EfficientNetLite0'? Received: 'EfficientNetLite9'",
        "my.yaml:6: image.resize_px: must be at least size_px (96), which is cut from it. "
        "Received: 64",
        "my.yaml:7: seed: must be a whole number. Received: no",
    ]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("image: null", "image: must be a section of keys and values. Received: null"),
        ("image: [1]", "image: must be a section of keys and values. Received: [1]"),
        ("description: 3", "description: must be text; put it in quotes. Received: 3"),
        ("description: null", "description: must be text. Received: null"),
        ("seed: '3'", "seed: must be a whole number. Received: 3"),
        ("seed: true", "seed: must be a whole number. Received: true"),
        ("seed: -1", "seed: must be greater than or equal to 0. Received: -1"),
        (
            "train: {phases: [{solver: linear, unfreeze: all}]}",
            "train.phases.0.unfreeze: must be none. Received: all",
        ),
        ("heads: {}", "heads: must have at least one entry"),
        ("export: {formats: tflite}", "export.formats: must be a list. Received: tflite"),
        (
            "heads: {9 lives: {}}",
            "heads.9 lives: must begin with a letter and go on with letters, digits, _ and -, "
            "64 at most. Received: 9 lives",
        ),
    ],
)
def test_a_value_of_another_type_is_refused_in_plain_words(line, fault):
    train = "" if line.startswith("train") else GOOD_TRAIN
    assert faults_of(f"{GOOD}{line}\n{train}") == [f"my.yaml:4: {fault}"]


@pytest.mark.parametrize(
    ("train", "faults"),
    [
        (
            "{}",
            [
                "my.yaml:4: train.phases: is missing; or give train.strategy: one of "
                "feature_extraction, head_only, full, partial, progressive, lp_ft"
            ],
        ),
        (
            "{strategy: ful}",
            [
                "my.yaml:4: train.strategy: must be one of feature_extraction, head_only, full, "
                "partial, progressive, lp_ft, or a section with such a kind. Did you mean 'full'? "
                "Received: ful"
            ],
        ),
        (
            "{strategy: {epochs: 3}}",
            [
                "my.yaml:4: train.strategy.kind: is missing. Allowed: feature_extraction, "
                "head_only, full, partial, progressive, lp_ft"
            ],
        ),
        (
            "\n  batch_size: no\n  strategy:\n    kind: full\n    epoch: 3\n    learning_rate: 0",
            [
                "my.yaml:5: train.batch_size: must be a whole number. Received: no",
                "my.yaml:8: train.strategy.epoch: unknown key. Allowed: kind, epochs, "
                "learning_rate, weight_decay, batch_norm, augment. Did you mean 'epochs'?",
                "my.yaml:9: train.strategy.learning_rate: must be greater than 0. Received: 0",
            ],
        ),
        (
            "\n  strategy: full\n  phases:\n    - solver: linaer",
            [
                "my.yaml:5: train.strategy: give strategy or phases, not both: a strategy stands "
                "for its phases",
                "my.yaml:7: train.phases.0.solver: must be one of gradient, linear. "
                "Did you mean 'linear'? Received: linaer",
            ],
        ),
        (
            "\n  optimizer: {name: adam}\n  strategy:\n    kind: full\n    weight_decay: 0.1",
            [
                "my.yaml:6: train.phases.0.weight_decay: belongs to adamw or sgd, where it is "
                "decoupled; set train.optimizer.name: adamw"
            ],
        ),
        (
            "{stratgy: full}",
            [
                "my.yaml:4: train.phases: is missing; or give train.strategy: one of "
                "feature_extraction, head_only, full, partial, progressive, lp_ft",
                f"my.yaml:4: train.stratgy: unknown key. Allowed: {TRAIN_KEYS}, strategy. "
                "Did you mean 'strategy'?",
            ],
        ),
    ],
)
def test_faults_of_a_strategy_are_named_where_it_is_written(train, faults):
    assert faults_of(f"{GOOD}train: {train}\n") == faults


def test_a_fault_between_two_sections_is_named_beside_faults_of_a_third():
    text = GOOD + "image:\n  size_px: 9\ntrain: {strategy: {kind: full, epochs: no}}\n"
    assert faults_of(text) == [
        "my.yaml:5: image.size_px: must be at least 32 for EfficientNetLite0 (or let the model "
        "enlarge them: backbone_px). Received: 9",
        "my.yaml:6: train.strategy.epochs: must be a whole number. Received: no",
    ]


def test_values_without_a_file_have_paths_only():
    with pytest.raises(RecipeError) as caught:
        recipe_from_dict({"name": "mine", "train": {"strategy": "full"}, "image": {"fit": 1}})
    assert str(caught.value).splitlines() == [
        "data: is missing: which images, and how they are split",
        "image.fit: must be one of crop, stretch, letterbox. Received: 1",
        "backbone: is missing: the pretrained model that is transferred",
    ]


@pytest.mark.parametrize("value", [object(), {3}, b"x", "\udcff"])
def test_values_that_no_recipe_can_hold_are_refused(value):
    with pytest.raises(RecipeError, match="Received: "):
        recipe_from_dict({"name": value})


def test_of_very_many_faults_the_first_are_shown_and_how_many_there_are():
    unknown = "".join(f"key_{number}: 1\n" for number in range(19_000))
    lines = faults_of(GOOD + GOOD_TRAIN + unknown)
    assert len(lines) == 31
    assert lines[0].startswith("my.yaml:5: key_0: unknown key.")
    assert lines[-1] == "… and 18,970 more faults"


def test_a_key_of_a_hundred_thousand_letters_is_shown_in_short():
    (line,) = faults_of(f"{GOOD}{GOOD_TRAIN}{'a' * 100_000}: 1\n")
    assert len(line) < 300


@pytest.mark.parametrize(
    ("fill", "fault"),
    [
        ("128", "image.fill: must be a list. Received: 128"),
        ("[0, 0, 256]", "image.fill.2: must be less than or equal to 255. Received: 256"),
        ("[0, 0, white]", "image.fill.2: must be a whole number. Received: white"),
        ("[0, 0]", "image.fill.2: is missing"),
        ("[0, 0, 0, 255]", "image.fill: must have 3 entries at most. Received: [0, 0, 0, 255]"),
    ],
)
def test_a_colour_is_three_levels(fill, fault):
    assert faults_of(f"{GOOD}image: {{fit: letterbox, fill: {fill}}}\n{GOOD_TRAIN}") == [
        f"my.yaml:4: {fault}"
    ]


@pytest.mark.parametrize("key", ["size_px", "resize_px", "backbone_px"])
def test_a_size_that_no_memory_holds_is_refused_with_the_reason(key):
    lines = faults_of(
        f"{GOOD}image: {{size_px: 4096, {key}: 100000}}\n".replace(
            "size_px: 4096, size_px", "size_px"
        )
        + GOOD_TRAIN
    )
    assert lines[0] == (
        f"my.yaml:4: image.{key}: must be at most 4,096, at which one image takes 200 MB of "
        "memory. Received: 100000"
    )


@pytest.mark.parametrize("key", ["batch_size", "micro_batch_size"])
def test_a_count_is_one_that_libraries_take(key):
    train = f"train: {{phases: [{{solver: linear}}], batch_size: 2147483647, {key}: 2147483648}}\n"
    (fault,) = faults_of(GOOD + train.replace("batch_size: 2147483647, batch_size", "batch_size"))
    assert fault == f"my.yaml:4: train.{key}: must be less than 2147483648. Received: 2147483648"
