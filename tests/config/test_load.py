"""Finding recipes, loading them, and writing them so that they load again."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tfft.config.loading.load import dump_recipe, load_recipe, recipe_from_dict
from tfft.config.loading.source import bundled_recipes, read_yaml
from tfft.errors import RecipeError, RecipeWarning

ROOT = Path(__file__).resolve().parents[2]
NAMES = ["classifier", "labels", "quickstart"]
DATA = {"classifier": "photos", "labels": "photos.csv"}
NAMES += [
    "stanford_dogs" + end for end in ("", "_crops", "_multi_task", "_resnet50", "_warm_start")
]


def load_bundled(name: str):
    return load_recipe(name, data=DATA.get(name))


def test_the_bundled_recipes_are_found():
    assert list(bundled_recipes()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_bundled_recipe_is_called_as_its_file_and_described(name):
    recipe = load_bundled(name)
    assert recipe.name == name
    assert recipe.description


@pytest.mark.parametrize("name", NAMES)
def test_a_bundled_recipe_opens_with_its_measurement_and_its_command(name):
    text = (ROOT / "configs" / f"{name}.yaml").read_text(encoding="utf-8")
    header = text[: text.index("\nname:")]
    assert all(line.startswith("#") for line in header.splitlines())
    assert "# Measured" in header or "# Not measured here" in header
    assert f"tfft train {name}" in header
    assert "shared" not in text


def test_recipes_are_found_beside_an_installed_package(tmp_path, monkeypatch):
    installed = tmp_path / "tfft" / "configs"
    installed.mkdir(parents=True)
    (installed / "only.yaml").write_text("name: only")
    monkeypatch.setattr(
        "tfft.config.loading.source.__file__",
        str(tmp_path / "tfft" / "config" / "loading" / "source.py"),
    )
    assert bundled_recipes() == {"only": installed / "only.yaml"}


def test_an_unknown_name_is_answered_with_the_nearest_and_all():
    with pytest.raises(RecipeError) as caught:
        load_recipe("stanford_dog")
    assert str(caught.value) == (
        "no recipe 'stanford_dog': neither a file nor one of the bundled recipes "
        f"{', '.join(NAMES)}. Did you mean 'stanford_dogs'?"
    )


def test_a_directory_is_answered_with_the_command_for_photos(tmp_path):
    with pytest.raises(RecipeError, match=f"tfft train classifier --data {tmp_path}"):
        load_recipe(tmp_path)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    path = tmp_path / "latin1.yaml"
    path.write_bytes(b"name: caf\xe9")
    with pytest.raises(RecipeError, match=r"latin1\.yaml:1: not UTF-8: the byte 0xe9"):
        load_recipe(path)


def test_the_classifier_says_that_it_needs_photos():
    with pytest.raises(RecipeError) as caught:
        load_recipe("classifier")
    (line,) = str(caught.value).splitlines()
    assert line.endswith(
        "data.path: which images? Give --data DIR, a directory with one folder a class, "
        "or set data.path"
    )


def test_data_replaces_the_source_and_keeps_what_holds_for_any(tmp_path):
    overrides = ["data.validation_fraction=0.3", "data.split_seed=5", "data.on_bad_image=skip"]
    data = load_recipe("stanford_dogs", overrides=overrides, data=tmp_path).data
    assert (data.kind, data.path) == ("image_folder", tmp_path)
    assert (data.validation_fraction, data.split_seed, data.on_bad_image) == (0.3, 5, "skip")


def test_a_csv_file_is_a_manifest(tmp_path):
    data = load_recipe("classifier", data=tmp_path / "photos.CSV").data
    assert (data.kind, data.path) == ("manifest", tmp_path / "photos.CSV")


def test_paths_become_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/someone")
    overrides = ["data.archives=there", "data.data_dir=~/tfds", "backbone.weights=my.weights.h5"]
    recipe = load_recipe("stanford_dogs", overrides=overrides)
    assert recipe.data.archives == tmp_path / "there"
    assert recipe.data.data_dir == Path("/home/someone/tfds")
    assert recipe.backbone.weights == str(tmp_path / "my.weights.h5")


def test_a_strategy_is_nothing_but_its_phases():
    short = recipe_from_dict({**MINIMAL, "train": {"strategy": {"kind": "lp_ft", "epochs": 2}}})
    phases = [
        {"solver": "linear"},
        {"unfreeze": "all", "epochs": 2, "learning_rate": 3e-5},
    ]
    assert short == recipe_from_dict({**MINIMAL, "train": {"phases": phases}})


def test_loading_starts_no_tensorflow():
    code = (
        "import sys; from tfft.config.loading.load import load_recipe; "
        "load_recipe('stanford_dogs');"
        "sys.exit(any(name in sys.modules for name in ('tensorflow', 'keras', 'numpy')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, env={**os.environ})


def test_a_renamed_value_is_read_with_a_warning_that_says_where_and_what_to_write(tmp_path):
    path = tmp_path / "old.yaml"
    path.write_text(
        "name: old\ndata: {kind: digits}\nbackbone: {kind: lite}\n"
        "train:\n  strategy: full\n  monitor: figure\n"
    )
    with pytest.warns(RecipeWarning) as caught:
        assert load_recipe(path).train.monitor == "metric"
    renamed = "train.monitor: figure has been renamed: write monitor: metric"
    assert [str(warning.message) for warning in caught] == [f"{path}:6: {renamed}"]
    with pytest.warns(RecipeWarning) as caught:
        set_so = load_recipe("quickstart", overrides=["train.monitor=figure"])
    assert set_so.train.monitor == "metric"
    assert [str(warning.message) for warning in caught] == [f"--set {renamed}"]


def test_the_recipe_of_an_old_run_is_read_without_a_warning(tmp_path):
    text = dump_recipe(load_recipe("quickstart"))
    assert "  monitor: metric\n" in text
    path = tmp_path / "recipe.yaml"
    path.write_text(text.replace("  monitor: metric\n", "  monitor: figure\n"))
    assert load_recipe(path) == load_recipe("quickstart")


MINIMAL = {"name": "mine", "data": {"kind": "digits"}, "backbone": {"kind": "lite"}}
EVERY_KEY = {
    "": "name description seed data image backbone heads train unsure export tune",
    "data": "validation_fraction fraction limit_per_class split_seed split_by split_like groups "
    "on_bad_image on_corrupt_image on_label_conflict test_fraction kind",
    "image": "size_px fit fill resize_px interpolation channels adapter backbone_px",
    "export": "name formats calibrated check_images savedmodel_weights default_signature warm_up "
    "tflite",
}


@pytest.mark.parametrize("section", EVERY_KEY)
def test_a_written_recipe_hides_nothing(section):
    values = read_yaml(dump_recipe(load_recipe("quickstart")), "recipe.yaml").values
    assert list(values[section] if section else values) == EVERY_KEY[section].split()


def test_a_written_recipe_says_what_it_is():
    assert dump_recipe(load_recipe("quickstart")).startswith("# A resolved recipe: ")


# Texts that YAML 1.1, YAML 1.2 or a writer could take for something else.
tricky = st.sampled_from(["1e-4", "0o17", "yes", "null", "~", "", "1:30", "a: b # c", "- x", "<<"])
texts = tricky | st.text(st.characters(codec="utf-8"), max_size=40)
rates = st.floats(min_value=1e-12, max_value=10.0)
fractions = st.floats(min_value=0.0, max_value=1.0, exclude_max=True)
augmentations = st.sampled_from(["none", "flip", "rand_augment"])
gradient_phases = st.fixed_dictionaries(
    {
        "unfreeze": st.sampled_from(["none", "all"])
        | st.builds(lambda n: {"last_blocks": n}, st.integers(1, 20)),
        "epochs": st.integers(2, 1000),
        "learning_rate": rates,
    },
    optional={
        "schedule": st.fixed_dictionaries(
            {"kind": st.sampled_from(["constant", "cosine"]), "warmup_epochs": st.floats(0.0, 2.0)}
        ),
        "weight_decay": rates,
        "augment": augmentations,
        "early_stop": st.none() | st.builds(lambda n: {"patience_epochs": n}, st.integers(1, 9)),
    },
)
linear_phases = st.fixed_dictionaries(
    {"solver": st.just("linear")},
    optional={"inverse_regularization": st.lists(rates, min_size=1, max_size=4, unique=True)},
)
data_sections = st.fixed_dictionaries(
    {"kind": st.just("tfds"), "name": texts},
    optional={"validation_fraction": fractions, "validation_split": st.none() | texts},
) | st.fixed_dictionaries(
    {"kind": st.just("image_folder"), "path": st.sampled_from(["/a b", "c: d", "~/é", "1e3"])},
    optional={"split_seed": st.integers(0, 10**12)},
)
recipes = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["mine", "null", "yes", "a-1_b"]),
        "description": texts,
        "data": data_sections,
        "backbone": st.fixed_dictionaries({"kind": st.just("lite")}),
        "train": st.fixed_dictionaries(
            {"phases": st.lists(gradient_phases | linear_phases, min_size=1, max_size=3)},
            optional={"optimizer": st.fixed_dictionaries({"name": st.just("sgd")})},
        ),
    },
    optional={
        "seed": st.integers(0, 2**31 - 1),
        "heads": st.dictionaries(
            st.sampled_from(["label", "on", "breed"]),
            st.fixed_dictionaries({"target": texts, "dropout": fractions}),
            min_size=1,
        ),
        "export": st.fixed_dictionaries({"name": st.none() | st.sampled_from(["a", "true"])}),
    },
).map(recipe_from_dict)


@settings(deadline=None)
@given(recipe=recipes)
@example(recipe=load_recipe("quickstart", overrides={"description": "a\x85b"}))
def test_a_written_recipe_loads_as_an_equal_one(tmp_path_factory, recipe):
    path = tmp_path_factory.getbasetemp() / "recipe.yaml"
    path.write_text(dump_recipe(recipe), encoding="utf-8")
    assert load_recipe(path) == recipe


@pytest.mark.parametrize("name", NAMES)
def test_a_bundled_recipe_resolved_loads_as_an_equal_one(name, tmp_path):
    recipe = load_bundled(name)
    path = tmp_path / "recipe.yaml"
    path.write_text(dump_recipe(recipe), encoding="utf-8")
    assert load_recipe(path) == recipe


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"name: a\nseed: \xff\n", "my.yaml:2: not UTF-8: the byte 0xff. Save the file as UTF-8"),
        ("name: a\n".encode("utf-16"), "my.yaml:1: not UTF-8: the byte 0xff"),
        (b"name: a\nseed: \x00\n", "my.yaml:2: not YAML: the character U.0000, which YAML does"),
        (b"name: a\n\tseed: 1\n", "my.yaml:2: not YAML: .*; indent by spaces, not by tabs"),
        (b"a: " + b"[" * 100_000, "my.yaml:1: nested deeper than 30"),
        (b"a" * 2_000_000, "my.yaml: larger than 1,048,576 bytes"),
        (b"\xff" * 2_000_000, "my.yaml: larger than 1,048,576 bytes"),
        (b"a: &a [x]\nb: !!python/object:" + b"x" * 5_000, "my.yaml:2: tags are not allowed"),
        (b"x" * 900 + b": 1\n" + b"x" * 900 + b": 2", "my.yaml:2: the key 'xxx"),
    ],
    ids=range(9),
)
def test_what_is_no_recipe_is_one_short_message_with_its_line(
    content, message, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    Path("my.yaml").write_bytes(content)
    with pytest.raises(RecipeError, match=message) as caught:
        load_recipe("my.yaml")
    assert len(str(caught.value)) < 400


def test_windows_line_ends_and_a_byte_order_mark_change_nothing(tmp_path):
    text = "name: mine\ndata: {kind: digits}\nbackbone: {kind: lite}\ntrain: {strategy: full}\n"
    plain, windows = tmp_path / "plain.yaml", tmp_path / "windows.yaml"
    plain.write_text(text)
    windows.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert load_recipe(windows) == load_recipe(plain)


def test_values_that_hold_themselves_are_refused():
    values: dict = {"name": "mine"}
    values["heads"] = values
    with pytest.raises(RecipeError, match="holds itself"):
        recipe_from_dict(values)


def test_a_name_longer_than_any_file_has_is_refused():
    for name in ("a" * 5_000, "a" * 300, "a/" * 3_000):
        with pytest.raises(RecipeError, match="no recipe has a name so long"):
            load_recipe(name)
        with pytest.raises(RecipeError, match="no backbone has a name so long"):
            load_recipe("classifier", overrides=[f"backbone={name}"], data="photos")
