"""The page of an audit in a real browser: nothing fails, nobody is asked, nothing is too wide."""

import json
import re

import pytest
from browser import open_page

pytestmark = pytest.mark.slow

# The width that the page needs in a window of a certain width, as an attribute of its root.
MEASURE = """<iframe id="window" style="width:{width}px;height:900px;border:0"></iframe>
<script>
const frame = document.getElementById("window");
frame.onload = () => {{
  const root = frame.contentDocument.documentElement;
  document.documentElement.dataset.needed = root.scrollWidth;
  document.documentElement.dataset.photos =
    [...root.querySelectorAll("img")].every((image) => image.naturalWidth > 0);
}};
frame.srcdoc = {page};
</script>"""


@pytest.fixture(scope="module")
def text(audit, tmp_path_factory) -> str:
    page = tmp_path_factory.mktemp("page") / "audit.html"
    audit.write_page(page)
    return page.read_text(encoding="utf-8")


def test_it_fails_nowhere_and_asks_nobody(text, tmp_path):
    seen = open_page(text, tmp_path)
    assert (seen.console, seen.requests) == ([], [])


@pytest.mark.parametrize("width", [1280, 390])
def test_it_fits_a_desk_and_a_phone(text, tmp_path, width):
    page = json.dumps(text.replace('loading="lazy"', "")).replace("</", "<\\/")
    seen = open_page(
        f"<!doctype html><title>a window</title>{MEASURE.format(width=width, page=page)}",
        tmp_path,
        "--virtual-time-budget=5000",
    )
    assert seen.console == []
    (needed,) = re.findall(r'data-needed="(\d+)"', seen.page)
    assert int(needed) <= width
    assert 'data-photos="true"' in seen.page
