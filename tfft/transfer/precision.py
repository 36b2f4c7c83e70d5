"""A warning where mixed precision makes training slower, with the factor on this machine.

Processors without instructions for half precision convert back and forth, and those that have them
use them in matrix products only. A GPU gains, and is not timed.
"""

import time
import warnings
from collections.abc import Callable

from tfft.system.tensorflow import tf

from tfft.config.recipe import Recipe
from tfft.config.train import GradientPhase
from tfft.errors import TfftWarning
from tfft.model.assemble import Classifier
from tfft.system.device import on_gpu
from tfft.system.progress import SILENT, Progress
from tfft.transfer.phases.session import optimizer_of
from tfft.transfer.plan.plan import FreezePlan
from tfft.transfer.plan.unfreeze import unfrozen
from tfft.transfer.prepare import Prepared, build_of_recipe, without_weights
from tfft.transfer.step.batch_norm import set_batch_norm
from tfft.transfer.step.folding import folded
from tfft.transfer.step.optimizers import inner_optimizer
from tfft.transfer.step.step import Batch, EvaluationStep, TrainStep
from tfft.transfer.step.update_rules import update_rules

# Images of the timed step, and how often it is taken after a first time, which compiles it.
_IMAGES = 8
_TIMES = 2


def warn_if_slower(
    recipe: Recipe, prepared: Prepared, plan: FreezePlan, progress: Progress
) -> None:
    """Warns if a step takes longer in the recipe's mixed precision than in float32.

    The one is timed on the model that will be trained, which has its weights and seeds again
    afterwards, the other on one with random weights.
    """
    policy = recipe.train.mixed_precision
    if policy == "float32" or on_gpu():
        return
    progress.message(f"timing a step in {policy} and in float32")
    batch = _first_images(prepared)
    mixed, plain = _seconds(recipe, prepared, plan, batch)
    if mixed > plain:
        warnings.warn(
            f"train.mixed_precision: {policy} makes this machine, which has no GPU, slower: a step "
            f"on {len(batch[0][0])} images takes {mixed:.2g} s, {mixed / plain:.1f} times as long "
            "as in float32. Leave the key out to train faster.",
            TfftWarning,
            stacklevel=2,
        )


def _first_images(prepared: Prepared) -> Batch:
    (drawn,) = prepared.examples("train").exact_batches(_IMAGES).take(1)
    return (drawn["inputs"],), drawn["targets"]


def _seconds(
    recipe: Recipe, prepared: Prepared, plan: FreezePlan, batch: Batch
) -> tuple[float, float]:
    """Seconds of a step in the recipe's precision and in float32."""
    classifier = prepared.classifier
    before = [variable.numpy() for variable in classifier.model.variables]
    try:
        mixed = _step_s(recipe, classifier, plan, batch)
    finally:
        for variable, value in zip(classifier.model.variables, before, strict=True):
            variable.assign(value)
    train = recipe.train.model_copy(update={"mixed_precision": "float32"})
    recipe = without_weights(recipe).model_copy(update={"train": train})
    other = build_of_recipe(recipe, prepared.data, "float32", SILENT)
    return mixed, _step_s(recipe, other, plan, batch)


def _step_s(recipe: Recipe, classifier: Classifier, plan: FreezePlan, batch: Batch) -> float:
    """Seconds of a step of the phase that trains most."""
    inputs, targets = batch
    by_head = {name: targets[head.config.target] for name, head in classifier.heads.items()}
    step = _step(recipe, classifier, plan, (inputs, by_head))
    step()
    started = time.perf_counter()
    for _ in range(_TIMES):
        step()
    return (time.perf_counter() - started) / _TIMES


def _step(
    recipe: Recipe, classifier: Classifier, plan: FreezePlan, batch: Batch
) -> Callable[[], object]:
    """A step of the phase that trains most; where all are solved, the forward pass."""
    phases = [p for p in plan.phases if isinstance(p.config, GradientPhase)]
    if not phases:
        evaluation = EvaluationStep(classifier.cut(0), classifier.heads)
        return lambda: evaluation.on_batch(batch).numpy()
    widest = max(phases, key=lambda phase: phase.trained_parameters)
    phase = widest.config
    assert isinstance(phase, GradientPhase)
    optimizer = optimizer_of(recipe, classifier)
    trained = unfrozen(classifier, phase.unfreeze)
    set_batch_norm(classifier, trained, phase.batch_norm)
    rules = update_rules(classifier, phase, trained)
    inner_optimizer(optimizer).begin_phase(rules)
    cut = folded(classifier.cut(widest.unchanged_blocks))
    step = TrainStep(cut, classifier.heads, optimizer, [variable for variable, _ in rules])
    return lambda: step.on_batch(batch, tf.constant(phase.learning_rate)).numpy()
