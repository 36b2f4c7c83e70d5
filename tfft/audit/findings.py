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
_FAR = 2.75
# A flaw that this share of the images has is what the set is like, and said once.
_COMMON = 0.2
# Where a copy stays, if it is in several splits: in the first of these.
_SPLITS_THAT_KEEP = ("test", "validation", "train", "unused")
# Images that a copy is like and that are named with it.
_NAMED = 20
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
        like: Names of images that it is a copy of, the most alike first, some of many.
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

    def are_equal(self, position: int, other: int) -> bool:
        """Says whether two images are the same, byte for byte."""
        return bool((self.keys[position] == self.keys[other]).all())

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


def all_findings(
    seen: Seen, errors: LabelErrors, copies: Sequence[Copies]
) -> tuple[tuple[Finding, ...], list[str]]:
    """Returns all findings in the order in which they are worth looking at, and remarks on the set.

    An image that is a copy under two labels is not listed once more for its label.
    """
    of_copies = list(_of_copies(seen, copies))
    certain = {found.position for found in of_copies if found.kind == "two_labels"}
    of_labels = [found for found in _of_labels(seen, errors) if found.position not in certain]
    of_looks, remarks = _of_looks(seen)
    order = list(KINDS)
    found = sorted(
        [*of_copies, *of_labels, *_outliers(seen), *of_looks], key=lambda one: order.index(one.kind)
    )
    return tuple(found), remarks


def _of_labels(seen: Seen, errors: LabelErrors) -> Iterator[Finding]:
    """Yields likely wrong labels, the likeliest first."""
    found = zip(errors.suspects.tolist(), errors.suggested.tolist(), strict=True)
    for position, suggested in found:
        label = int(seen.labels[position])
        of_suggested, of_label = seen.probabilities[position, [suggested, label]]
        reason = (
            f"looks like {seen.class_names[suggested]} ({100 * of_suggested:.0f} %), "
            f"not like {seen.class_names[label]} ({100 * of_label:.1f} %)"
        )
        yield seen.finding("wrong_label", position, reason, suggested=suggested)


def _of_copies(seen: Seen, groups: Sequence[Copies]) -> Iterator[Finding]:
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
        for position in members[~right].tolist():
            equal = (seen.keys[members[right]] == seen.keys[position]).all(axis=1)
            like = members[right][np.argsort(~equal, kind="stable")].tolist()
            if likely is None or _is_doubtful(seen, position, like[0], likely):
                reason = _copy_reason(seen, position, like[0], kind)
                yield seen.finding(kind, position, reason, suggested=likely, like=like[:_NAMED])


def _of_looks(seen: Seen) -> tuple[list[Finding], list[str]]:
    """Returns images that are hard to see, the worst of a kind first, and remarks on the set."""
    looks = seen.looks
    shorter = np.minimum(looks.measure("height"), looks.measure("width"))
    found, notes = [], []
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
    if not median or not deviation:
        return []
    far = np.flatnonzero(known > median + _FAR * deviation)
    return [
        seen.finding(
            "outlier",
            position,
            f"unlike all others: {known[position] / median:.1f} times as far from the nearest as "
            "most images are",
        )
        for position in far[np.argsort(-known[far], kind="stable")].tolist()
    ]


def _largest(seen: Seen, members: np.ndarray) -> int:
    looks = seen.looks.take(members)
    return int(np.argmax(looks.measure("height") * looks.measure("width")))


def _is_doubtful(seen: Seen, position: int, other: int, likely: int) -> bool:
    """Says whether a copy under another label is one: photos that heads tell apart are not."""
    said = seen.probabilities[position]
    return seen.are_equal(position, other) or said[likely] > said[seen.labels[position]]


def _copy_reason(seen: Seen, position: int, other: int, kind: str) -> str:
    like = "the same file as" if seen.are_equal(position, other) else "looks like"
    text = f"{like} {seen.index.ids[other]}"
    if kind == "two_labels":
        return f"{text}, which is labelled {seen.class_names[seen.labels[other]]}"
    if kind == "across_splits":
        return f"{text}, a {_SPLIT_NAMES.get(seen.splits[other], seen.splits[other])} image"
    return text
