"""The report in a real browser without a network: nothing fails, nobody is asked, it reacts."""

from collections.abc import Callable

import html5lib
import pytest
from browser import Seen, open_page

from tfft.reports.report import make_report

pytestmark = pytest.mark.slow

# What a reader does: sorts by the images of a class, and zooms into the matrix.
USED = """<script>
document.querySelectorAll("table.sortable th button")[1].click();
document.querySelector('[data-zoom="in"]').click();
document.getElementById("matrix-label").dispatchEvent(
  new KeyboardEvent("keydown", {key: "ArrowRight"}));
</script>"""
# How far the page is wider than the screen, and where and how wide the names of classes are when
# their table is moved to its end.
MEASURED = """<script>
document.body.dataset.beyond = document.documentElement.scrollWidth - innerWidth;
document.body.dataset.names = [...document.querySelectorAll(".table")].map((table) => {
  table.scrollLeft = 9999;
  const name = table.querySelector("tbody tr > :first-child").getBoundingClientRect();
  const moved = Math.round(name.left - table.getBoundingClientRect().left);
  return `${moved}/${name.width < 60 ? "narrow" : "readable"}`;
});
</script>"""
FAILS = '<script>console.error("broken")</script><img src="http://example.com/tracker.gif">'


@pytest.fixture
def opened(tmp_path) -> Callable[[str], Seen]:
    return lambda text: open_page(text, tmp_path)


@pytest.fixture(scope="module")
def text(small_run, exported, tmp_path_factory) -> str:
    output = tmp_path_factory.mktemp("browser") / "report.html"
    return make_report(small_run, output=output).path.read_text(encoding="utf-8")


def test_it_fails_nowhere_asks_nobody_and_reacts(text, opened):
    seen = opened(text.replace("</body>", f"{USED}</body>"))
    assert (seen.console, seen.requests) == ([], [])
    tree = html5lib.parse(seen.page, namespaceHTMLElements=False)
    table = tree.find(".//table[@class='sortable']")
    heads = [head.attrib.get("aria-sort") for head in table.find("thead/tr")]
    assert heads == [None, "ascending", None, None, None, None]
    counts = [int(row[1].attrib["data-value"]) for row in table.find("tbody")]
    assert counts == sorted(counts)
    frame = next(e for e in tree.iter() if e.attrib.get("id") == "matrix-label")
    (svg,) = (element for element in frame if str(element.tag).endswith("svg"))
    left, _, width, _ = map(float, svg.attrib["viewBox"].split())
    assert width == pytest.approx(float(svg.attrib["width"]) / 2)
    assert left > 0.3 * width


@pytest.mark.parametrize("width_px", [390, 1280])
def test_at_any_width_only_tables_are_moved_sideways_and_the_names_stay(text, width_px, tmp_path):
    page = text.replace("</body>", f"{MEASURED}</body>")
    seen = open_page(page, tmp_path, f"--window-size={width_px},800")
    body = html5lib.parse(seen.page, namespaceHTMLElements=False).find("body")
    assert int(body.attrib["data-beyond"]) <= 0
    assert set(body.attrib["data-names"].split(",")) <= {"0/readable", "1/readable"}


def test_what_would_fail_or_ask_is_seen(text, opened):
    unguarded = text.replace("Content-Security-Policy", "other")
    seen = opened(unguarded.replace("</body>", f"{FAILS}</body>"))
    assert any("broken" in line for line in seen.console)
    assert seen.requests == ["http://example.com/tracker.gif"]


def test_the_page_itself_forbids_requests(text, opened):
    seen = opened(text.replace("</body>", f"{FAILS}</body>"))
    assert any("Content Security Policy" in line for line in seen.console)
    assert seen.requests == []
