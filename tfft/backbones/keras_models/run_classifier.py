"""The classifier of a run: what another run's heads can start from.

TensorFlow is imported only to read its weights.
"""

from pathlib import Path
from typing import Any

import numpy as np

from tfft.config.loading.load import load_recipe
from tfft.errors import BackboneError, ModelFileError, RecipeError, TfftError
from tfft.system.files import read_json


def classification_head(run: Path) -> str | None:
    """Returns the one head of kind classification of a run, or None if there is not exactly one.

    The head must see average-pooled features, as rows of a source do.
    """
    try:
        heads = load_recipe(run / "recipe.yaml").heads
    except RecipeError:  # a .keras file from elsewhere
        return None
    names = [name for name, head in heads.items() if head.kind == "classification"]
    return names[0] if len(names) == 1 and heads[names[0]].pooling == "avg" else None


def classifier_of_run(run: Path) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Returns kernel [features, classes], bias [classes] and classes of a run's classification.

    Raises:
        BackboneError: The run has not one head of kind classification on average-pooled features.
        ModelFileError: Its files cannot be read.
    """
    head = classification_head(run)
    if head is None:
        raise BackboneError(f"{run} has not one classification on average-pooled features")
    from tfft.backbones.keras_models.keras_file import load_keras_file

    dense: Any = load_keras_file(run / "model.keras").get_layer(f"{head}_logits")
    names = class_names_of_run(run)[head]
    return dense.kernel.numpy(), dense.bias.numpy(), names


def class_names_of_run(run: Path) -> dict[str, tuple[str, ...]]:
    """Returns the class names of each head of a run that has any.

    Raises:
        ModelFileError: Its `model.json` does not say them.
    """
    try:
        heads = read_json(run / "model.json")["heads"]
        return {
            name: tuple(head["class_names"]) for name, head in heads.items() if head["class_names"]
        }
    except (TfftError, KeyError, TypeError) as error:
        raise ModelFileError(f"the run does not say what its classes are: {error}") from error
