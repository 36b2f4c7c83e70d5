"""Pages: each is one HTML file that needs no other."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from tfft.reports.names import percent

_ENVIRONMENT_OPTIONS: Mapping[str, Any] = {
    "autoescape": True,  # users name classes and files as they like
    "undefined": StrictUndefined,
    "trim_blocks": True,
    "lstrip_blocks": True,
}


def page(template: str, values: Mapping[str, Any]) -> str:
    """Returns a page.

    Args:
        template: Name of its template in ``templates/``.
        values: Values of the variables in the template.
    """
    environment = Environment(
        loader=PackageLoader("tfft.reports", "templates"), **_ENVIRONMENT_OPTIONS
    )
    environment.filters["percent"] = percent
    environment.globals["file"] = lambda name: Markup(_source(name))  # our own style and script
    return environment.get_template(template).render(**values)


def figure_style() -> str:
    """Returns the style sheet of figures: their colours and fonts."""
    return _source("figures.css")


def _source(name: str) -> str:
    return files("tfft.reports").joinpath("templates", name).read_text(encoding="utf-8")
