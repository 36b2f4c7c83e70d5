"""Measures how far validation examples are from the training examples, once all is trained."""

from tfft.errors import TfftError
from tfft.model.assemble import Classifier
from tfft.transfer.frozen.build import frozen_part, read_outputs
from tfft.transfer.phases.session import Session
from tfft.transfer.unlikeness import (
    Unlikeness,
    chosen_pooling,
    fit_unlikeness,
    measured_positions,
    share_to_keep,
)


def measured_unlikeness(session: Session, classifier: Classifier) -> Unlikeness | None:
    """Returns what a trained model measures of an example; None if it does not, and why is said.

    The features are those of the cache where a phase has left them there, and computed otherwise.

    Args:
        session: The session, trained.
        classifier: The model with the best weights, in float32.
    """
    recipe, progress = session.recipe, session.progress
    keep = share_to_keep(recipe, len(session.validation), progress)
    if keep is None:
        return None
    train = recipe.train.model_copy(update={"mixed_precision": "float32"})
    recipe = recipe.model_copy(update={"train": train})
    column = chosen_pooling(list(classifier.poolings))
    try:
        frozen = frozen_part(recipe, classifier, [len(classifier.backbone.blocks)], progress)
        found = []
        for split, examples in (("train", session.train), ("validation", session.validation)):
            some = examples.take(measured_positions(len(examples)))
            found.append(read_outputs(frozen, some, split)[column])
    except TfftError as error:  # such as a full disk: the training is done, and is kept
        progress.message(f"the model is never unsure: {error}")
        return None
    training, validation = found
    return fit_unlikeness(training, validation, keep)
