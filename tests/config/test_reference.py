"""The reference of recipes."""

import re
from pathlib import Path

from tfft.config.loading.reference import reference_page
from tfft.config.train import GradientPhase

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_the_page_is_what_the_schema_says():
    assert (DOCS / "recipes.md").read_text(encoding="utf-8") == reference_page(), "run `make docs`"


def test_every_key_of_a_phase_is_explained():
    page = reference_page()
    section = page[page.index("### train.phases.N, solver: gradient") :]
    table = section[: section.index("\n### ")]
    assert re.findall(r"^\| `(\w+)` \|", table, re.M) == list(GradientPhase.model_fields)
    assert "| `learning_rate` | number > 0.0 | required | highest learning rate of the phase |" in (
        table
    )


def test_alternatives_show_their_common_keys_once():
    page = reference_page()
    assert page.count("| `validation_fraction` |") == 1
    assert page.count("| `crop_to_box` |") == 1


def test_optional_numbers_keep_their_bounds():
    page = reference_page()
    assert "| `size_px` | whole number > 0, list of 2 whole numbers > 0, `null` | `null` |" in page
    assert "| `resize_px` | whole number > 0, `null` | `null` |" in page
    assert "| `fill` | list of 3 whole numbers >= 0, <= 255, `null` | `null` |" in page
