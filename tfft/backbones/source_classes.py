"""The classifier that a backbone was pretrained with, where it is published with the weights.

TensorFlow is needed only for the classifier of a run.
"""

import importlib.util
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfft.backbones.keras_models.run_classifier import classification_head, classifier_of_run
from tfft.backbones.lite.package import read_lite0_classifier
from tfft.config.model import BackboneConfig
from tfft.errors import BackboneError, nearest

# WordNet identifiers, as ImageNet names its classes; Stanford Dogs puts them before the breed.
_WNID = re.compile(r"(?<![^\W_])n\d{8}(?=$|\W|_)")
_IMAGENET_LABELS = Path("datasets") / "imagenet2012" / "labels.txt"


@dataclass(frozen=True, eq=False)
class SourceClassifier:
    """Rows of a linear classifier on average-pooled features.

    Attributes:
        kernel: float32 [features, classes].
        bias: float32 [classes].
        class_names: Names of the classes, in the same order.
    """

    kernel: np.ndarray
    bias: np.ndarray
    class_names: tuple[str, ...]

    def rows(self, names: Sequence[str]) -> "SourceClassifier":
        """Returns the classifier of some of the classes, in the order of `names`."""
        number = {name: position for position, name in enumerate(self.class_names)}
        chosen = [number[name] for name in names]
        return SourceClassifier(self.kernel[:, chosen], self.bias[chosen], tuple(names))


def has_source_classifier(config: BackboneConfig, head: str = "") -> bool:
    """Returns whether the source of the backbone's weights includes their classifier.

    Args:
        config: The `backbone` section of a recipe.
        head: Name of the head for which it is wanted, which a run of several heads may have too.
    """
    if config.kind == "keras":
        found = classification_head(Path(config.path), head)
        return config.weights == "pretrained" and found is not None
    return config.kind == "lite" and config.weights == "imagenet"


def source_classifier(config: BackboneConfig, head: str = "") -> SourceClassifier:
    """Returns the classifier that a backbone's weights were trained with.

    Args:
        config: The `backbone` section of a recipe.
        head: Name of the head for which it is wanted.

    Raises:
        BackboneError: The weights come without a classifier, or their package is not installed.
    """
    if not has_source_classifier(config, head):
        raise BackboneError(
            "the classifier that this backbone was trained with is not available. It is for "
            "EfficientNetLite0 with `weights: imagenet`, and for a run with one head of kind "
            "classification."
        )
    if config.kind == "keras":
        return SourceClassifier(*classifier_of_run(Path(config.path), head))
    classifier = read_lite0_classifier()
    return SourceClassifier(classifier.kernel, classifier.bias, imagenet_wnids())


def imagenet_wnids() -> tuple[str, ...]:
    """Returns the 1,000 classes of ImageNet 2012 as WordNet identifiers, in their usual order.

    Raises:
        BackboneError: The package tensorflow-datasets is not installed.

    Source: The labels of `imagenet2012` in TFDS, whose package is located but not imported.
    """
    found = importlib.util.find_spec("tensorflow_datasets")
    for directory in (found and found.submodule_search_locations) or ():
        labels = Path(directory) / _IMAGENET_LABELS
        if labels.is_file():
            return tuple(labels.read_text(encoding="utf-8").split())
    raise BackboneError("tensorflow-datasets is not installed as a package with its labels")


def source_names(
    class_names: Sequence[str],
    known: Sequence[str],
    mapping: Mapping[str, str],
    *,
    others_are_new: bool = False,
) -> tuple[dict[str, str], list[str]]:
    """Finds the source's class of each target class.

    A class is found by the explicit `mapping`, by an equal name, or by the WordNet identifier in
    its name (``n02085620-chihuahua``).

    Args:
        class_names: Class names of the target data.
        known: Class names of the source.
        mapping: Source class of each target class that the recipe maps explicitly.
        others_are_new: Whether it is no fault that a class, unless it is mapped, is none of the
            source's.

    Returns:
        The source class of each target class that has one, and a line for each fault.
    """
    allowed, found, faults = set(known), {}, []
    for name in class_names:
        wnid = _WNID.search(name)
        candidates = [mapping[name]] if name in mapping else [name, *([wnid[0]] if wnid else [])]
        source = next((candidate for candidate in candidates if candidate in allowed), None)
        if source is None and others_are_new and name not in mapping:
            continue
        if source is None:
            faults.append(f"{name!r} is not a class of the source.{nearest(candidates[-1], known)}")
        else:
            found[name] = source
    faults += [
        f"the mapping names {name!r}, which is not a class of the data.{nearest(name, class_names)}"
        for name in mapping
        if name not in set(class_names)
    ]
    return found, faults
