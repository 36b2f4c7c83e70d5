"""The record of a run's backbone (`backbone.json`), by which the run can itself be a backbone."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfft.catalog.backbones import backbone_spec
from tfft.catalog.spec import BackboneSpec, BlockSpec
from tfft.errors import ModelFileError, TfftError
from tfft.system.formats import BACKBONE

if TYPE_CHECKING:
    from tfft.backbones.backbone import Backbone

FILE_NAME = "backbone.json"
IN_CATALOG = ("application", "lite")
_SPEC_KEYS = (
    "name",
    "kind",
    "default_size_px",
    "min_size_px",
    "preprocessing",
    "parameters",
    "feature_size",
    "licence",
    "source",
)


def backbone_to_json(backbone: "Backbone") -> dict[str, Any]:
    """Returns as JSON values what is needed to rebuild the backbone around the weights of a run.

    For a backbone of the catalog these are its name and arguments, for another its whole spec.
    Where the weights come from the user's own model, its path, digest and class names are added.
    """
    spec, origin = backbone.spec, backbone.origin
    record: dict[str, Any] = {"model": backbone.model.name}
    if spec.kind in IN_CATALOG:
        arguments = dict(backbone.arguments)
        record |= {"kind": spec.kind, "name": spec.name, "arguments": arguments}
    else:
        record |= {key: getattr(spec, key) for key in _SPEC_KEYS}
        record |= {"blocks": [{"name": block.name, "end": block.end} for block in spec.blocks]}
    if origin is not None:
        names = {head: list(names) for head, names in origin.class_names.items()}
        record["origin"] = {"path": origin.path, "sha256": origin.sha256, "class_names": names}
    return record


def read_backbone_record(file: Path) -> tuple[BackboneSpec, Mapping[str, Any], str]:
    """Returns the spec, the builder arguments and the model name that `backbone_to_json` recorded.

    Args:
        file: Path of the `backbone.json` of a run.

    Raises:
        ModelFileError: The file is missing or does not have this form.
    """
    try:
        record = BACKBONE.read(file)
        if record["kind"] in IN_CATALOG:
            spec = backbone_spec(record["kind"], record["name"])
            return spec, record["arguments"], record["model"]
        blocks = tuple(BlockSpec(block["name"], block["end"]) for block in record["blocks"])
        values = {key: record[key] for key in _SPEC_KEYS}
        if isinstance(values["default_size_px"], list):
            values["default_size_px"] = tuple(values["default_size_px"])
        return BackboneSpec(builder="", blocks=blocks, **values), {}, record["model"]
    except (TfftError, KeyError, TypeError) as error:
        raise ModelFileError(
            f"the record of the run's backbone ({FILE_NAME} of `tfft train`) cannot be read: "
            f"{error}"
        ) from error
