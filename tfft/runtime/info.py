"""The description that every saved model carries, so that it can be used without its run."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from tfft.errors import ModelFileError
from tfft.images.spec import PixelSpec
from tfft.system.formats import MODEL, described
from tfft.system.names import UNLIKENESS, is_name

FILE_NAME = "tfft.json"
# In the description of an export: SHA-256 of its saved_model.pb, or of a .tflite file without the
# archive at its end.
DIGEST_KEY = "model_sha256"
# Keys of the `data` section with paths on the machine that trained.
PLACES = ("path", "data_dir", "archives", "split_like", "labels")


_KINDS = ("classification", "multi_label", "regression", "box")
# What exports say beside what their run says: which of them they are.
_OF_EXPORT = ("export_version", "run", "weights_sha256", "default_signature")
# What an operating point may be chosen for.
Goal = Literal["precision", "recall"]
GOALS: tuple[Goal, ...] = get_args(Goal)
# What a model may take, by the `kind` of its `input`.
_INPUTS = {"image": PixelSpec}


@dataclass(frozen=True)
class OperatingPoint:
    """The threshold at which a class matters, and what it was chosen for on validation images.

    Attributes:
        label: Name of the class or label.
        threshold: Probability above which an image is said to be of it, 0..1.
        goal: ``precision`` or ``recall``.
        at_least: Share that the goal has to reach, 0..1.

    Raises:
        ValueError: The threshold is no probability that can be exceeded.
    """

    label: str
    threshold: float
    goal: Goal
    at_least: float

    def __post_init__(self) -> None:
        if not 0.0 <= self.threshold < 1.0:
            raise ValueError(f"a threshold is at least 0 and below 1. Received: {self.threshold}")


@dataclass(frozen=True)
class HeadInfo:
    """One output of a model.

    Attributes:
        kind: ``classification``, ``multi_label``, ``regression`` or ``box``.
        class_names: Class names in the order of the logits; empty where there are no classes.
        target: Name in the data of the value that is predicted.
        temperature: Number by which the logits of a classification are divided before softmax.
        thresholds: Probability above which each label of a multi_label head applies, chosen on
            validation images; empty: one half for all.
        operating_points: Thresholds that a person asked for, in place of these: of any labels of a
            multi_label head, of one class of a classification. They hold at the temperature.

    Raises:
        ValueError: There is no such kind of head, or the thresholds or operating points are not
            those of its labels.
    """

    kind: str
    class_names: tuple[str, ...]
    target: str
    temperature: float = 1.0
    thresholds: tuple[float, ...] = ()
    operating_points: tuple[OperatingPoint, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise ValueError(f"a head is one of {', '.join(_KINDS)}. Received: {self.kind}")
        if self.thresholds and len(self.thresholds) != len(self.class_names):
            raise ValueError(
                f"{len(self.thresholds)} thresholds are not those of {len(self.class_names)} labels"
            )
        labels = [point.label for point in self.operating_points]
        if len(set(labels)) < len(labels) or not set(labels) <= set(self.class_names):
            raise ValueError(f"operating points of {labels} are not those of its classes")
        if self.kind == "classification" and len(labels) > 1:
            raise ValueError(f"one class of a classification has an operating point, not {labels}")

    def threshold(self, label: int) -> float:
        """Returns the probability above which a label applies."""
        for point in self.operating_points:
            if point.label == self.class_names[label]:
                return point.threshold
        return self.thresholds[label] if self.thresholds else 0.5


@dataclass(frozen=True)
class UnsureInfo:
    """From where on a model is unsure, as an example is unlike those that it was trained on.

    Attributes:
        keep: Share of known examples that are to lie within the threshold, 0..1.
        threshold: Distance of the features, at unit length, above which the model is unsure.
        examples: Number of validation examples that it was set on.

    Raises:
        ValueError: The threshold is no distance.
    """

    keep: float
    threshold: float
    examples: int

    def __post_init__(self) -> None:
        if not 0.0 < self.threshold < math.inf:
            raise ValueError(f"a threshold is a distance above 0. Received: {self.threshold}")


@dataclass(frozen=True)
class ModelInfo:
    """A saved model's own description.

    Attributes:
        name: Name of the export or run.
        input: What it takes. Of images: how encoded ones become float32
            [batch, height, width, channels], 0..255.
        heads: Its outputs by name.
        backbone: Name of its backbone.
        licence: Licence of the backbone's weights, as their source states it.
        data: The resolved `data` section of the recipe; in exports without its `PLACES`.
        tfft_version: Version of tfft that wrote the description.
        created: Time of writing, ISO 8601, UTC.
        unsure: From where on it is unsure; None: it does not measure how unlike its training
            examples one is.
        splits: File with the split of each image of the data, where one lies beside the
            description; not a part of it.
        export_version: Number of the export; None in runs, and in exports of older versions.
        run: Name of the directory of the run that was exported, without the path to it; None where
            `export_version` is.
        weights_sha256: Digest of the values of the Keras model that was exported, the same in all
            its exports and forms (`tfft.exports.identity`); None where `export_version` is.
        default_signature: The signature that ``serving_default`` of a SavedModel is another name
            of, ``serve_uint8`` or ``serve_bytes``; None where it takes float32 pixels.

    Raises:
        ValueError: A head's name is not one that a recipe may give.
    """

    name: str
    input: PixelSpec
    heads: dict[str, HeadInfo]
    backbone: str
    licence: str | None
    data: dict[str, Any] | None
    tfft_version: str
    created: str
    unsure: UnsureInfo | None = None
    splits: Path | None = field(default=None, compare=False)
    export_version: int | None = None
    run: str | None = None
    weights_sha256: str | None = None
    default_signature: Literal["serve_uint8", "serve_bytes"] | None = None

    def __post_init__(self) -> None:
        for name in self.heads:
            if not is_name(name):
                raise ValueError(f"no head can have the name {name!r}")
        if self.unsure is not None and UNLIKENESS in self.heads:
            raise ValueError(f"a head has the name of the output {UNLIKENESS}")

    def to_json(self) -> dict[str, Any]:
        """Returns the description as JSON values, with the number of their format."""
        kind = next(kind for kind, spec in _INPUTS.items() if isinstance(self.input, spec))
        described = asdict(self) | {"input": {"kind": kind, **self.input.to_json()}}
        del described["splits"]
        for key in _OF_EXPORT:
            if described[key] is None:
                del described[key]
        return MODEL.stamped(described)

    def to_export_json(self) -> dict[str, Any]:
        """Returns the description that exports carry: for strangers, without places.

        It also says `pixels`, as format 0 did, for clients from before format 1.
        """
        return self.without_places().to_json() | {"pixels": self.pixels.to_json()}

    @property
    def pixels(self) -> PixelSpec:
        """How encoded images become the model's input."""
        return self.input

    @property
    def temperatures(self) -> dict[str, float]:
        """The temperature of each head."""
        return {name: head.temperature for name, head in self.heads.items()}

    def at_temperatures(self, temperatures: Mapping[str, float]) -> "ModelInfo":
        """Returns the description with other temperatures; a head that is not named gets 1.

        Operating points hold at one temperature: a head that gets another one loses its own.
        """
        heads = {}
        for name, head in self.heads.items():
            temperature = temperatures.get(name, 1.0)
            points = head.operating_points if temperature == head.temperature else ()
            heads[name] = replace(head, temperature=temperature, operating_points=points)
        return replace(self, heads=heads)

    def as_trained(self) -> "ModelInfo":
        """Returns the description without what was chosen after the training.

        Two descriptions of one model are equal in this form, whichever of them is calibrated.
        """
        return self.with_operating_points({}).at_temperatures({})

    def with_operating_points(
        self, points: Mapping[str, tuple[OperatingPoint, ...]]
    ) -> "ModelInfo":
        """Returns the description with other operating points, by head; others have none."""
        heads = {
            name: replace(head, operating_points=points.get(name, ()))
            for name, head in self.heads.items()
        }
        return replace(self, heads=heads)

    def with_thresholds(self, thresholds: Mapping[str, tuple[float, ...]]) -> "ModelInfo":
        """Returns the description with thresholds of labels, by head; others have none."""
        heads = {
            name: replace(head, thresholds=thresholds.get(name, ()))
            for name, head in self.heads.items()
        }
        return replace(self, heads=heads)

    def without_places(self) -> "ModelInfo":
        """Returns the description for others, without paths of the machine that trained."""
        data = self.data and {k: None if k in PLACES else v for k, v in self.data.items()}
        return replace(self, data=data, splits=None)

    @classmethod
    def from_json(cls, values: Mapping[str, Any], source: str) -> "ModelInfo":
        """Returns the description from the JSON values of `to_json`, also of older formats.

        Keys that are not known are passed over.

        Args:
            values: JSON values.
            source: File that they come from, for the error message.

        Raises:
            NewerFormatError: A newer version of tfft wrote them.
            ModelFileError: A key is missing or has a wrong value, or the input is of a kind that
                this version does not know.
        """
        current = MODEL.checked(values, source)
        kind = current["input"]["kind"] if isinstance(current["input"], dict) else None
        if not isinstance(kind, str) or kind not in _INPUTS:
            raise ModelFileError(
                f"{source} does not describe a model of tfft: its input is of kind {kind!r}, and "
                f"known are {', '.join(_INPUTS)}"
            )
        return described(cls, {**current, "splits": None}, source, MODEL.what)
