"""What a notebook shows of results: tables of text, in the colours of the notebook's own theme."""

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import html5lib
import pytest
from interface.test_readable import METRICS, RESULTS

from tfft.evaluation.evaluate import Evaluation
from tfft.metrics.compared import ComparedClass
from tfft.metrics.intervals import Interval
from tfft.runs.run import Run
from tfft.studies.report import StudyReport
from tfft.system.cells import table_html

HOSTILE = "<script>alert(1)</script>"
CLASS = {"precision": 0.5, "recall": 1.0, "f1": 0.6667, "auc": None, "average_precision": None}
PER_CLASS = [
    {"label": HOSTILE, "examples": 3, "accuracy": 1.0, **CLASS},
    {"label": "dog", "examples": 2, "accuracy": 0.5, **CLASS, "f1": 0.25},
]
SMALL = {"label": METRICS["label"] | {"per_class": PER_CLASS, "confusion": [[3, 0], [1, 1]]}}


def texts(html: str, tag: str) -> list[str]:
    """The texts of the elements of a name, read as a browser does."""
    tree = html5lib.parseFragment(html, namespaceHTMLElements=False)
    return ["".join(element.itertext()) for element in tree.iter(tag)]


@pytest.mark.parametrize("kind", [kind for kind in RESULTS if kind not in ("study", "audit")])
def test_every_result_is_a_cell_that_says_first_what_its_text_says_first(kind):
    result, *_ = RESULTS[kind]
    html = cast(Any, result)._repr_html_()
    assert texts(html, "strong")[0] == result.lines()[0]


@pytest.mark.parametrize("kind", [kind for kind in RESULTS if kind not in ("study", "audit")])
def test_a_cell_has_no_colours_of_its_own(kind):
    html = cast(Any, RESULTS[kind][0])._repr_html_()
    assert re.findall(r"(?<![\w-])(?:color|background)", html) == []


def test_an_evaluation_has_its_metrics_and_the_worst_classes_first():
    html = Evaluation("runs/a", "test", 5, SMALL)._repr_html_()
    cells = texts(html, "td")
    assert cells[:3] == ["top-1", "0.8934", "0.8512 to 0.9255"]
    assert cells.index("dog") < cells.index(HOSTILE)
    assert texts(html, "summary") == ["by class", "most confused"]
    assert cells[-3:] == ["dog", HOSTILE, "1"]


def test_names_of_classes_and_files_are_no_markup():
    evaluation = Evaluation(HOSTILE, "test", 5, SMALL, notes=(HOSTILE,))
    for result in (evaluation, Run(Path(HOSTILE), SMALL, notes=(HOSTILE,))):
        assert "<script" not in result._repr_html_()


def test_a_run_has_a_table_for_each_head_what_its_epochs_show_and_what_comes_next():
    run = cast(Run, RESULTS["run"][0])
    html = replace(run, metrics={"breed": METRICS["label"], "age": {"mae": 2.5}})._repr_html_()
    assert texts(html, "th") == ["breed", "value", "95 % interval", "age", "value"]
    assert texts(html, "p")[1:] == ["The loss rises.", "next: tfft.resume('runs/none')"]


def test_a_comparison_of_models_has_the_verdict_and_both_sides():
    comparison, *_ = cast(Any, RESULTS["comparison"])
    changed = ComparedClass("dog", 9, 0.5, None, 0, 4, None)
    head = replace(comparison.heads["label"], classes=(changed,))
    html = replace(comparison, heads={"label": head})._repr_html_()
    assert texts(html, "th")[:3] == ["metric", "old", "new"]
    assert comparison.verdicts()[0] in texts(html, "p")
    assert texts(html, "td")[-7:] == ["dog", "9", "0.5000", "", "0", "4", ""]


def test_a_study_has_a_row_an_arm(monkeypatch):
    rows = [
        SimpleNamespace(
            arm=arm, fraction=1.0, seeds=3, top1=0.9, over_images=Interval(0.8, 0.95), seconds=12.3
        )
        for arm in ("full", "scratch")
    ]
    study = SimpleNamespace(path="studies/a", arms=[SimpleNamespace(name=r.arm) for r in rows])
    results = SimpleNamespace(rows=rows, test_images=80)
    verdict = SimpleNamespace(text="At 100 %: gain.")
    monkeypatch.setattr("tfft.studies.report.verdicts", lambda results: [verdict])
    html = StudyReport(cast(Any, study), cast(Any, results))._repr_html_()
    assert texts(html, "td")[:6] == ["full", "100%", "3", "0.9000", "0.8000 to 0.9500", "12"]
    assert "At 100 %: gain." in texts(html, "p")


def test_numbers_are_to_the_right_and_nothing_is_an_empty_cell():
    html = table_html({"class": ["cat", "dog"], "images": [1200, None]})
    assert texts(html, "td") == ["cat", "1,200", "dog", ""]
    assert html.count("text-align: right") == 3
    assert table_html({"class": []}) == ""
