"""BatchNormalization in training: which layers adapt, and how fast their statistics follow."""

from dataclasses import dataclass

from tfft.system.tensorflow import keras

from tfft.config.train import GradientPhase
from tfft.model.assemble import Classifier
from tfft.transfer.plan.plan import FreezePlan
from tfft.transfer.plan.unfreeze import Unfrozen

# Of the steps of a training from scratch, the share that moving statistics may average over.
_LONGEST_AVERAGE = 0.1


def set_batch_norm(classifier: Classifier, trained: Unfrozen, mode: str) -> None:
    """Makes BatchNormalization of trained layers adapt or not; elsewhere it never does.

    Keras runs a BatchNormalization layer that is not trainable with its moving statistics, in
    training too. Which variables a phase trains is not decided by this flag.
    """
    for block, adapting in enumerate(trained.batch_norms):
        for layer in classifier.batch_norms(block):
            layer.trainable = mode == "adapt" and layer in adapting


@dataclass(frozen=True, eq=False)
class Momenta:
    """The momenta of layers before a training from scratch changed them."""

    layers: tuple[tuple[keras.layers.BatchNormalization, float], ...] = ()

    def restore(self) -> None:
        """Restores the momenta: the trained statistics are worth keeping in later fine-tuning."""
        for layer, momentum in self.layers:
            layer.momentum = momentum


def keep_up_from_scratch(classifier: Classifier, plan: FreezePlan) -> Momenta:
    """Lets the moving statistics of a backbone with random weights keep up with a short training.

    Moving statistics start at mean 0 and variance 1 and average over 1 / (1 - momentum) steps, a
    hundred with Keras's 0.99. After two hundred steps they would still hold some of that start and
    much of weights long gone, so that validation would not show what was learned. Here they average
    over at most a tenth of the steps that adapt them, and over at least two: from a thousand steps
    on, 0.99 stays. Pretrained statistics are a good start, and keep their momentum.

    Returns:
        The momenta before.
    """
    steps = sum(
        phase.steps
        for phase in plan.phases
        if isinstance(phase.config, GradientPhase) and phase.config.batch_norm == "adapt"
    )
    if not steps:
        return Momenta()
    highest = 1 - 1 / max(2.0, _LONGEST_AVERAGE * steps)
    norms = [norm for block in classifier.backbone.blocks for norm in block.batch_norms]
    layers = [norm for norm in norms if isinstance(norm, keras.layers.BatchNormalization)]
    before = Momenta(tuple((layer, layer.momentum) for layer in layers))
    for layer in layers:
        layer.momentum = min(layer.momentum, highest)
    return before
