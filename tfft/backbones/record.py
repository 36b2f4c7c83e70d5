"""What a run records of its backbone, so that the run can be a backbone itself."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfft.backbones.backbone import Backbone
from tfft.catalog.backbones import backbone_spec
from tfft.catalog.spec import BackboneSpec, BlockSpec
from tfft.errors import ModelFileError, TfftError
from tfft.system.files import read_json

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


def backbone_to_json(backbone: Backbone) -> dict[str, Any]:
    """Returns what is needed to build the backbone again around the weights of the run.

    Of a backbone of the catalog that is its name and arguments; of another its whole spec. Where
    it comes from a model of one's own, the origin names that model and its classes.
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
    """Returns the spec, builder arguments and model name that `backbone_to_json` recorded.

    Raises:
        ModelFileError: The file is missing or not of this form.
    """
    try:
        record = read_json(file)
        if record["kind"] in IN_CATALOG:
            spec = backbone_spec(record["kind"], record["name"])
            return spec, record["arguments"], record["model"]
        blocks = tuple(BlockSpec(block["name"], block["end"]) for block in record["blocks"])
        values = {key: record[key] for key in _SPEC_KEYS}
        return BackboneSpec(builder="", blocks=blocks, **values), {}, record["model"]
    except (TfftError, KeyError, TypeError) as error:
        raise ModelFileError(
            f"the run does not say what its backbone is ({FILE_NAME} of `tfft train`): {error}"
        ) from error
