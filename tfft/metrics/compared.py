"""Two classifiers on the same images: which of them is right more often, and where."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from tfft.errors import DataError
from tfft.metrics.classification import classification_metrics
from tfft.metrics.intervals import Interval, mean_interval
from tfft.metrics.paired import holm, mcnemar, paired_interval
from tfft.system.readable import counted

_SMALLEST = 1e-12


@dataclass(frozen=True)
class ComparedClass:
    """One class of a head, on the images that are compared.

    Attributes:
        label: Name of the class.
        examples: Number of its images.
        old: Share of them that the old model gets right; None if it does not know the class.
        new: Share of them that the new model gets right, likewise.
        only_old: Number of them that only the old model gets right.
        only_new: Number of them that only the new model gets right.
        p_value: P-value of McNemar's exact test, corrected for the number of classes (Holm); None
            where one of the models does not know the class.
    """

    label: str
    examples: int
    old: float | None
    new: float | None
    only_old: int
    only_new: int
    p_value: float | None


@dataclass(frozen=True, eq=False)
class ComparedHead:
    """One head of both models, on images of classes that both know.

    Attributes:
        examples: Number of these images.
        old: Metrics of the old model on them, as `classification_metrics` gives them.
        new: Metrics of the new model.
        difference: Top-1 accuracy of the new model minus that of the old one.
        interval: Its 95 % interval over images.
        p_value: P-value of McNemar's exact test that they are equally often right.
        loss_difference: Mean cross-entropy of the new model minus that of the old one.
        loss_interval: Its 95 % interval over images; None of a single image.
        only_old: Names of the images that only the old model gets right.
        only_new: Names of the images that only the new model gets right.
        classes: Every class with images; those that one model does not know too, whose images do
            not count for the rest.
    """

    examples: int
    old: dict[str, Any]
    new: dict[str, Any]
    difference: float
    interval: Interval
    p_value: float
    loss_difference: float
    loss_interval: Interval | None
    only_old: tuple[str, ...]
    only_new: tuple[str, ...]
    classes: tuple[ComparedClass, ...]

    @property
    def verdict(self) -> str:
        """What is shown: ``better``, ``worse``, or ``not shown`` for no difference."""
        if self.interval.low > 0:
            return "better"
        return "worse" if self.interval.high < 0 else "not shown"

    def text(self) -> str:
        """Returns the verdict as a sentence, the difference in percentage points."""
        says = {
            "better": "the new model is better",
            "worse": "the new model is worse",
            "not shown": "no difference that these images can show",
        }[self.verdict]
        low, high = (100 * end for end in self.interval)
        return (
            f"{says}: {100 * self.difference:+.1f} points of top-1, 95 % interval {low:+.1f} to "
            f"{high:+.1f}, on {counted(self.examples, 'image')} (McNemar's p = {self.p_value:.2g})"
        )

    def to_json(self) -> dict[str, Any]:
        values = {name: value for name, value in vars(self).items() if name != "classes"}
        classes = [asdict(each) for each in self.classes]
        return _plain({**values, "classes": classes, "verdict": self.verdict, "text": self.text()})


def compared_head(
    ids: Sequence[str],
    labels: np.ndarray,
    names: Sequence[str],
    class_names: Sequence[Sequence[str]],
    outputs: Sequence[np.ndarray],
) -> ComparedHead:
    """Compares what a head of an old model and of a new one says of the same images.

    Args:
        ids: Names of n images.
        labels: int64 [n], their classes as the data number them.
        names: Names of the data's classes.
        class_names: Names of the classes of the old model and of the new one, by their numbers.
        outputs: Probabilities of the old model and of the new one, float32 [n, classes].

    Raises:
        DataError: A class of the images is known to neither model, or none to both.
    """
    truths = [_numbered(labels, names, known) for known in class_names]
    old_right, new_right = (
        (answers.argmax(axis=1) == truth) & (truth >= 0)
        for answers, truth in zip(outputs, truths, strict=True)
    )
    both = np.flatnonzero((truths[0] >= 0) & (truths[1] >= 0))
    neither = np.unique(labels[(truths[0] < 0) & (truths[1] < 0)])
    strangers = [names[int(label)] for label in neither]
    if strangers:
        raise DataError(
            f"neither model knows {len(strangers)} of the classes of these images: "
            f"{', '.join(strangers[:5])}. Remove them, or give a labels file (--labels)"
        )
    if not len(both):
        raise DataError(
            "there is nothing to compare: no class of these images, such as "
            f"{names[labels[0]]!r}, is known to both models"
        )
    old, new = (
        classification_metrics(answers[both], truth[both], known)
        for answers, truth, known in zip(outputs, truths, class_names, strict=True)
    )
    losses = [
        -np.log(np.maximum(answers[both, truth[both]].astype(np.float64), _SMALLEST))
        for answers, truth in zip(outputs, truths, strict=True)
    ]
    loss_by_image = losses[1] - losses[0]
    only_old, only_new = (
        both[(one & ~other)[both]]
        for one, other in ((old_right, new_right), (new_right, old_right))
    )
    return ComparedHead(
        examples=len(both),
        old=old,
        new=new,
        difference=(len(only_new) - len(only_old)) / len(both),
        interval=paired_interval(len(only_new), len(only_old), len(both)),
        p_value=mcnemar(old_right[both], new_right[both]),
        loss_difference=float(loss_by_image.mean()),
        loss_interval=mean_interval(loss_by_image),
        only_old=tuple(ids[int(k)] for k in only_old),
        only_new=tuple(ids[int(k)] for k in only_new),
        classes=_compared_classes(labels, names, truths, old_right, new_right),
    )


def _numbered(labels: np.ndarray, names: Sequence[str], known: Sequence[str]) -> np.ndarray:
    """Returns a model's numbers of the classes of images, int64 [n]; -1 where it has none."""
    numbers = {name: number for number, name in enumerate(known)}
    return np.array([numbers.get(name, -1) for name in names], np.int64)[labels]


def _compared_classes(
    labels: np.ndarray,
    names: Sequence[str],
    truths: Sequence[np.ndarray],
    old_right: np.ndarray,
    new_right: np.ndarray,
) -> tuple[ComparedClass, ...]:
    """Returns the accuracy of both models on the images of each class that has some."""
    found = []
    for label in map(int, np.unique(labels)):
        of_class = labels == label
        old, new = old_right[of_class], new_right[of_class]
        knows = [bool((truth[of_class] >= 0).all()) for truth in truths]
        found.append(
            ComparedClass(
                label=names[label],
                examples=int(of_class.sum()),
                old=float(old.mean()) if knows[0] else None,
                new=float(new.mean()) if knows[1] else None,
                only_old=int((old & ~new).sum()),
                only_new=int((new & ~old).sum()),
                p_value=mcnemar(old, new) if all(knows) else None,
            )
        )
    values = [each.p_value for each in found if each.p_value is not None]
    corrected = iter(holm(values))
    return tuple(
        each if each.p_value is None else replace(each, p_value=next(corrected)) for each in found
    )


def _plain(value: Any) -> Any:
    """Returns JSON values: intervals and tuples as lists."""
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value
