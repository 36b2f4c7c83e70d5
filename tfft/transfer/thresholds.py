"""From where on each label applies, chosen on validation images that the head was not solved on."""

from tfft.system.tensorflow import keras

import numpy as np

from tfft.config.train import LinearPhase
from tfft.metrics.multi_label import best_thresholds
from tfft.runtime.predictor import sigmoid
from tfft.system.files import read_arrays
from tfft.system.formats import BEFORE_REFIT
from tfft.transfer.checkpoints import Best
from tfft.transfer.phases.session import Session


def chosen_thresholds(
    session: Session, model: keras.Model, best: Best | None
) -> dict[str, tuple[float, ...]]:
    """Returns the thresholds of each multi_label head; none without validation images.

    Where the head was solved again with the validation images, what it said of them before counts.

    Args:
        session: The session, trained.
        model: The model with the best weights, in float32.
        best: Where these weights are from.

    Source: as in `tfft.metrics.multi_label.best_thresholds`.
    """
    targets = {
        name: head.config.target
        for name, head in session.classifier.heads.items()
        if head.config.kind == "multi_label"
    }
    if not targets or not len(session.validation):
        return {}
    phase = session.recipe.train.phases[best.phase] if best and best.phase >= 0 else None
    if isinstance(phase, LinearPhase) and phase.refit:
        file = session.run.before_refit_file
        kept = BEFORE_REFIT.upgraded(read_arrays(file), file)
        # A run that an older version began keeps them of classifications only.
        said = {name: kept[key] for name in targets if (key := f"outputs/{name}") in kept}
    else:
        said = _answers(session, model, list(targets))
    labels = session.validation.exact_targets()
    return {name: best_thresholds(said[name], labels[targets[name]]) for name in said}


def _answers(session: Session, model: keras.Model, heads: list[str]) -> dict[str, np.ndarray]:
    """Returns the probabilities of the labels of the validation images, by head."""
    batches = session.validation.exact_batches(session.recipe.train.batch_size)
    outputs = [model.predict_on_batch(batch["inputs"]) for batch in batches]
    return {name: sigmoid(np.concatenate([each[name] for each in outputs])) for name in heads}
