"""Counts in the confusion matrix can be read on every colour of a cell."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from tfft.reports.confusion import confusion_figure
from tfft.reports.contrast import Colour, contrast, over
from tfft.reports.page import figure_style

_SVG = "{http://www.w3.org/2000/svg}"
_ROW_OF_IMAGES = 400


def fill(kind: str) -> Colour:
    """The fill that ``figures.css`` gives a class; of several the last that has one."""
    rules = [
        re.search(rf"^\.{name} {{.*fill: #(\w{{6}})", figure_style(), re.M) for name in kind.split()
    ]
    found = [rule[1] for rule in rules if rule]
    red, green, blue = bytes.fromhex(found[-1])
    return red, green, blue


def contrasts(counts: np.ndarray) -> list[float]:
    """The contrast of each count with its cell, as the figure is drawn."""
    svg = ElementTree.fromstring(confusion_figure("head", counts, ("a", "b")).svg)
    cells = [r for r in svg.iter(f"{_SVG}rect") if r.attrib["class"] in ("right", "wrong")]
    texts = [t for t in svg.iter(f"{_SVG}text") if "count" in t.attrib["class"]]
    assert len(cells) == len(texts) == np.count_nonzero(counts)
    return [
        contrast(
            fill(text.attrib["class"]),
            over(fill(cell.attrib["class"]), float(cell.attrib["fill-opacity"]), fill("field")),
        )
        for cell, text in zip(cells, texts, strict=True)
    ]


def test_counts_are_readable_at_every_share():
    lowest = min(
        ratio
        for right in range(_ROW_OF_IMAGES + 1)
        for ratio in contrasts(np.array([[right, _ROW_OF_IMAGES - right], [0, 0]]))
    )
    assert lowest >= 4.5


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [
        ((0, 0, 0), (255, 255, 255), 21.0),
        ((255, 255, 255), (255, 255, 255), 1.0),
        ((0x77, 0x77, 0x77), (255, 255, 255), 4.48),
        ((255, 0, 0), (255, 255, 255), 4.0),
    ],
)
def test_contrast_is_that_of_wcag(one, other, ratio):
    assert contrast(one, other) == pytest.approx(ratio, abs=0.005)
    assert contrast(other, one) == contrast(one, other)


def test_a_colour_over_another_by_hand():
    assert over((100, 0, 200), 0.25, (200, 100, 0)) == (175, 75, 50)
