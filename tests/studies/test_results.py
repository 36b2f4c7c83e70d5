"""What a comparison reads from finished runs, and the words it finds for it."""

import json
import shutil

import html5lib
import numpy as np
import pytest
from made_study import make_study, write_run

from tfft.errors import DataError
from tfft.metrics.paired import mcnemar_over_seeds
from tfft.studies.compare import Study
from tfft.studies.outcome import outcome_from_json, read_outcome
from tfft.studies.pages import (
    comparison_json,
    html_page,
    markdown_page,
    markdown_table,
    write_pages,
)
from tfft.studies.results import collect, summarize
from tfft.studies.verdict import p_text, verdicts


def test_costs_and_figures_of_a_row(tmp_path):
    study = make_study(tmp_path, {"scratch": 0.6, "partial": 0.9})
    scratch, partial = collect(study).rows
    assert (scratch.scratch, partial.scratch) == (True, False)
    assert (partial.seeds, partial.train_images, partial.trainable_parameters) == (3, 500, 2000)
    assert partial.images_seen == 500 + 1000
    assert (partial.seconds, partial.cpu_seconds, partial.peak_memory_mb) == (30.0, 50.0, 900)
    assert partial.top1 == pytest.approx(np.mean(partial.by_seed))
    assert partial.over_images.low < partial.top1 < partial.over_images.high


def test_what_heads_know_before_training_takes_no_images_and_may_be_the_target(tmp_path):
    study = make_study(tmp_path, {"scratch": 0.6, "partial": 0.9}, seeds=1)
    known = study.cells[-1].run / "history.csv"
    columns, *rows = known.read_text().splitlines()
    known.write_text("\n".join([columns, "0,0.45,,,3", *rows]) + "\n")
    row = collect(study, 0.4).rows[-1]
    assert (row.images_seen, row.seconds_to_target) == (500 + 1000, 3.0)


def test_the_time_is_to_the_accuracy_that_every_arm_reaches_or_to_the_one_asked_for(tmp_path):
    study = make_study(tmp_path, {"scratch": 0.6, "partial": 0.9})
    assert [row.seconds_to_target for row in collect(study).rows] == [25.0, 25.0]
    assert [row.seconds_to_target for row in collect(study, 0.4).rows] == [10.0, 10.0]
    assert [row.seconds_to_target for row in collect(study, 0.8).rows] == [None, 25.0]


def test_a_gain_negative_transfer_and_no_difference_are_told_apart(tmp_path):
    accuracy = {"scratch": 0.70, "partial": 0.90, "full": 0.705, "feature_extraction": 0.50}
    found = {v.arm: v for v in verdicts(collect(make_study(tmp_path, accuracy, spread=0.005)))}
    assert {arm: verdict.kind for arm, verdict in found.items()} == {
        "partial": "gain",
        "full": "no_difference",
        "feature_extraction": "negative_transfer",
    }
    assert "NEGATIVE TRANSFER. feature_extraction is" in found["feature_extraction"].text
    assert "no difference that 400 test images and 3 seeds can show" in found["full"].text


def test_a_gain_that_ends_at_chance_is_called_that(tmp_path):
    (verdict,) = verdicts(collect(make_study(tmp_path / "a", {"scratch": 0.02, "full": 0.11})))
    assert verdict.kind == "gain"
    assert "is not shown to be better than always answering with the commonest class (0.100" in (
        verdict.text
    )
    (verdict,) = verdicts(collect(make_study(tmp_path / "b", {"scratch": 0.02, "full": 0.60})))
    assert "commonest" not in verdict.text


def test_a_spread_over_seeds_takes_a_verdict_back(tmp_path):
    accuracy = {"scratch": 0.70, "partial": 0.77}
    sure = make_study(tmp_path / "sure", accuracy, spread=0.002)
    unsure = make_study(tmp_path / "unsure", accuracy, spread=0.06)
    assert [v.kind for v in verdicts(collect(sure))] == ["gain"]
    assert [v.kind for v in verdicts(collect(unsure))] == ["no_difference"]


def test_an_interval_of_two_runs_stays_among_the_shares_there_are(tmp_path):
    study = make_study(tmp_path, {"scratch": 0.1, "full": 0.9}, seeds=2, spread=0.1)
    for row in collect(study).rows:
        assert 0.0 <= row.over_seeds.low < row.top1 < row.over_seeds.high <= 1.0


def test_one_seed_is_about_two_models(tmp_path):
    (verdict,) = verdicts(collect(make_study(tmp_path, {"scratch": 0.6, "full": 0.9}, seeds=1)))
    assert "for these two models; other seeds may differ" in verdict.text


def test_without_scratch_arms_are_compared_with_the_best(tmp_path):
    study = make_study(tmp_path, {"partial": 0.9, "full": 0.89, "feature_extraction": 0.6})
    found = {v.arm: v.kind for v in verdicts(collect(study))}
    assert found == {"full": "no_difference", "feature_extraction": "worse_than_best"}


def test_where_scratch_failed_arms_are_compared_with_the_best(tmp_path):
    accuracy = {"scratch": 0.5, "partial": 0.9, "full": 0.6}
    study = make_study(tmp_path, accuracy, seeds=1, fractions=(0.1, 1.0))
    failed = next(c for c in study.cells if (c.arm, c.fraction) == ("scratch", 0.1))
    study.failed[str(failed.run)] = "the loss is not finite"
    found = [(v.fraction, v.arm, v.other, v.kind) for v in verdicts(collect(study))]
    assert found == [
        (0.1, "full", "partial", "worse_than_best"),
        (1.0, "partial", "scratch", "gain"),
        (1.0, "full", "scratch", "gain"),
    ]


def test_runs_on_other_images_are_refused(tmp_path):
    study = make_study(tmp_path, {"scratch": 0.6, "full": 0.9}, seeds=1)
    last = study.cells[-1]
    write_run(last.run, np.ones(300, bool), last.recipe)
    with pytest.raises(DataError, match="400 and 300"):
        collect(study)


def test_outcomes_that_were_kept_say_the_same_as_the_runs(tmp_path):
    study = make_study(tmp_path, {"scratch": 0.6, "full": 0.9}, fractions=(0.1, 1.0), spread=0.02)
    expected = collect(study, 0.7)
    kept = json.dumps([read_outcome(cell, "label").to_json() for cell in study.cells])
    assert len(kept) < 1000 * len(study.cells)
    shutil.rmtree(tmp_path)
    outcomes = [outcome_from_json(values) for values in json.loads(kept)]
    assert summarize(study.arms, "label", outcomes, 0.7) == expected


def test_what_failed_is_left_out_and_named(tmp_path):
    study = make_study(tmp_path, {"scratch": 0.6, "full": 0.9}, seeds=2)
    last = study.cells[-1]
    study.failed[str(last.run)] = "the disk is full"
    results = collect(study)
    assert [row.seeds for row in results.rows] == [2, 1]
    assert "the disk is full" in markdown_page(study, results, None)
    assert comparison_json(study, results)["failed"] == {str(last.run): "the disk is full"}


def test_pages_say_the_same_in_three_forms(tmp_path):
    study = make_study(tmp_path, {"scratch": 0.6, "full": 0.9}, fractions=(0.1, 1.0))
    results = collect(study)
    write_pages(study, results, None)
    document = json.loads((tmp_path / "comparison.json").read_text())
    assert document["rows"][0]["arm"] == "scratch"
    page = (tmp_path / "comparison.html").read_text()
    for verdict in document["verdicts"]:
        assert verdict["text"] in (tmp_path / "comparison.md").read_text()
        assert f'<li class="{verdict["kind"]}">' in page
    assert "http" not in page


def test_a_picture_is_inside_the_page(tmp_path):
    pytest.importorskip("matplotlib")
    from tfft.studies.curves import draw_learning_curves

    study = make_study(tmp_path, {"scratch": 0.6, "full": 0.9}, fractions=(0.1, 1.0))
    results = collect(study)
    draw_learning_curves(results, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert 'src="data:image/png;base64,' in html_page(study, results, tmp_path / "curves.png")


def test_the_tables_of_the_page_can_be_read_and_scrolled_without_a_mouse(tmp_path):
    study = make_study(tmp_path, {"scratch": 0.6, "full": 0.9})
    page = html5lib.parse(html_page(study, collect(study), None), namespaceHTMLElements=False)
    parts = page.findall(".//div[@class='scroll']")
    assert len(parts) == 2
    for part in parts:
        assert (part.attrib["tabindex"], part.attrib["role"]) == ("0", "region")
        assert part.attrib["aria-label"] == part.find(".//caption").text
        assert {head.attrib["scope"] for head in part.findall(".//thead//th")} == {"col"}
        assert [head.text for head in part.findall(".//tbody//th")] == ["scratch", "full"]


def test_mcnemar_is_of_models_of_the_same_seed(tmp_path):
    study = make_study(tmp_path, {"scratch": 0.60, "full": 0.62}, spread=0.1)
    first, *rest = study.cells
    without = Study(study.path, study.arms, study.cells, {str(first.run): "no room"})
    results = collect(without)
    outcomes = {(c.arm, c.seed): read_outcome(c, "label").right for c in rest}
    seeds = [seed for arm, seed in outcomes if arm == first.arm]
    other = "full" if first.arm == "scratch" else "scratch"
    expected = mcnemar_over_seeds(
        *([outcomes[arm, seed] for seed in seeds] for arm in (first.arm, other))
    )
    assert results.with_best[0].mcnemar == pytest.approx(expected)


def test_a_name_with_a_bar_does_not_break_the_table():
    table = (["arm", "top-1"], [["a|b", "0.5"]])
    assert markdown_table(table).splitlines()[-1] == r"| a\|b | 0.5 |"


@pytest.mark.parametrize(
    ("p_value", "figure"), [(0.0312, "0.031"), (0.0499, "0.0499"), (0.05, "0.05"), (0.0504, "0.05")]
)
def test_a_p_value_is_not_rounded_across_the_level(p_value, figure):
    assert p_text(p_value) == figure
