"""The freeze plan of a run as a figure: which block is trained in which phase."""

from collections.abc import Mapping, Sequence
from typing import Any

from tfft.reports.drawing import Drawing, Figure, Scale

_WIDTH = 960
_LEFT, _RIGHT = 168, 150
_BARS = 84
_ROW, _GAP = 46, 10
_NAMES = 84


def plan_figure(plan: Mapping[str, Any]) -> Figure:
    """Draws the freeze plan.

    Args:
        plan: Content of ``plan.json``, as `FreezePlan.to_json` gives it.
    """
    blocks, heads, phases = plan["blocks"], plan["heads"], plan["phases"]
    parts = [*blocks, *heads]
    height = _BARS + len(phases) * (_ROW + _GAP) + _NAMES + 8
    drawing = Drawing(_WIDTH, height)
    scale = Scale(0, len(parts), _LEFT, _WIDTH - _RIGHT)
    _bars(drawing, scale, parts, len(blocks))
    for row, phase in enumerate(phases):
        _phase(drawing, scale, _BARS + row * (_ROW + _GAP), phase, blocks, heads)
    bottom = _BARS + len(phases) * (_ROW + _GAP)
    for k, part in enumerate(parts):
        drawing.text(scale(k + 0.5) + 4, bottom + 6, part["name"], "tick", "end", turn=-50)
    drawing.text(_LEFT, height - 6, "input", "tick strong")
    drawing.text(_WIDTH - _RIGHT, height - 6, "output", "tick strong", "end")
    return drawing.figure("freeze-plan", "Freeze plan", _description(phases, len(blocks)))


def _bars(drawing: Drawing, scale: Scale, parts: Sequence[Any], blocks: int) -> None:
    """Draws the parameters of each part as bars above the rows."""
    most = max((part["parameters"] for part in parts), default=0)
    y = Scale(0, most, _BARS - 14, 22)
    drawing.text(_LEFT - 12, _BARS - 16, "parameters", "tick", "end")
    drawing.text(_WIDTH - _RIGHT + 12, 30, f"{most:,} at most", "tick")
    for k, part in enumerate(parts):
        top = y(part["parameters"])
        drawing.rect(
            scale(k) + 3,
            min(top, _BARS - 16),
            scale(1) - scale(0) - 6,
            max(_BARS - 14 - top, 2),
            "bar head" if k >= blocks else "bar",
            f"{part['name']}: {part['parameters']:,} parameters",
        )


def _phase(
    drawing: Drawing,
    scale: Scale,
    top: float,
    phase: Mapping[str, Any],
    blocks: Sequence[Any],
    heads: Sequence[Any],
) -> None:
    drawing.text(_LEFT - 12, top + 19, f"phase {phase['number']}", "label strong", "end")
    drawing.text(_LEFT - 12, top + 36, _length(phase), "tick", "end")
    trained = [*phase["trained_by_block"], *(head["parameters"] for head in heads)]
    of_heads = [phase["head_factor"] * head["learning_rate_factor"] for head in heads]
    factors = [*phase["block_factors"], *of_heads]
    of_trained = (factor for factor, count in zip(factors, trained, strict=True) if count)
    most = max(of_trained, default=1.0) or 1.0
    rate = phase["config"].get("learning_rate")
    for k, (part, count, factor) in enumerate(
        zip([*blocks, *heads], trained, factors, strict=True)
    ):
        tip = (
            f"{part['name']}: {count:,} parameters trained" if count else f"{part['name']}: frozen"
        )
        tip += f", learning rate {rate * factor:.3g}" if count and rate else ""
        drawing.rect(
            scale(k) + 1.5,
            top,
            scale(1) - scale(0) - 3,
            _ROW,
            "cell trained" if count else "cell frozen",
            tip,
            fill_opacity=f"{0.3 + 0.7 * (factor / most) ** 0.5:.2f}" if count else "1",
        )
    if phase["frozen_blocks"]:
        x = scale(phase["frozen_blocks"])
        drawing.line(x, top - 4, x, top + _ROW + 4, "cut")
    drawing.text(_WIDTH - _RIGHT + 12, top + 19, f"{phase['trained_parameters']:,}", "label strong")
    drawing.text(_WIDTH - _RIGHT + 12, top + 36, "parameters trained", "tick")


def _length(phase: Mapping[str, Any]) -> str:
    if phase["config"]["solver"] == "linear":
        return "heads solved"
    if phase["config"].get("steps"):
        return f"{phase['steps']:,} steps"
    epochs = phase["config"]["epochs"]
    return f"{epochs} epoch{'' if epochs == 1 else 's'}"


def _description(phases: Sequence[Any], blocks: int) -> str:
    sentences = []
    for phase in phases:
        trained = sum(1 for count in phase["trained_by_block"] if count)
        what = {0: "the heads only", blocks: "all blocks and the heads"}.get(
            trained, f"{trained} of {blocks} blocks and the heads"
        )
        sentences.append(
            f"Phase {phase['number']} trains {what}: {phase['trained_parameters']:,} parameters."
        )
    return " ".join(sentences)
