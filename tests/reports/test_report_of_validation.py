"""A report on validation images says what was done with them, and claims nothing against it."""

import json
import re
import shutil
from pathlib import Path

import html5lib
import numpy as np
import pytest

from tfft.evaluation.answers import Answers, answers_key, answers_of_run, save_answers
from tfft.evaluation.data import recorded_data
from tfft.reports.report import make_report
from tfft.runs.run import Run
from tfft.runtime.load import load_predictor
from tfft.system.files import write_arrays, write_json
from tfft.system.progress import SILENT

PHASE = {
    "number": 1,
    "config": {"solver": "linear", "refit": True},
    "frozen_blocks": 1,
    "trained_by_block": [0],
    "block_factors": [1.0],
    "head_factor": 1.0,
    "trained_parameters": 27,
}
PLAN = {
    "blocks": [{"name": "stem", "parameters": 224}],
    "heads": [{"name": "label", "parameters": 27, "learning_rate_factor": 1.0}],
    "phases": [PHASE],
}


def run_with(small_run: Path, run: Path, data: dict[str, float]) -> tuple[Path, Answers]:
    """A copy of the small run with other splits, and answers that a temperature can be fitted to.

    Returns:
        The run, and its answers on the validation images with one of them wrong.
    """
    shutil.copytree(small_run, run)
    info = json.loads((run / "model.json").read_text())
    write_json(run / "model.json", info | {"data": info["data"] | data})
    predictor = load_predictor(run)
    index = recorded_data(predictor.info, SILENT).splits["validation"]
    outputs = dict(answers_of_run(predictor, "validation", index, SILENT))
    outputs["label"][0] = np.roll(outputs["label"][0], 1)
    return run, Answers(np.array(index.ids), {}, outputs, answers_key(predictor, index))


@pytest.fixture(scope="module")
def run(small_run, tmp_path_factory) -> Path:
    """A run whose validation images only chose something; it has test images too."""
    place = tmp_path_factory.mktemp("validation") / "run"
    splits = {"validation_fraction": 0.5, "test_fraction": 0.25}
    run, answers = run_with(small_run, place, splits)
    save_answers(run, "validation", answers)
    return run


@pytest.fixture(scope="module")
def text(run) -> str:
    return make_report(run, split="validation").path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def refitted(small_run, tmp_path_factory) -> str:
    """The page of a run whose last phase solved the head again with all that there is to show."""
    place = tmp_path_factory.mktemp("refitted") / "run"
    splits = {"validation_fraction": 0.5, "test_fraction": 0}
    run, before = run_with(small_run, place, splits)
    write_json(run / "plan.json", PLAN)
    write_json(run / "metrics.json", {"validation": {}, "best": {"phase": 1, "epoch": 1}})
    write_arrays(Run(run).before_refit_file, before.outputs)
    report = make_report(run)
    assert report.split == "validation"
    return report.path.read_text(encoding="utf-8")


def words(text: str) -> str:
    """What a reader of the page reads in it, without the recipe."""
    tree = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(text)
    main = next(element for element in tree.iter() if element.attrib.get("id") == "main")
    return re.sub(r"\s+", " ", "".join(main.itertext()))


@pytest.mark.slow
def test_a_temperature_is_said_to_be_of_these_images(text):
    assert "was fitted on these 9 validation images: what it does on others" in words(text)
    assert "not on these" not in words(text)


def test_on_test_images_it_is_said_to_be_of_others(run, tmp_path):
    page = make_report(run, output=tmp_path / "test.html").path.read_text(encoding="utf-8")
    assert "was fitted on 9 validation images, not on these." in words(page)


def test_images_that_were_not_trained_on_have_intervals_and_no_warning(text):
    assert "on images like these" in words(text)
    assert "95 % interval" in words(text)
    assert "None found" in words(text) or "look like one of" in words(text)
    assert "was trained on the images" not in words(text)


@pytest.mark.slow
def test_the_first_that_is_said_of_images_trained_on_is_a_warning(refitted):
    said = words(refitted)
    warning = said.index("The model was trained on the images of this report.")
    assert warning < said.index("images right")
    assert "refit: true" in said[warning : said.index("images right")]
    assert re.search(r"trained on\? Yes, all 12:", said)
    assert "was fitted on these 12 validation images, by what the head said of them before" in said


@pytest.mark.parametrize(
    "claim",
    [
        *("on images like these", "95 %", "not trained on", "not on these", "None found"),
        *("look like one", "looks like one", "is the same file", "Without them"),
    ],
)
def test_nothing_is_claimed_of_images_trained_on_that_holds_for_others_only(refitted, claim):
    assert claim not in words(refitted)


def test_the_page_can_be_made_again_as_it_is(text):
    assert "/run --split validation</code>" in text
