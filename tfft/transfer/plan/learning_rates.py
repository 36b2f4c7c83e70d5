"""Learning rates: over the steps of a phase, and by block."""

import numpy as np

from tfft.config.train import GradientPhase, Schedule


def learning_rates(
    highest: float, schedule: Schedule, *, steps: int, steps_per_epoch: int
) -> np.ndarray:
    """Returns the learning rate of each step of a phase, float32 [steps].

    The rate rises linearly to `highest` over the warm-up, without a step at 0, and then follows
    the schedule down to ``final_factor * highest`` at the last step.

    Source: cosine decay, Loshchilov and Hutter 2017; linear warm-up, Goyal et al. 2017.
    """
    warmup = min(round(schedule.warmup_epochs * steps_per_epoch), steps)
    rising = np.arange(1, warmup + 1) / max(warmup, 1)
    progress = np.linspace(0.0, 1.0, steps - warmup, endpoint=True)
    falling = {
        "constant": np.ones_like(progress),
        "linear": 1.0 - progress,
        "cosine": 0.5 * (1.0 + np.cos(np.pi * progress)),
    }[schedule.kind]
    floor = 1.0 if schedule.kind == "constant" else schedule.final_factor
    factors = np.concatenate([rising, floor + (1.0 - floor) * falling])
    return (highest * factors).astype(np.float32)


def block_factors(phase: GradientPhase, blocks: int) -> list[float]:
    """Returns what the learning rate of each block is multiplied by, in block order."""
    return [phase.layer_decay ** (blocks - block) for block in range(blocks)]
