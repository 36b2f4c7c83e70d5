"""What an audit finds of single images, in the order in which a person should look at it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfft.audit.copies import Copies
from tfft.audit.label_errors import LabelErrors
from tfft.data.index import ImageIndex
from tfft.data.looks import Looks

# Kinds of findings, in the order in which they are listed: first what can be said for certain or
# changes what a model learns, then what a person decides.
KINDS = {
    "two_labels": "copies under two labels",
    "wrong_label": "likely wrong labels",
    "across_splits": "copies in two splits",
    "outlier": "unlike all others",
    "dark": "dark",
    "blurred": "blurred",
    "tiny": "tiny",
    "uniform": "nearly uniform",
    "copy": "copies within a split",
}
# The lightest hundredth of the pixels of a dark image is below this share of white; the darkest
# hundredth of photos of flowers and dogs reaches 0.55.
_DARK = 0.3
# Luma of a nearly uniform image deviates by less than this share of white from its mean; of the
# flattest hundredth of the same photos by 0.1.
_UNIFORM = 0.04
# Blur effect from which on an image is blurred: the sharpest photos have 0.2, nine of ten of those
# blurred with a deviation of 2 of 256 pixels 0.6.
_BLURRED = 0.62
# The shorter side of a tiny image is less than this share of what the model takes.
_TINY = 0.5
# Median absolute deviations by which an outlier is farther from its neighbours than the median.
_FAR = 3.5
# A flaw that this share of the images has is what the set is like, and said once.
_COMMON = 0.2
# Where a copy stays, if it is in several splits: in the first of these.
_SPLITS_THAT_KEEP = ("test", "validation", "train", "unused")
_SPLIT_NAMES = {"train": "training"}


@dataclass(frozen=True)
class Finding:
    """What looks wrong with one image.

    Attributes:
        kind: ``two_labels``, ``wrong_label``, ``across_splits``, ``outlier``, ``dark``,
            ``blurred``, ``tiny``, ``uniform`` or ``copy``.
        position: Position of the image among all images of the audit.
        path: Name of the image, as its source has it.
        split: Split that it is in.
        label: Name of the class that it is labelled with.
        suggested: Name of the class that it more likely has; "" where the label is not in doubt.
        probability: Out-of-fold probability of the suggested class, or else of the label, 0..1.
        reason: What looks wrong, as a sentence for a person.
        like: Names of other images that it is a copy of.
    """

    kind: str
    position: int
    path: str
    split: str
    label: str
    suggested: str
    probability: float
    reason: str
    like: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Returns the finding as JSON values, without its position."""
        return {
            "kind": self.kind,
            "path": self.path,
            "split": self.split,
            "label": self.label,
            "suggested": self.suggested or None,
            "probability": round(self.probability, 6),
            "reason": self.reason,
            "like": list(self.like),
        }


@dataclass(frozen=True, eq=False)
class Seen:
    """All that is known of N images.

    Attributes:
        index: The images.
        keys: What decides the pixels of each, uint8 [N, 32].
        splits: Split of each.
        labels: Class of each, int64 [N].
        class_names: Names of the classes.
        probabilities: Out-of-fold probabilities, float32 [N, classes].
        looks: What they look like.
        distances: How far each is from the images nearest to it, float32 [N].
        size_px: Shorter side of what the model takes, in pixels.
    """

    index: ImageIndex
    keys: np.ndarray
    splits: Sequence[str]
    labels: np.ndarray
    class_names: Sequence[str]
    probabilities: np.ndarray
    looks: Looks
    distances: np.ndarray
    size_px: int

    def finding(
        self,
        kind: str,
        position: int,
        reason: str,
        *,
        suggested: int | None = None,
        like: Sequence[int] = (),
    ) -> Finding:
        """Returns a finding about one image; classes and images are given by their numbers."""
        label = int(self.labels[position])
        shown = label if suggested is None else suggested
        return Finding(
            kind,
            position,
            self.index.ids[position],
            self.splits[position],
            self.class_names[label],
            "" if suggested is None else self.class_names[suggested],
            float(self.probabilities[position, shown]),
            reason,
            tuple(self.index.ids[other] for other in like),
        )


def label_findings(seen: Seen, errors: LabelErrors) -> Iterator[Finding]:
    """Yields likely wrong labels, the likeliest first."""
    for position, suggested in zip(
        errors.suspects.tolist(), errors.suggested.tolist(), strict=True
    ):
        of_suggested, of_label = seen.probabilities[position, [suggested, seen.labels[position]]]
        reason = (
            f"looks like {seen.class_names[suggested]} ({100 * of_suggested:.0f} %), "
            f"not like {seen.class_names[seen.labels[position]]} ({100 * of_label:.1f} %)"
        )
        yield seen.finding("wrong_label", position, reason, suggested=suggested)


def copy_findings(seen: Seen, groups: Sequence[Copies]) -> Iterator[Finding]:
    """Yields of each group of copies those that should be relabelled or can be removed."""
    for group in groups:
        members = np.array(group.positions)
        labels = seen.labels[members]
        places = [_SPLITS_THAT_KEEP.index(seen.splits[position]) for position in group.positions]
        likely: int | None = None
        if len(np.unique(labels)) > 1:
            kind = "two_labels"
            means = seen.probabilities[members].mean(axis=0)
            likely = int(max(np.unique(labels), key=lambda label: means[label]))
            right = labels == likely
        elif len(set(places)) > 1:
            kind, right = "across_splits", np.array(places) == min(places)
        else:
            kind, right = "copy", np.arange(len(members)) == _largest(seen, members)
        others = members[right].tolist()
        for position in members[~right].tolist():
            yield seen.finding(
                kind,
                position,
                _copy_reason(seen, position, others, kind),
                suggested=likely,
                like=others,
            )


def look_findings(seen: Seen) -> tuple[list[Finding], list[str]]:
    """Returns images that are unlike others or hard to see, worst first, and remarks on the set."""
    looks = seen.looks
    shorter = np.minimum(looks.measure("height"), looks.measure("width"))
    found, notes = _outliers(seen), []
    measured: Mapping[str, tuple[np.ndarray, float, str]] = {
        "dark": (looks.measure("lightest"), _DARK, "its lightest pixels have {:.2f} of white"),
        "blurred": (-looks.measure("blur"), -_BLURRED, "blurred: a blur effect of {:.2f}"),
        "tiny": (
            shorter,
            _TINY * seen.size_px,
            f"its shorter side has {{:.0f}} pixels, and the model takes {seen.size_px}",
        ),
        "uniform": (
            looks.measure("spread"),
            _UNIFORM,
            "nearly one shade: its luma varies by {:.3f}",
        ),
    }
    for kind, (values, below, text) in measured.items():
        flawed = np.flatnonzero(values < below)
        if len(flawed) > _COMMON * len(values):
            notes.append(f"{len(flawed):,} of {len(values):,} images are {kind}: not listed")
            continue
        for position in flawed[np.argsort(values[flawed], kind="stable")].tolist():
            reason = text.format(abs(float(values[position])))
            found.append(seen.finding(kind, position, reason))
    return found, notes


def _outliers(seen: Seen) -> list[Finding]:
    known = np.nan_to_num(seen.distances, nan=0.0)
    median = float(np.median(known))
    deviation = 1.4826 * float(np.median(np.abs(known - median)))
    far = np.flatnonzero(known > median + _FAR * deviation) if deviation > 0 else []
    return [
        seen.finding(
            "outlier",
            position,
            f"unlike all others: {known[position] / median:.1f} times as far from the nearest as "
            "most images are",
        )
        for position in sorted(far, key=lambda position: -known[position])
    ]


def _largest(seen: Seen, members: np.ndarray) -> int:
    looks = seen.looks.take(members)
    return int(np.argmax(looks.measure("height") * looks.measure("width")))


def _copy_reason(seen: Seen, position: int, others: Sequence[int], kind: str) -> str:
    same = [other for other in others if (seen.keys[other] == seen.keys[position]).all()]
    other = (same or others)[0]
    text = f"{'the same file as' if same else 'looks like'} {seen.index.ids[other]}"
    if kind == "two_labels":
        return f"{text}, which is labelled {seen.class_names[seen.labels[other]]}"
    if kind == "across_splits":
        return f"{text}, a {_SPLIT_NAMES.get(seen.splits[other], seen.splits[other])} image"
    return text
