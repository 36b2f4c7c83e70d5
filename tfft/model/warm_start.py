"""Heads that start as the rows of the classifier that the backbone was pretrained with."""

from collections.abc import Iterator

from tfft.backbones.source_classes import (
    has_source_classifier,
    source_classifier,
    source_names,
)
from tfft.config.model import BackboneConfig
from tfft.model.heads import Head


def starts_from_source(head: Head) -> bool:
    """Returns whether the recipe asks for the source's rows."""
    return head.config.kind == "classification" and head.config.init == "source_classes"


def warm_start_faults(head: Head, backbone: BackboneConfig) -> Iterator[str]:
    """Yields why a head that asks for the source's rows cannot have them."""
    if not starts_from_source(head):
        return
    if not has_source_classifier(backbone):
        yield (
            "source_classes needs a backbone whose source keeps its classifier: EfficientNetLite0 "
            "with weights: imagenet, or a run with one classification (pooling: avg). "
            f"Received: {backbone.model_dump(mode='json', exclude_defaults=True)}"
        )
        return
    if head.config.pooling != "avg":
        yield (
            "source_classes needs pooling: avg, as the source's classifier has it. "
            f"Received: pooling: {head.config.pooling}"
        )
    known = source_classifier(backbone).class_names
    _, faults = source_names(head.size.class_names, known, head.config.source_classes)
    yield from faults


def assign_source_rows(head: Head, backbone: BackboneConfig) -> None:
    """Sets the weights of a head without `warm_start_faults` to the source's rows."""
    classifier = source_classifier(backbone)
    found, _ = source_names(
        head.size.class_names, classifier.class_names, head.config.source_classes
    )
    rows = classifier.rows([found[name] for name in head.size.class_names])
    head.dense.kernel.assign(rows.kernel)
    head.dense.bias.assign(rows.bias)
