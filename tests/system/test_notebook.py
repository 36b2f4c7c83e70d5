"""Progress in a notebook: bars that are replaced in place, in the cell that runs."""

import shutil
import sys
from types import SimpleNamespace

import pytest

import tfft
from tfft.system import notebook
from tfft.system.notebook import NOTEBOOK


class Handle:
    """What a notebook shows in one place."""

    def __init__(self, bundle):
        self.shown = [bundle]

    def update(self, bundle, raw):
        assert raw
        self.shown.append(bundle)


@pytest.fixture
def cell(monkeypatch):
    """The places in the cell of a notebook, as they are shown."""
    places = []

    def display(bundle, *, raw, display_id):
        assert raw
        places.append(Handle(bundle))
        return places[-1] if display_id else None

    shell = SimpleNamespace(kernel=object())
    modules = {"IPython": SimpleNamespace(get_ipython=lambda: shell)}
    modules["IPython.display"] = SimpleNamespace(display=display)
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    return places


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes on when it is told to."""
    time = SimpleNamespace(now=100.0)
    monkeypatch.setattr(notebook.time, "monotonic", lambda: time.now)
    return time


def test_a_bar_is_one_place_that_is_replaced(cell, clock):
    task = NOTEBOOK.start("phase 1", 40)
    for loss in (0.5, 0.25):
        clock.now += 2
        task.advance(10, loss=loss)
    task.close()
    (place,) = cell
    assert [bundle["text/plain"] for bundle in place.shown] == [
        "phase 1: 0/40 images, 0 s",
        "phase 1: 10/40 images, 5 images/s, 2 s, loss 0.5",
        "phase 1: 20/40 images, 5 images/s, 4 s, loss 0.25",
        "phase 1: 20/40 images, 5 images/s, 4 s, loss 0.25",
    ]
    assert '<progress value="20" max="40"' in place.shown[-1]["text/html"]


def test_it_is_replaced_no_more_often_than_a_person_can_see(cell, clock):
    task = NOTEBOOK.start("phase 1", 1000)
    for _ in range(1000):
        clock.now += 0.001
        task.advance()
    task.close()
    assert len(cell[0].shown) <= 7
    assert "1,000/1,000" in cell[0].shown[-1]["text/plain"]


def test_work_of_unknown_length_is_done_when_it_is_closed(cell, clock):
    task = NOTEBOOK.start("reading", None, "bytes")
    task.advance(7)
    task.close()
    assert "<progress style" in cell[0].shown[0]["text/html"]
    assert '<progress value="7" max="7"' in cell[0].shown[-1]["text/html"]


def test_messages_stay_and_are_text(cell):
    NOTEBOOK.message("images of <b> are left out")
    assert cell[0].shown[0]["text/plain"] == "images of <b> are left out"
    assert "images of &lt;b&gt; are left out" in cell[0].shown[0]["text/html"]


def test_names_in_a_bar_are_no_markup(cell):
    NOTEBOOK.start("answers of <script>", 1).advance(1, phase="<i>")
    assert "<script>" not in cell[0].shown[0]["text/html"]


@pytest.mark.parametrize("shell", [None, SimpleNamespace()], ids=["no shell", "a terminal"])
def test_elsewhere_nothing_is_shown(cell, monkeypatch, shell):
    monkeypatch.setattr(sys.modules["IPython"], "get_ipython", lambda: shell)
    NOTEBOOK.start("phase 1", 1).advance()
    NOTEBOOK.message("one")
    assert cell == []


def test_functions_of_the_interface_report_to_the_notebook_unless_told_otherwise(
    cell, pictures, tmp_path
):
    data = tfft.prepare_data(shutil.copytree(pictures, tmp_path / "new"))
    assert data.counts["train"] > 0
    assert any("checking images" in place.shown[0]["text/plain"] for place in cell)
