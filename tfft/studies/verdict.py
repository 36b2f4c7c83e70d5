"""A comparison in words: gain, no difference that can be shown, or negative transfer."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tfft.studies.results import Comparison, Results, Row

LEVEL = 0.05


@dataclass(frozen=True)
class Verdict:
    """What one comparison comes to.

    Attributes:
        kind: against scratch ``gain``, ``no_difference`` or ``negative_transfer``; among arms that
            transfer ``worse_than_best`` or ``no_difference``.
        arm: it is about; other: compared with; fraction: of the training images.
        text: in words, with the numbers behind it.
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
    return [verdict for fraction in results.fractions for verdict in _verdicts(results, fraction)]


def _verdicts(results: Results, fraction: float) -> list[Verdict]:
    with_scratch = [c for c in results.with_scratch if c.fraction == fraction]
    found = with_scratch or [c for c in results.with_best if c.fraction == fraction]
    return [_verdict(comparison, results, bool(with_scratch)) for comparison in found]


def _verdict(comparison: Comparison, results: Results, against_scratch: bool) -> Verdict:
    kind = _kind(comparison, against_scratch)
    text = f"{_where(comparison.fraction)}: {_sentence(kind, comparison, results)}"
    return Verdict(kind, comparison.arm, comparison.other, comparison.fraction, text)


def _kind(comparison: Comparison, against_scratch: bool) -> str:
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
    return (
        f"no difference that {_evidence(comparison, results)} can show between {arm} and {other} "
        f"({numbers})."
    )


def _numbers(comparison: Comparison, results: Results) -> str:
    rows = {row.arm: row for row in results.at(comparison.fraction)}
    difference = comparison.difference
    low, high = 100 * difference.low, 100 * difference.high
    scope = "" if difference.over_seeds else " for these two models; other seeds may differ"
    return (
        f"test top-1 {rows[comparison.arm].top1:.3f} against {rows[comparison.other].top1:.3f}, "
        f"difference {low:+.1f} to {high:+.1f} points at 95 %, "
        f"{_p_text(comparison.p_corrected)}{scope}"
    )


def _evidence(comparison: Comparison, results: Results) -> str:
    rows: Sequence[Row] = [
        row
        for row in results.at(comparison.fraction)
        if row.arm in (comparison.arm, comparison.other)
    ]
    seeds = min(row.seeds for row in rows)
    return f"{results.test_images:,} test images and {seeds} seed{'' if seeds == 1 else 's'}"


def _where(fraction: float) -> str:
    return "on all training data" if fraction == 1 else f"on {percent(fraction)} of the data"


def percent(fraction: float) -> str:
    """Returns a share in percent, as short as it is: ``5 %``."""
    return f"{100 * fraction:.3g} %"


def p_figure(p_value: float) -> str:
    """Returns a p-value as it stands in a table: ``0.031`` or ``<0.001``.

    Rounding does not take it to the other side of the level that verdicts have.
    """
    if p_value < 0.001:
        return "<0.001"
    figures = (f"{p_value:.{digits}g}" for digits in range(2, 18))
    return next(text for text in figures if (float(text) < LEVEL) == (p_value < LEVEL))


def _p_text(p_value: float) -> str:
    figure = p_figure(p_value)
    return f"p < {figure[1:]}" if figure.startswith("<") else f"p = {figure}"
