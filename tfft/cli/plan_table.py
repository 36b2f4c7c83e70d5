"""The freeze plan as a table: blocks down, phases across."""

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from tfft.catalog.image_size import sides_text
from tfft.cli.output import new_table
from tfft.config.train import GradientPhase, Phase
from tfft.system.readable import counted, size_text

if TYPE_CHECKING:  # tfft.transfer.plan.plan starts TensorFlow; rendering a plan needs none
    from tfft.transfer.plan.plan import FreezePlan, PhasePlan

_SPLITS = ("train", "validation", "test")


def plan_table(plan: "FreezePlan") -> Table:
    """Returns a row for each block and head: its parameters and what each phase does to it."""
    images = ", ".join(
        f"{plan.images[split]:,} {split}" for split in _SPLITS if split in plan.images
    )
    title = f"{plan.backbone} at {sides_text(plan.size_px)} px, {images} images"
    table = new_table(["block"], ["parameters"], title)
    for phase in plan.phases:
        table.add_column(f"phase {phase.number}: {_length_text(phase.config)}")
    for position, block in enumerate(plan.blocks):
        cells = [_block_cell(phase, position, block.parameters) for phase in plan.phases]
        table.add_row(block.name, f"{block.parameters:,}", *cells)
    table.add_section()
    for head in plan.heads:
        own = head.learning_rate_factor
        cells = [_trained_text(phase.config, phase.head_factor * own) for phase in plan.phases]
        table.add_row(f"head {head.name}", f"{head.parameters:,}", *cells)
    return table


def plan_notes(plan: "FreezePlan") -> Text:
    """Returns a line for each phase: what it trains, where the cut is, what is cached and why."""
    notes = []
    for phase in plan.phases:
        where = f"cut after {phase.cut}" if phase.cut else "no cut"
        steps = f", {phase.steps_per_epoch:,} steps per epoch" if phase.steps_per_epoch else ""
        notes.append(
            f"phase {phase.number}: {phase.trained_parameters:,} parameters trained, {where}"
            f"{steps}; {_cache_text(phase)} ({phase.reason}){_engine_text(phase)}"
            f"{_seconds_text(phase)}"
        )
    if plan.runs_whole:
        notes.append(
            f"{plan.backbone} runs whole: it is one function that cannot be cut between its "
            "blocks, and with BatchNorm adapt its frozen blocks use the statistics of the batch too"
        )
    return Text("\n".join(notes))


def _length_text(phase: Phase) -> str:
    if not isinstance(phase, GradientPhase):
        return "solved"
    if phase.steps is not None:
        return counted(phase.steps, "step")
    return counted(phase.epochs or 0, "epoch")


def _block_cell(phase: "PhasePlan", position: int, parameters: int) -> str:
    trained = phase.trained_by_block[position]
    if position < phase.frozen_blocks or trained < min(parameters, 1):
        return "frozen ← cut" if position == phase.frozen_blocks - 1 else "frozen"
    mode = phase.config.batch_norm if isinstance(phase.config, GradientPhase) else "frozen"
    part = "" if trained == parameters else f"{trained:,} "
    text = _trained_text(phase.config, phase.block_factors[position])
    return f"{part}{text}, BatchNorm {mode}"


def _trained_text(phase: Phase, factor: float) -> str:
    if isinstance(phase, GradientPhase):
        return f"trained, lr {phase.learning_rate * factor:.3g}"
    return "solved"


def _cache_text(phase: "PhasePlan") -> str:
    if not phase.cached:
        return "nothing cached"
    shapes = " + ".join("x".join(map(str, shape)) for shape in phase.cut_shapes)
    return f"{shapes} numbers per image cached, {size_text(phase.cache_bytes)}"


def _engine_text(phase: "PhasePlan") -> str:
    """What computes the frozen part, if there is one."""
    if phase.engine is None:
        return ""
    name = {"xnnpack": "XNNPACK", "openvino": "OpenVINO", "keras": "Keras graph"}[phase.engine]
    return f"; frozen part: {name}" + (f" ({phase.engine_reason})" if phase.engine_reason else "")


def _seconds_text(phase: "PhasePlan") -> str:
    """The estimated time, if it was measured."""
    if phase.seconds is None:
        return ""
    cached, uncached = phase.seconds.cached, phase.seconds.uncached
    if cached is None:
        return f"; about {_time_text(uncached or 0)}"
    if uncached is None:
        return f"; about {_time_text(cached)} for the cache"
    return f"; about {_time_text(cached)} with the cache, {_time_text(uncached)} without"


def _time_text(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
