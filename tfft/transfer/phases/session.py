"""What the phases of a training share, and what happens at the end of each epoch."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tfft.system.tensorflow import tf

import numpy as np

from tfft.config.model import is_random
from tfft.config.recipe import Recipe
from tfft.config.train import GradientPhase
from tfft.data.examples import Examples, balanced_order, uniform_order
from tfft.errors import NotFiniteError
from tfft.model.assemble import Classifier
from tfft.model.class_weights import class_weights_of
from tfft.model.heads import Head
from tfft.model.losses import quality as head_quality
from tfft.runs.history import History
from tfft.runs.run import Run
from tfft.system.progress import SILENT, Progress
from tfft.transfer.checkpoints import NOT_FINITE_ADVICE, Checkpoints, TrainingState
from tfft.transfer.frozen.engine import FrozenFunction
from tfft.transfer.phases.inputs import ExampleStream, PhaseInputs
from tfft.transfer.plan.plan import FreezePlan, make_plan
from tfft.transfer.prepare import Prepared, prepare
from tfft.transfer.step.average import WeightAverage
from tfft.transfer.step.batch_norm import Momenta, keep_up_from_scratch
from tfft.transfer.step.optimizers import PhaseOptimizer, build_optimizer
from tfft.transfer.step.step import EvaluationStep, read_sums

HeadMetrics = dict[str, dict[str, float]]


class LapTimer:
    """Seconds since the timer was last read, or made."""

    def __init__(self) -> None:
        self._last = time.perf_counter()

    def lap(self) -> float:
        now = time.perf_counter()
        seconds, self._last = now - self._last, now
        return seconds


@dataclass(frozen=True, eq=False)
class Session:
    """What every phase of a run works on.

    Attributes:
        recipe: The recipe, resolved.
        train: Training examples.
        validation: Validation examples; there may be none.
        classifier: The model that is trained.
        plan: The freeze plan of all phases.
        optimizer: One optimizer over every variable that any phase trains.
        average: Averages of the weights, if any phase keeps them.
        checkpoints: Where the state of the training is saved.
        history: Where each epoch is recorded.
        progress: Where the work is reported.
        run: The run directory.
        momenta: BatchNormalization momenta to restore at the end.
        stopwatch: Measures the seconds since they were last added to the elapsed ones.
    """

    recipe: Recipe
    train: Examples
    validation: Examples
    classifier: Classifier
    plan: FreezePlan
    optimizer: PhaseOptimizer
    average: WeightAverage | None
    checkpoints: Checkpoints
    history: History
    progress: Progress
    run: Run
    momenta: Momenta = field(default_factory=Momenta)
    stopwatch: LapTimer = field(default_factory=LapTimer)

    @property
    def targets(self) -> dict[str, str]:
        """Head → name of its target in the data."""
        return {name: head.config.target for name, head in self.classifier.heads.items()}

    @property
    def class_weights(self) -> dict[str, np.ndarray]:
        """Head → weight of an example of each class, float64 [classes], for heads with weights."""
        found = {
            name: class_weights_of(head.config, head.size, self.train.targets[head.config.target])
            for name, head in self.classifier.heads.items()
        }
        return {name: weights for name, weights in found.items() if weights is not None}

    def order(self, epoch: int) -> np.ndarray:
        """Returns the positions of training examples in an epoch's order, int64 [examples]."""
        seed = self.recipe.seed
        if self.recipe.train.sampling == "balanced":
            return balanced_order(self.train.targets["label"], seed, epoch)
        return uniform_order(len(self.train), seed, epoch)

    def stream(self, augmentation: str, frozen: FrozenFunction | None = None) -> ExampleStream:
        """Returns the inputs of a phase that is not cached, as `ExampleStream` takes them."""
        return ExampleStream(
            self.train,
            self.validation,
            self.targets,
            self.recipe.train.batch_size,
            self.order,
            augmentation,
            self.recipe.seed,
            frozen,
        )


def open_session(
    recipe: Recipe, run: Run, prepared: Prepared, plan: FreezePlan, progress: Progress
) -> Session:
    """Makes what the phases of a plan share; nothing is trained yet.

    The optimizer, and the averages if any phase has them, hold every variable of the whole
    schedule, so that their state outlives each phase.
    """
    classifier = prepared.classifier
    scratch = is_random(recipe.backbone)
    momenta = keep_up_from_scratch(classifier, plan) if scratch else Momenta()
    optimizer = optimizer_of(recipe, classifier)
    variables = classifier.model.variables
    average = None
    if any(getattr(phase, "ema_decay", None) for phase in recipe.train.phases):
        average = WeightAverage([v for v in variables if v.dtype.startswith("float")])
    beside = [*optimizer.variables, *(average.variables if average else ())]
    return Session(
        recipe,
        prepared.examples("train"),
        prepared.examples("validation"),
        classifier,
        plan,
        optimizer,
        average,
        Checkpoints(run.checkpoints, variables, beside),
        History(run.path),
        progress,
        run,
        momenta,
    )


def prepare_session(recipe: Recipe, run: Run, progress: Progress = SILENT) -> Session:
    """Loads data and weights, plans, and opens the session of a run.

    Raises:
        RecipeError: The schedule does not fit the model.
        DataError: The images are not what the recipe says.
        BackboneError: The backbone or its weights cannot be found.
    """
    prepared = prepare(recipe, progress)
    plan = make_plan(recipe, prepared.classifier, prepared.counts)
    return open_session(recipe, run, prepared, plan, progress)


def optimizer_of(recipe: Recipe, classifier: Classifier) -> PhaseOptimizer:
    """Builds the optimizer of a recipe on all weights of its classifier; on none without steps."""
    takes_steps = any(isinstance(phase, GradientPhase) for phase in recipe.train.phases)
    return build_optimizer(
        recipe.train.optimizer,
        classifier.weights if takes_steps else (),
        loss_scaling=recipe.train.mixed_precision == "mixed_float16",
        keep_start=any(getattr(phase, "l2sp", None) for phase in recipe.train.phases),
    )


class Totals:
    """Losses and metrics of the steps of an epoch, added up.

    Args:
        heads: The heads, by name.
        start: Totals of earlier steps, as `values` gives them; empty at the start of an epoch.
    """

    def __init__(self, heads: Mapping[str, Head], start: Sequence[float] = ()) -> None:
        self._heads = heads
        self._sums = np.array(start or np.zeros(3 * len(heads)))

    def add(self, sums: tf.Tensor) -> None:
        """Adds the sums that a step returned."""
        self._sums += sums.numpy()

    @property
    def values(self) -> list[float]:
        """The totals as plain numbers, from which another `Totals` can go on."""
        return self._sums.tolist()

    @property
    def finite(self) -> bool:
        """Whether every total is finite."""
        return bool(np.isfinite(self._sums).all())

    def metrics(self) -> HeadMetrics:
        """Returns the mean loss and the mean metric of each head that had a target."""
        found = read_sums(self._sums, list(self._heads))
        means = {name: sums.means(self._heads[name]) for name, sums in found.items()}
        return {name: metrics for name, metrics in means.items() if metrics}


def validate(session: Session, inputs: PhaseInputs, evaluation: EvaluationStep) -> HeadMetrics:
    """Returns the metrics on the validation images, of heads that have targets among them.

    Raises:
        NotFiniteError: A loss is NaN or infinite.
    """
    if session.plan.images["validation"] == 0:
        return {}
    totals = Totals(session.classifier.heads)
    for sums in inputs.validate(evaluation):
        totals.add(sums)
    if not totals.finite:
        raise NotFiniteError(
            "the loss on validation images is not finite (NaN or infinite), so the training stops. "
            f"{NOT_FINITE_ADVICE}"
        )
    return totals.metrics()


def end_epoch(
    session: Session, state: TrainingState, row: Mapping[str, Any], validated: HeadMetrics
) -> None:
    """Records an epoch and keeps its weights, those in the model now, if they are the best."""
    place = {"phase": state.phase + 1, "epoch": state.epoch, "step": state.step}
    state.elapsed_seconds += session.stopwatch.lap()
    state.history.append({**place, **row, "elapsed_seconds": state.elapsed_seconds})
    reached = quality(session, validated)
    best = state.best
    if (
        best is None
        or not validated
        or not session.recipe.train.keep_best
        or reached > quality(session, best.metrics)
    ):
        session.checkpoints.save_best(state, state.phase, state.epoch, validated)
    if state.phase_best is None or reached > state.phase_best:
        state.phase_best, state.stale_epochs = reached, 0
    else:
        state.stale_epochs += 1
    # Last: who sees the epoch in the history can rely on its weights being kept.
    session.history.write(state.history)


def quality(session: Session, validated: HeadMetrics) -> tuple[float, float]:
    """Returns what `train.monitor` compares, larger is better; the other value breaks ties."""
    if not validated:
        return (0.0, 0.0)
    heads = {n: head for n, head in session.classifier.heads.items() if n in validated}
    weights = [head.config.weight for head in heads.values()]
    losses = [validated[name]["loss"] for name in heads]
    loss = -float(np.average(losses, weights=weights))
    metric = float(np.mean([head_quality(head, validated[name]) for name, head in heads.items()]))
    return (loss, metric) if session.recipe.train.monitor == "loss" else (metric, loss)
