"""Faults that show only between values of a recipe; neither model nor data are needed."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tfft.catalog.backbones import backbone_spec, resolve_arguments
from tfft.catalog.image_size import sides, sides_text
from tfft.catalog.spec import INPUT_RANGES, PREPROCESSING_OF_RANGE
from tfft.config.data import DataConfig, ImageConfig
from tfft.config.loading.source import Path
from tfft.config.model import (
    BackboneConfig,
    ClassificationHead,
    HeadsConfig,
    HubBackbone,
    KerasBackbone,
    KerasHubBackbone,
)
from tfft.config.recipe import ExportConfig
from tfft.config.train import GradientPhase, LinearPhase, TrainConfig
from tfft.config.tune import Choices, Range, TuneConfig
from tfft.errors import BackboneError
from tfft.system.names import UNLIKENESS

Found = Iterator[tuple[Path, str]]

# Numbers of channels of which one is alpha.
_WITH_ALPHA = (2, 4)
_MOST_PX = 4096
_GAMMA = ClassificationHead.model_fields["focal_gamma"].default
_NOT_IN_CATALOG = (HubBackbone, KerasBackbone, KerasHubBackbone)


def check_sections(sections: Mapping[str, Any]) -> Found:
    """Yields the path and the sentence of each fault.

    Args:
        sections: Sections of a recipe, by name; where one is None or left out, what concerns it is
            not checked.
    """
    checks: dict[Callable[..., Found], tuple[str, ...]] = {
        _data: ("data",),
        _image: ("image",),
        _backbone: ("backbone",),
        _image_for_backbone: ("image", "backbone"),
        _augmentation_of_image: ("image", "train"),
        _heads: ("heads",),
        _heads_on_data: ("heads", "data"),
        _heads_on_backbone: ("heads", "backbone"),
        _heads_in_phases: ("heads", "train"),
        _train: ("train",),
        _export: ("export",),
        _tune: ("tune",),
    }
    for check, names in checks.items():
        if all(sections.get(name) is not None for name in names):
            yield from check(*(sections[name] for name in names))


def _data(data: DataConfig) -> Found:
    for key, text in data.faults():
        yield ("data", key), text


def _image(image: ImageConfig) -> Found:
    for key in ("size_px", "resize_px", "backbone_px"):
        size_px = getattr(image, key) or 0
        if max(sides(size_px)) > _MOST_PX:
            yield (
                ("image", key),
                f"must be at most {_MOST_PX:,}, at which one image takes 200 MB of memory. "
                f"Received: {sides_text(size_px)}",
            )
    if image.channels != 3 and image.adapter is None:
        yield (
            ("image", "adapter"),
            f"{image.channels} channels must become three for the backbone: set adapter to "
            "repeat, inflate or conv",
        )
    if image.channels == 3 and image.adapter is not None:
        yield (
            ("image", "adapter"),
            f"is for other channels than RGB; set image.channels. Received: {image.adapter}",
        )
    if image.backbone_px is not None and image.size_px is None:
        yield ("image", "backbone_px"), "enlarges images of size_px, which is not set"
    if image.fit != "letterbox" and image.fill is not None:
        yield (
            ("image", "fill"),
            f"belongs to fit: letterbox; with fit: {image.fit} nothing is filled",
        )
    if image.resize_px is None:
        return
    if image.fit != "crop":
        yield (
            ("image", "resize_px"),
            f"belongs to fit: crop; with fit: {image.fit} there is only size_px",
        )
    elif image.resize_px < (longer := max(sides(image.size_px or 0))) <= _MOST_PX:
        yield (
            ("image", "resize_px"),
            f"must be at least size_px ({longer}), which is cut from it. "
            f"Received: {image.resize_px}",
        )


def _backbone(backbone: BackboneConfig) -> Found:
    if isinstance(backbone, _NOT_IN_CATALOG):
        digest = getattr(backbone, "sha256", None)
        if digest is not None and not re.fullmatch("[0-9a-f]{64}", digest):
            yield (
                ("backbone", "sha256"),
                f"must be 64 hexadecimal digits in lower case. Received: {digest!r}",
            )
        given = backbone.input_range
        if given is not None and given not in PREPROCESSING_OF_RANGE:
            yield (
                ("backbone", "input_range"),
                f"must be {INPUT_RANGES}. Received: {list(given)}",
            )
        return
    try:
        spec = backbone_spec(backbone.kind, backbone.name)
    except BackboneError as error:
        yield ("backbone", "name"), str(error)
        return
    for name, value in getattr(backbone, "arguments", {}).items():
        try:
            resolve_arguments(spec, {name: value})
        except BackboneError as error:
            yield ("backbone", "arguments", name), str(error)


def _image_for_backbone(image: ImageConfig, backbone: BackboneConfig) -> Found:
    if isinstance(backbone, _NOT_IN_CATALOG):  # known when it is found
        return
    try:
        spec = backbone_spec(backbone.kind, backbone.name)
    except BackboneError:  # reported as the fault of backbone.name
        return
    name = "size_px" if image.backbone_px is None else "backbone_px"
    size_px = image.model_px
    if size_px is not None and min(sides(size_px)) < spec.min_size_px:
        hint = " (or let the model enlarge them: backbone_px)" if name == "size_px" else ""
        yield (
            ("image", name),
            f"must be at least {spec.min_size_px} for {spec.name}{hint}. "
            f"Received: {sides_text(size_px)}",
        )
    default_px = max(sides(spec.default_size_px))
    if image.size_px is None and (image.resize_px or default_px) < default_px:
        yield (
            ("image", "resize_px"),
            f"must be at least size_px, {default_px} with {spec.name} unless it is set. "
            f"Received: {image.resize_px}",
        )


def _augmentation_of_image(image: ImageConfig, train: TrainConfig) -> Found:
    for number, phase in enumerate(train.phases):
        augment = getattr(phase, "augment", "none")
        if image.channels in _WITH_ALPHA and augment in ("random_crop_color", "rand_augment"):
            yield (
                ("train", "phases", number, "augment"),
                "changes colours, which is not defined with an alpha channel; use none, flip or "
                f"random_crop. Received: {augment}",
            )


def _heads(heads: HeadsConfig) -> Found:
    kinds: dict[str, str] = {}
    for name, head in heads.items():
        if name == UNLIKENESS:
            yield ("heads", name), "is the name of another output of the model: call it otherwise"
        known = kinds.setdefault(head.target, head.kind)
        if known != head.kind:
            yield (
                ("heads", name, "target"),
                f"{head.target!r} is a {known} for another head and cannot be a {head.kind} too",
            )
        if head.kind == "classification" and head.source_classes and head.init == "zeros":
            yield (
                ("heads", name, "source_classes"),
                "belongs to init: source_classes or run, which this head does not have",
            )
        if head.kind == "classification" and head.loss != "focal" and head.focal_gamma != _GAMMA:
            yield ("heads", name, "focal_gamma"), "belongs to loss: focal"


def _heads_on_backbone(heads: HeadsConfig, backbone: BackboneConfig) -> Found:
    for name, head in heads.items():
        if head.kind == "classification" and head.init == "run" and backbone.kind != "keras":
            yield (
                ("heads", name, "init"),
                "takes the rows of the run that is the backbone: set backbone to it, such as "
                f"{{kind: keras, path: runs/classifier}}. Received: backbone.kind: {backbone.kind}",
            )


def _heads_on_data(heads: HeadsConfig, data: DataConfig) -> Found:
    for name, head in heads.items():
        if head.kind == "box" and getattr(data, "crop_to_box", False):
            yield (
                ("heads", name, "kind"),
                "finds boxes, but data.crop_to_box cuts each photo to its box before",
            )


def _heads_in_phases(heads: HeadsConfig, train: TrainConfig) -> Found:
    if not any(isinstance(phase, LinearPhase) for phase in train.phases):
        return
    for name, head in heads.items():
        if head.kind == "classification" and head.loss == "focal":
            yield (
                ("heads", name, "loss"),
                "focal is a loss of gradient steps, and solver: linear minimises the "
                "cross-entropy: give phases of steps alone, such as train.strategy: "
                "feature_extraction",
            )


def _train(train: TrainConfig) -> Found:
    if train.optimizer.name == "sgd" and train.optimizer.nesterov and not train.optimizer.momentum:
        yield ("train", "optimizer", "nesterov"), "needs a momentum above 0"
    if train.micro_batch_size is not None and train.micro_batch_size > train.batch_size:
        yield (
            ("train", "micro_batch_size"),
            f"must be at most batch_size ({train.batch_size}). Received: {train.micro_batch_size}",
        )
    if train.cache.engine != "auto" and train.mixed_precision != "float32":
        yield (
            ("train", "cache", "engine"),
            "computes what is frozen of models in float32: leave out one of it and "
            f"train.mixed_precision. Received: {train.cache.engine}",
        )
    for number, phase in enumerate(train.phases):
        where: Path = ("train", "phases", number)
        if isinstance(phase, GradientPhase):
            yield from _gradient_phase(phase, train, where)
        elif isinstance(phase, LinearPhase):
            if phase.refit and number + 1 < len(train.phases):
                yield (
                    (*where, "refit"),
                    "only the last phase can train on the validation images too: later phases "
                    "choose their best weights with them",
                )
            yield from _repeated((*where, "inverse_regularization"), phase.inverse_regularization)


def _gradient_phase(phase: GradientPhase, train: TrainConfig, where: Path) -> Found:
    if phase.epochs is None and phase.steps is None:
        yield (*where, "epochs"), "is missing; or give steps: how long is the phase?"
    if phase.epochs is not None and phase.steps is not None:
        yield (*where, "steps"), "give epochs or steps, not both"
    if phase.weight_decay and train.optimizer.name == "adam":
        yield (
            (*where, "weight_decay"),
            "belongs to adamw or sgd, where it is decoupled; set train.optimizer.name: adamw",
        )
    if phase.unfreeze == "none" and phase.batch_norm == "adapt":
        yield (
            (*where, "batch_norm"),
            "adapts in trained blocks only, and unfreeze: none trains none",
        )
    if phase.epochs is not None and phase.schedule.warmup_epochs > phase.epochs:
        yield (
            (*where, "schedule", "warmup_epochs"),
            f"must be at most the phase's epochs ({phase.epochs}). "
            f"Received: {phase.schedule.warmup_epochs:g}",
        )


def _export(export: ExportConfig) -> Found:
    yield from _repeated(("export", "formats"), export.formats)
    yield from _repeated(("export", "warm_up", "signatures"), export.warm_up.signatures)
    yield from _repeated(("export", "warm_up", "batch_sizes"), export.warm_up.batch_sizes)


def _tune(tune: TuneConfig) -> Found:
    for path, searched in tune.space.items():
        where: Path = ("tune", "space", path)
        if isinstance(searched, Choices) and len(searched.choices) < 2:
            yield (*where, "choices"), "needs two values or more, else there is nothing to search"
        if isinstance(searched, Range):
            if searched.low >= searched.high:
                yield (*where, "high"), f"must be above low. Received: {searched.high:g}"
            if searched.log and searched.low <= 0:
                yield (*where, "low"), f"must be above 0 with log: true. Received: {searched.low:g}"


def _repeated(where: Path, values: tuple[Any, ...]) -> Found:
    for index, value in enumerate(values):
        if value in values[:index]:
            yield (*where, index), f"stands in the list twice. Received: {value}"
