"""From what a report says to its page: one HTML file that needs nothing beside it."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from tfft.reports.names import percent

_ENVIRONMENT_OPTIONS: Mapping[str, Any] = {
    "autoescape": True,  # names of classes and files are what users call them
    "undefined": StrictUndefined,
    "trim_blocks": True,
    "lstrip_blocks": True,
}


def page(values: Mapping[str, Any]) -> str:
    """Returns the page of a report.

    Args:
        values: what ``templates/report.html`` asks for.
    """
    return _environment().get_template("report.html").render(**values)


def figure_style() -> str:
    """Returns the colours and letters of figures, as a style sheet."""
    return _source("figures.css")


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("tfft.reports", "templates"), **_ENVIRONMENT_OPTIONS
    )
    environment.filters["percent"] = percent
    environment.globals["file"] = lambda name: Markup(_source(name))  # our own style and script
    return environment


def _source(name: str) -> str:
    return files("tfft.reports").joinpath("templates", name).read_text(encoding="utf-8")
