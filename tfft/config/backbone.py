"""A backbone that is named on the command line, without a recipe around it."""

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tfft.catalog.backbones import backbone_specs
from tfft.config.base import Section
from tfft.config.loading.checks import check_sections
from tfft.config.loading.faults import Fault, find_faults, report
from tfft.config.loading.overrides import Overrides, apply_overrides, parse_overrides
from tfft.config.loading.source import Document
from tfft.config.model import BackboneConfig
from tfft.errors import BackboneError, RecipeError, nearest


class _Asked(Section):
    backbone: BackboneConfig


def backbone_config(name_or_handle: str, overrides: Overrides = ()) -> BackboneConfig:
    """Returns the `backbone:` section that a name or a handle stands for.

    Args:
        name_or_handle: a name of the catalog, which stands for random weights; the path or
            address of a SavedModel; a run or a ``.keras`` file; or ``keras_hub:PRESET``.
        overrides: such as ``backbone.input_range=[-1, 1]``, as of recipes.

    Raises:
        BackboneError: There is no such backbone.
        RecipeError: A value is wrong; every fault is named, a line each.
    """
    document = Document({"backbone": _section(name_or_handle)})
    document, faults = apply_overrides(document, parse_overrides(overrides))
    backbone = None
    try:
        asked = _Asked.model_validate_json(json.dumps(document.values), strict=True)
        backbone = asked.backbone
        faults += [Fault(path, text) for path, text in check_sections(dict(asked))]
    except ValidationError as error:
        faults += find_faults(error, _Asked, document.values)
    if faults or backbone is None:
        raise RecipeError(report(faults, document))
    return backbone


def _section(name_or_handle: str) -> dict[str, Any]:
    by_name = {spec.name: spec for spec in backbone_specs()}
    if name_or_handle in by_name:
        kind = by_name[name_or_handle].kind
        return {"kind": kind, "name": name_or_handle, "weights": "random"}
    kind, _, preset = name_or_handle.partition(":")
    if kind == "keras_hub":
        return {"kind": kind, "preset": preset}
    path = Path(name_or_handle).expanduser()
    if path.suffix == ".keras" or (path / "model.keras").is_file():
        return {"kind": "keras", "path": name_or_handle}
    if "://" in name_or_handle or path.exists():
        return {"kind": "hub", "handle": name_or_handle}
    raise BackboneError(
        "no backbone of the catalog, no file and no address."
        f"{nearest(name_or_handle, by_name)} Received: {name_or_handle}"
    )
