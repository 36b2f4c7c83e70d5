"""Values of a recipe set from outside: `--set PATH=VALUE`."""

import pytest

from tfft.config.loading.load import load_recipe, recipe_from_dict
from tfft.config.recipe import Recipe
from tfft.errors import RecipeError, RecipeWarning, UsageError


def load(*overrides: str) -> Recipe:
    """The recipe stanford_dogs: two phases, the first of them solved."""
    return load_recipe("stanford_dogs", overrides=overrides)


def message_of(*overrides: str) -> str:
    with pytest.raises(RecipeError) as caught:
        load(*overrides)
    return str(caught.value)


def test_keys_and_indices_lead_to_a_value():
    assert load("train.batch_size=64").train.batch_size == 64
    assert load("train.phases.1.schedule.kind=linear").train.phases[1].schedule.kind == "linear"
    assert load("heads.label.dropout=0.5").heads["label"].dropout == 0.5


def test_what_is_not_set_stays():
    before, after = load(), load("train.phases.1.learning_rate=1e-3")
    assert after.train.phases[1].learning_rate == 1e-3
    phase = after.train.phases[1].model_copy(
        update={"learning_rate": before.train.phases[1].learning_rate}
    )
    train = after.train.model_copy(update={"phases": (after.train.phases[0], phase)})
    assert after.model_copy(update={"train": train}) == before


def test_sections_that_are_not_there_are_made():
    assert load("export.name=dogs").export.name == "dogs"
    assert load("train.phases.1.early_stop.patience_epochs=2").train.phases[1].early_stop


def test_values_are_yaml():
    assert load("train.phases=[{solver: linear, refit: true}]").train.phases[0].refit is True
    assert load("data.test_split=null").data.test_split is None
    assert load("data.test_split=").data.test_split is None
    assert load("description='2024'").description == "2024"
    assert load("description=a = b").description == "a = b"


def test_later_ones_win_and_build_on_earlier_ones():
    assert load("train.batch_size=8", "train.batch_size=16").train.batch_size == 16
    recipe = load("train.optimizer={name: sgd}", "train.optimizer.momentum=0.5")
    assert recipe.train.optimizer.momentum == 0.5


def test_a_mapping_does_the_same():
    recipe = load_recipe("stanford_dogs", overrides={"train.phases.1.epochs": 2, "seed": 7})
    assert (recipe.train.phases[1].epochs, recipe.seed) == (2, 7)


def test_they_address_what_a_short_form_stands_for(tmp_path):
    path = tmp_path / "my.yaml"
    path.write_text(
        "name: a\ndata: {kind: digits}\nbackbone: {kind: lite}\ntrain: {strategy: full}"
    )
    recipe = load_recipe(path, overrides=["train.phases.0.epochs=3"])
    assert recipe.train.phases[0].epochs == 3


def test_a_strategy_replaces_the_phases():
    assert [phase.unfreeze for phase in load("train.strategy=full").train.phases] == ["all"]
    recipe = load("train.strategy=lp_ft", "train.phases.1.epochs=1")
    assert [phase.solver for phase in recipe.train.phases] == ["linear", "gradient"]
    recipe = load("train.strategy={kind: full, epochs: 2}", "train.strategy.augment=flip")
    assert (recipe.train.phases[0].epochs, recipe.train.phases[0].augment) == (2, "flip")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "train.phases.1.epochs=many",
            "--set train.phases.1.epochs: must be a whole number. Received: many",
        ),
        (
            "imag.size_px=96",
            "--set imag.size_px: imag: unknown key. Allowed: name, description, seed, data, "
            "image, backbone, heads, train, unsure, export, tune. Did you mean 'image'?",
        ),
        (
            "image.sizepx=96",
            "--set image.sizepx: unknown key. Allowed: size_px, fit, fill, resize_px, "
            "interpolation, channels, adapter, backbone_px. "
            "Did you mean 'size_px'?",
        ),
        (
            "train.optimizer.name=admw",
            "--set train.optimizer.name: must be one of sgd, adam, adamw. Did you mean 'adamw'? "
            "Received: admw",
        ),
        (
            "train.phases.2.epochs=3",
            "--set train.phases.2.epochs: train.phases is a list; its entries are 0, 1. "
            "Received: 2",
        ),
        (
            "train.phases.last.epochs=3",
            "--set train.phases.last.epochs: train.phases is a list; its entries are 0, 1. "
            "Received: last",
        ),
        (
            "train.phases.0={solver: linear, refitt: true}",
            "--set train.phases.0: train.phases.0.refitt: unknown key. Allowed: solver, unfreeze, "
            "inverse_regularization, choose_by, refit, when_too_large. Did you mean 'refit'?",
        ),
        (
            "train.batch_size.x=3",
            "--set train.batch_size.x: train.batch_size is one value, 32, not a section or a "
            "list. Received: x",
        ),
        (
            "train.strategy=ful",
            "--set train.strategy: must be one of feature_extraction, head_only, full, partial, "
            "progressive, lp_ft, or a section with such a kind. Did you mean 'full'? Received: ful",
        ),
        (
            "image.resize_px=96",
            "--set image.resize_px: must be at least size_px (224), which is cut from it. "
            "Received: 96",
        ),
    ],
)
def test_a_fault_that_an_override_causes_is_reported_as_its_fault(override, message):
    assert message_of(override) == message


def test_faults_of_all_overrides_are_reported():
    lines = message_of("seed=x", "train.phases.9.epochs=3", "image.fit=squash").splitlines()
    assert sorted(line.split(": ")[0] for line in lines) == [
        "--set image.fit",
        "--set seed",
        "--set train.phases.9.epochs",
    ]


@pytest.mark.parametrize("text", ["train.batch_size", "=3", "a..b=3", ".a=3"])
def test_what_is_no_path_and_value_is_refused(text):
    with pytest.raises(UsageError, match="--set takes PATH=VALUE") as caught:
        load(text)
    assert str(caught.value).endswith(f"Received: {text}")


def test_a_value_that_is_no_yaml_is_refused():
    assert message_of("seed=[").startswith("--set seed:1: not YAML: ")


def dropping(*overrides: str, recipe: str = "stanford_dogs_resnet50") -> tuple[Recipe, list[str]]:
    """A recipe and what was said while it was loaded."""
    with pytest.warns(RecipeWarning) as caught:
        loaded = load_recipe(recipe, overrides=overrides)
    return loaded, [str(warning.message) for warning in caught]


def test_another_kind_of_backbone_drops_what_it_does_not_take_and_says_so(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "name: mine\ndata: {kind: digits}\ntrain: {strategy: full}\nbackbone:\n"
        "  kind: application\n  name: MobileNet\n  arguments: {alpha: 0.25}\n"
    )
    overrides = ["backbone.kind=hub", "backbone.handle=https://a.b/c/1"]
    recipe, said = dropping(*overrides, recipe=path)
    assert (recipe.backbone.kind, recipe.backbone.handle) == ("hub", "https://a.b/c/1")
    dropped = f"name ({path}:6), arguments ({path}:7)"
    assert said == [f"--set backbone.kind: dropped, since hub does not take them: {dropped}"]


def test_what_the_user_sets_is_not_dropped_but_refused():
    overrides = ["backbone.name=ResNet50", "backbone.kind=hub", "backbone.handle=https://a.b/c/1"]
    with pytest.raises(RecipeError) as caught:
        load_recipe("quickstart", overrides=overrides)
    (line,) = str(caught.value).splitlines()
    assert line.startswith("--set backbone.name: unknown key. Allowed: kind, handle")


def test_values_that_another_kind_does_not_take_are_dropped_too(tmp_path):
    overrides = ["backbone.kind=keras", f"backbone.path={tmp_path}"]
    values = {"backbone.weights": "imagenet", "backbone.name": "EfficientNetLite0"}
    recipe = load_recipe("quickstart", overrides=values).model_dump(mode="json")
    with pytest.warns(RecipeWarning, match=r"keras does not take them: name, weights$"):
        loaded = recipe_from_dict(recipe, overrides)
    assert loaded.backbone.weights == "pretrained"


def test_other_sections_with_a_kind_do_the_same():
    recipe, (said,) = dropping("data.kind=digits", recipe="stanford_dogs")
    assert recipe.data.kind == "digits"
    assert "since digits does not take them: name (" in said
    recipe, said = dropping("train.phases.1.solver=linear", recipe="stanford_dogs")
    assert recipe.train.phases[1].solver == "linear"
    assert len(said) == 1
    values = load("train.optimizer={name: adamw, beta_1: 0.8}").model_dump(mode="json")
    with pytest.warns(RecipeWarning, match=r"sgd does not take them: beta_1, beta_2, epsilon$"):
        optimizer = recipe_from_dict(values, ["train.optimizer.name=sgd"]).train.optimizer
    assert (optimizer.name, optimizer.momentum) == ("sgd", 0.9)


def test_a_head_of_another_kind_keeps_what_both_have():
    overrides = ["heads.label.dropout=0.5", "heads.label.label_smoothing=0.1"]
    values = load(*overrides).model_dump(mode="json")
    kind = ["heads.label.kind=box", "heads.label.target=box"]
    with pytest.warns(RecipeWarning, match=r"box does not take them: label_smoothing, init, "):
        head = recipe_from_dict(values, kind).heads["label"]
    assert (head.kind, head.dropout, head.pooling) == ("box", 0.5, "avg")


def test_a_strategy_of_another_kind_is_one_of_these_sections(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "name: mine\ndata: {kind: digits}\nbackbone: {kind: lite}\n"
        "train: {strategy: {kind: partial, blocks: 3, epochs: 2}}\n"
    )
    recipe, said = dropping("train.strategy.kind=full", recipe=path)
    assert recipe.train.phases[0].epochs == 2
    dropped = f"dropped, since full does not take them: blocks ({path}:4)"
    assert said == [f"--set train.strategy.kind: {dropped}"]


def test_a_typing_error_is_no_key_of_another_kind(tmp_path):
    values = {"name": "mine", "data": {"kind": "digits"}, "train": {"strategy": "full"}}
    values["backbone"] = {"kind": "lite", "wieghts": "random"}
    with pytest.raises(RecipeError, match=r"backbone\.wieghts: unknown key"):
        recipe_from_dict(values, ["backbone.kind=keras", "backbone.path=x"])


@pytest.mark.parametrize("parts", [31, 2_000])
def test_a_path_of_more_parts_than_a_recipe_has_is_refused(parts: int):
    with pytest.raises(UsageError, match=f"at most 30 parts; this one has {parts:,}") as caught:
        load(".".join(["a"] * parts) + "=1")
    assert len(str(caught.value)) < 300
    with pytest.raises(UsageError, match="at most 30 parts"):
        load_recipe("stanford_dogs", overrides={".".join(["a"] * parts): 1})


def test_an_index_of_thousands_of_digits_is_no_index():
    assert "is a list; its entries are 0, 1" in message_of(f"train.phases.{'9' * 5_000}.epochs=1")


def test_what_was_set_is_shown_in_short():
    assert len(message_of(f"train.{'a' * 100_000}={'b' * 100_000}")) < 2_000
    with pytest.raises(UsageError) as caught:
        load("a" * 100_000)
    assert len(str(caught.value)) < 300


def test_what_is_no_unicode_is_refused():
    with pytest.raises(UsageError, match=r"--set takes Unicode. Received: 'name=\\udcff'"):
        load("name=\udcff")


def test_which_images_is_said_once(tmp_path):
    for override in ("data.path=elsewhere", "data.kind=digits", "data={kind: digits}"):
        with pytest.raises(RecipeError, match="--data says which images; leave out one of the two"):
            load_recipe("classifier", data=tmp_path, overrides=[override])
    loaded = load_recipe("classifier", data=tmp_path, overrides=["data.test_fraction=0.4"])
    assert loaded.data.test_fraction == 0.4
