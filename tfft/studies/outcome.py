"""What a finished run of a study reached and cost: all that the tables need, in a few kilobytes."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfft.evaluation.answers import load_answers
from tfft.runs.history import read_history
from tfft.studies.compare import Cell
from tfft.studies.process import COST_FILE
from tfft.system.formats import COST, PLAN


@dataclass(frozen=True, eq=False)
class Outcome:
    """A finished run.

    Attributes:
        arm: Name of the arm.
        fraction: Share of the training images.
        seed: Seed of the run, counted from the recipe's own.
        run: Directory of the run, as messages name it.
        right: Where the first common classification head is right, bool [test images].
        images: SHA-256 of the ids and targets of the test images.
        train_images: Number of images that the run was trained on.
        images_seen: Number of images that went through training steps.
        trainable_parameters: Trainable parameters, the largest number of any phase.
        validated: Seconds of training and top-1 reached, for each epoch that was validated; the
            seconds are None in a run that did not record them.
        seconds: Seconds the run took, wall clock, including its start and loading; None for a run
            that no study made.
        cpu_seconds: CPU seconds the run took; None for a run that no study made.
        peak_memory_mb: Peak resident memory in MB; None for a run that no study made.
        commonest: Number of test images of the commonest class; None in outcomes of older versions.
    """

    arm: str
    fraction: float
    seed: int
    run: str
    right: np.ndarray
    images: str
    train_images: int
    images_seen: float
    trainable_parameters: int
    validated: tuple[tuple[float | None, float], ...]
    seconds: float | None
    cpu_seconds: float | None
    peak_memory_mb: int | None
    commonest: int | None = None

    @property
    def validation_top1(self) -> float | None:
        """The best validation top-1."""
        return max((top1 for _, top1 in self.validated), default=None)

    def seconds_to(self, target: float) -> float | None:
        """Returns the seconds of training until validation top-1 reaches `target`, if it does."""
        return next((seconds for seconds, top1 in self.validated if top1 >= target), None)

    def to_json(self) -> dict[str, Any]:
        """Returns the outcome as JSON values, which `outcome_from_json` reads."""
        packed = base64.b64encode(np.packbits(self.right).tobytes()).decode()
        return {**vars(self), "right": packed, "test_images": len(self.right)}


def outcome_from_json(values: Mapping[str, Any]) -> Outcome:
    """Returns the outcome that `Outcome.to_json` turned into these values."""
    rest = dict(values)
    bits = np.frombuffer(base64.b64decode(rest.pop("right")), np.uint8)
    right = np.unpackbits(bits, count=rest.pop("test_images")).astype(bool)
    validated = tuple((seconds, top1) for seconds, top1 in rest.pop("validated"))
    return Outcome(right=right, validated=validated, **rest)


def read_outcome(cell: Cell, head: str) -> Outcome:
    """Reads the outcome of a finished run of a study.

    Args:
        cell: Cell of the study.
        head: Name of the classification head that is compared.

    Raises:
        ModelFileError: The run was not evaluated, or a file is damaged.
    """
    answers = load_answers(cell.run, "test")
    pairs = zip(answers.ids, answers.targets[head], strict=True)
    images = "\n".join(f"{image} {target}" for image, target in pairs)
    history = read_history(cell.run)
    plan = PLAN.read(cell.run / "plan.json")
    cost = COST.read_if_there(cell.run / COST_FILE)
    train_images = plan["images"]["train"]
    name = f"validation/{head}/top1"
    return Outcome(
        arm=cell.arm,
        fraction=cell.fraction,
        seed=cell.seed,
        run=str(cell.run),
        right=answers.right(head),
        images=hashlib.sha256(images.encode()).hexdigest(),
        train_images=train_images,
        images_seen=_images_seen(history, train_images),
        trainable_parameters=max((p["trained_parameters"] for p in plan["phases"]), default=0),
        validated=tuple((r.get("elapsed_seconds"), r[name]) for r in history if name in r),
        seconds=cost.get("seconds"),
        cpu_seconds=cost.get("cpu_seconds"),
        peak_memory_mb=cost.get("peak_memory_mb"),
        commonest=int(np.bincount(answers.targets[head]).max()),
    )


def _images_seen(history: Sequence[Mapping[str, float]], train_images: int) -> float:
    """Images in gradient steps, plus each image once for a solved phase; phase 0 trains nothing."""
    return sum(
        row["images_per_second"] * row["seconds"] if "images_per_second" in row else train_images
        for row in history
        if row["phase"] > 0
    )
