"""What a training would do and how long its phases would take, without training.

The seconds, with and without the cache, come from a short measurement on this machine.
Decoding, the frozen part and the steps are timed on a few batches, each after one that is not
counted. On a CPU they share the processors, so their times add up.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from tfft.system.tensorflow import tf

import numpy as np

from tfft.config.recipe import Recipe
from tfft.config.train import CacheConfig, GradientPhase
from tfft.data.examples import Examples
from tfft.model.assemble import Classifier, Cut
from tfft.system.progress import SILENT, Progress
from tfft.transfer.description import head_sizes
from tfft.transfer.frozen.function import function_of
from tfft.transfer.phases.session import optimizer_of
from tfft.transfer.plan.plan import (
    FreezePlan,
    PhasePlan,
    PhaseSeconds,
    make_plan,
    plans_of_one_pass,
)
from tfft.transfer.plan.too_large import solvable_recipe
from tfft.transfer.plan.unfreeze import unfrozen
from tfft.transfer.prepare import prepare
from tfft.transfer.step.batch_norm import set_batch_norm
from tfft.transfer.step.folding import folded
from tfft.transfer.step.optimizers import PhaseOptimizer, inner_optimizer
from tfft.transfer.step.step import Batch, EvaluationStep, TrainStep
from tfft.transfer.step.update_rules import update_rules

_BATCHES = 3


def dry_run(recipe: Recipe, progress: Progress = SILENT, *, measure: bool = False) -> FreezePlan:
    """Returns the freeze plan of a recipe; loads data and weights, and trains nothing.

    Args:
        recipe: The recipe, resolved.
        progress: Where the work is reported.
        measure: Estimate the seconds of each phase from a short measurement.

    Raises:
        RecipeError: The schedule does not fit the model.
        DataError: The images are not what the recipe says.
        BackboneError: The backbone or its weights cannot be found.
    """
    prepared = prepare(recipe, progress)
    classifier = prepared.classifier
    features = classifier.cut_shapes(len(classifier.backbone.blocks))
    sizes = head_sizes(recipe, prepared.data)
    recipe = solvable_recipe(recipe, features, sizes, progress)
    plan = make_plan(recipe, classifier, prepared.counts)
    if not measure:
        return plan
    stopwatch = Stopwatch(
        classifier,
        optimizer_of(recipe, classifier),
        prepared.examples("train"),
        recipe.train.batch_size,
        {name: head.config.target for name, head in classifier.heads.items()},
        recipe.train.cache,
        progress,
    )
    return stopwatch.measured(plan)


class Stopwatch:
    """Times the parts of phases on some images of the training set.

    Steps change the classifier: it is of no other use afterwards.

    Args:
        classifier: Model that would be trained.
        optimizer: Optimizer over all its weights.
        examples: Training examples.
        batch_size: Images in a batch.
        targets: Head → name of its target in the data.
        cache: The recipe's `train.cache` section.
        progress: Where the work is reported.
    """

    def __init__(
        self,
        classifier: Classifier,
        optimizer: PhaseOptimizer,
        examples: Examples,
        batch_size: int,
        targets: dict[str, str],
        cache: CacheConfig,
        progress: Progress,
    ) -> None:
        self._classifier = classifier
        self._optimizer = optimizer
        self._sample = examples.take(np.arange(min(len(examples), (_BATCHES + 1) * batch_size)))
        self._batch_size = min(batch_size, len(self._sample))
        self._targets = targets
        self._cache = cache
        self._progress = progress
        self._computing: dict[int, float] = {}
        (batch,) = self._sample.exact_batches(self._batch_size).take(1)
        self._inputs: tf.Tensor = batch["inputs"]
        self._labels = {head: batch["targets"][name] for head, name in targets.items()}

    def measured(self, plan: FreezePlan) -> FreezePlan:
        """Returns the freeze plan of the recipe with the estimated seconds of each phase.

        Of a solved phase only the features are timed, not the solver.
        """
        task = self._progress.start("measuring", len(plan.phases), "phases")
        made: set[int] = set()
        phases = []
        try:
            for phase in plan.phases:
                building = 0.0
                if phase.cached and phase.number not in made:
                    building = self._building_s(phase, plan.images)
                    shared = plans_of_one_pass(plan.phases, phase, self._cache.max_gb)
                    made |= {other.number for other in shared}
                phases.append(replace(phase, seconds=self._seconds(phase, plan.images, building)))
                task.advance()
        finally:
            task.close()
        return replace(plan, phases=tuple(phases))

    def _seconds(self, plan: PhasePlan, images: Mapping[str, int], building: float) -> PhaseSeconds:
        phase = plan.config
        if not isinstance(phase, GradientPhase):
            return PhaseSeconds(building, None)
        trained = images["train"] * plan.steps / plan.steps_per_epoch
        validated = images["validation"] * plan.epochs
        cut = self._classifier.cut(plan.unchanged_blocks)
        tensors = tuple(
            tf.cast(tensor, "float32") if tensor.dtype.is_floating else tensor
            for tensor in cut.below((self._inputs,))
        )
        above = self._steps_s(phase, Cut(None, cut.suffix), tensors)
        if plan.engine not in (None, "keras"):
            whole = [seconds + self._computing_s(plan.frozen_blocks) for seconds in above]
        else:
            whole = self._steps_s(phase, cut, (self._inputs,)) if cut.prefix else above
        uncached = trained * (self._decoding_s(phase.augment) + whole[0])
        uncached += validated * (self._decoding_s("none") + whole[1])
        if not plan.cached:
            return PhaseSeconds(None, uncached)
        return PhaseSeconds(building + trained * above[0] + validated * above[1], uncached)

    def _building_s(self, plan: PhasePlan, images: Mapping[str, int]) -> float:
        """Seconds it takes to compute the tensors that a phase reads from the cache."""
        computing = self._computing_s(plan.frozen_blocks)
        augmentation = getattr(plan.config, "augment", "none") if plan.views else "none"
        seconds = images["train"] * max(plan.views, 1)
        seconds *= computing + self._decoding_s(augmentation)
        return seconds + images["validation"] * (computing + self._decoding_s("none"))

    def _computing_s(self, frozen_blocks: int) -> float:
        """Seconds per image of a frozen part, as it is computed beside the steps."""
        if frozen_blocks not in self._computing:
            batches = [self._inputs.numpy()] * _BATCHES
            frozen = function_of(
                self._cache,
                self._classifier.backbone.spec.name,
                self._classifier.below([frozen_blocks]),
                batches[0],
            )
            list(frozen(batches))
            started = time.perf_counter()
            list(frozen(batches))
            seconds = time.perf_counter() - started
            self._computing[frozen_blocks] = seconds / (_BATCHES * self._batch_size)
        return self._computing[frozen_blocks]

    def _steps_s(
        self, phase: GradientPhase, cut: Cut, inputs: tuple[tf.Tensor, ...]
    ) -> tuple[float, float]:
        """Seconds per image of a training step and of an evaluation step."""
        trained = unfrozen(self._classifier, phase.unfreeze)
        set_batch_norm(self._classifier, trained, phase.batch_norm)
        rules = update_rules(self._classifier, phase, trained)
        inner_optimizer(self._optimizer).begin_phase(rules)
        variables = [variable for variable, _ in rules]
        cut, heads = folded(cut), self._classifier.heads
        # Mixing costs nothing beside the model, and its weights must not wander off.
        step = TrainStep(cut, heads, self._optimizer, variables)
        evaluation = EvaluationStep(cut, heads)
        batch: Batch = (inputs, self._labels)
        return (
            self._image_s(lambda: step.on_batch(batch, tf.constant(0.0)).numpy()),
            self._image_s(lambda: evaluation.on_batch(batch).numpy()),
        )

    def _image_s(self, work: Callable[[], Any]) -> float:
        work()
        started = time.perf_counter()
        for _ in range(_BATCHES):
            work()
        return (time.perf_counter() - started) / (_BATCHES * self._batch_size)

    def _decoding_s(self, augmentation: str) -> float:
        batches = self._sample.training_batches(
            self._batch_size,
            order=lambda _: np.arange(len(self._sample)),
            augmentation=augmentation,
            seed=0,
            epochs=range(1),
        )
        iterator = iter(batches)
        next(iterator)
        started = time.perf_counter()
        count = sum(int(batch["positions"].shape[0]) for batch in iterator)
        return (time.perf_counter() - started) / max(count, 1)
