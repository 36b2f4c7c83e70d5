"""How a phase updates each variable: its share of the learning rate, decay, and pull (L2-SP)."""

from tfft.system.tensorflow import keras

from tfft.config.train import GradientPhase
from tfft.model.assemble import Classifier
from tfft.transfer.plan.learning_rates import block_factors
from tfft.transfer.plan.unfreeze import Unfrozen
from tfft.transfer.step.optimizers import UpdateRule


def update_rules(
    classifier: Classifier, phase: GradientPhase, trained: Unfrozen
) -> list[tuple[keras.Variable, UpdateRule]]:
    """Returns every variable that the phase trains, from input to output, with its rule.

    The block below the heads has the first power of the layer decay, the heads have none. Weight
    decay leaves out biases and normalisation (variables of fewer than two dimensions); L2-SP takes
    in every trained variable.

    Source: discriminative fine-tuning, Howard and Ruder 2018, counted as in BEiT, Bao et al. 2022;
    L2-SP, Li, Grandvalet and Davoine 2018.
    """
    alpha, beta = (phase.l2sp.alpha, phase.l2sp.beta) if phase.l2sp else (0.0, 0.0)
    factors = block_factors(phase, len(trained.weights))
    rules = [
        (variable, _rule(phase, variable, factor, pull=alpha, to_start=True))
        for factor, weights in zip(factors, trained.weights, strict=True)
        for variable in weights
    ]
    for variable in classifier.front.weights:
        factor = phase.head_learning_rate_factor
        rules.append((variable, _rule(phase, variable, factor, pull=beta, to_start=False)))
    for head in classifier.heads.values():
        factor = phase.head_learning_rate_factor * head.config.learning_rate_factor
        for variable in head.weights:
            rules.append((variable, _rule(phase, variable, factor, pull=beta, to_start=False)))
    return rules


def _rule(
    phase: GradientPhase, variable: keras.Variable, factor: float, *, pull: float, to_start: bool
) -> UpdateRule:
    decays = len(variable.shape) > 1
    return UpdateRule(factor, phase.weight_decay if decays else 0.0, pull, to_start)
