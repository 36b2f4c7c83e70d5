"""Each line of SECURITY.md about what a file cannot do names tests that are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
_, _, _AFTER = PAGE.partition("## What a file cannot do")
ROWS = [line for line in _AFTER.partition("\n## ")[0].splitlines() if line.startswith("|")][2:]
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py(?:::\w+)?)`", PAGE)))


@pytest.mark.parametrize("row", ROWS)
def test_each_promise_names_its_tests(row):
    assert re.findall(r"`tests/[\w/]+\.py", row.split("|")[3]), row


@pytest.mark.parametrize("name", NAMED)
def test_each_named_test_is_there(name):
    file, _, test = name.partition("::")
    text = (ROOT / file).read_text(encoding="utf-8")
    assert f"def {test or 'test_'}" in text


def test_the_page_names_many():
    assert len(ROWS) > 20
    assert len(NAMED) > 20
