"""A comparison in words: a gain, no difference that can be shown, or negative transfer."""

from dataclasses import asdict, dataclass
from typing import Any

from tfft.studies.results import Comparison, Results
from tfft.system.readable import counted

LEVEL = 0.05


@dataclass(frozen=True)
class Verdict:
    """The conclusion of one comparison.

    Attributes:
        kind: Against scratch ``gain``, ``no_difference`` or ``negative_transfer``; among arms that
            transfer ``worse_than_best`` or ``no_difference``.
        arm: Name of the arm that is judged.
        other: Name of the arm that it is compared with.
        fraction: Share of the training images.
        text: The conclusion in words, with the numbers behind it.
    """

    kind: str
    arm: str
    other: str
    fraction: float
    text: str

    def to_json(self) -> dict[str, Any]:
        """Returns the verdict as JSON values."""
        return asdict(self)


def verdicts(results: Results) -> list[Verdict]:
    """Returns a verdict for each arm and fraction: against scratch, else against the best."""
    found = []
    for fraction in results.fractions:
        where = "on all training data" if fraction == 1 else f"on {percent(fraction)} of the data"
        with_scratch = [c for c in results.with_scratch if c.fraction == fraction]
        with_best = [c for c in results.with_best if c.fraction == fraction]
        for comparison in with_scratch or with_best:
            kind = _kind(comparison, against_scratch=bool(with_scratch))
            text = f"{where}: {_sentence(kind, comparison, results)}"
            if doubt := results.doubt(fraction):
                text = f"{text} But the best arm's top-1, {doubt}."
            found.append(Verdict(kind, comparison.arm, comparison.other, fraction, text))
    return found


def _kind(comparison: Comparison, *, against_scratch: bool) -> str:
    if comparison.p_corrected >= LEVEL:
        return "no_difference"
    if not against_scratch:
        return "worse_than_best"
    return "gain" if comparison.difference.mean > 0 else "negative_transfer"


def _sentence(kind: str, comparison: Comparison, results: Results) -> str:
    arm, other = comparison.arm, comparison.other
    points = abs(100 * comparison.difference.mean)
    numbers = _numbers(comparison, results)
    if kind == "gain":
        return f"gain. {arm} is {points:.1f} points better than {other} ({numbers})."
    if kind == "negative_transfer":
        return (
            f"NEGATIVE TRANSFER. {arm} is {points:.1f} points worse than {other}, which learned "
            f"the same images without transfer ({numbers}). Unfreeze more of the backbone, take "
            "one whose source is nearer to these images, or train from scratch."
        )
    if kind == "worse_than_best":
        return f"{arm} is {points:.1f} points worse than {other}, the best ({numbers})."
    rows = [row for row in results.at(comparison.fraction) if row.arm in (arm, other)]
    seeds = counted(min(row.seeds for row in rows), "seed")
    return (
        f"no difference that {results.test_images:,} test images and {seeds} can show between "
        f"{arm} and {other} ({numbers})."
    )


def _numbers(comparison: Comparison, results: Results) -> str:
    """Both top-1, the interval of their difference and its p-value."""
    rows = {row.arm: row for row in results.at(comparison.fraction)}
    difference = comparison.difference
    low, high = 100 * difference.low, 100 * difference.high
    scope = "" if difference.over_seeds else " for these two models; other seeds may differ"
    p_value = p_text(comparison.p_corrected)
    p_value = f"p < {p_value[1:]}" if p_value.startswith("<") else f"p = {p_value}"
    return (
        f"test top-1 {rows[comparison.arm].top1:.3f} against {rows[comparison.other].top1:.3f}, "
        f"difference {low:+.1f} to {high:+.1f} points at 95 %, "
        f"{p_value}{scope}"
    )


def percent(fraction: float) -> str:
    """Returns a share in percent, with up to three digits: ``5 %``."""
    return f"{100 * fraction:.3g} %"


def p_text(p_value: float) -> str:
    """Returns a p-value as a table shows it: ``0.031`` or ``<0.001``.

    Rounding never moves it across the level at which a difference counts as shown.
    """
    if p_value < 0.001:
        return "<0.001"
    rounded = (f"{p_value:.{digits}g}" for digits in range(2, 18))
    return next(text for text in rounded if (float(text) < LEVEL) == (p_value < LEVEL))
