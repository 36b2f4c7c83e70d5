"""The classifier of a run, from which the heads of another run can start.

TensorFlow is imported only to read its weights.
"""

from pathlib import Path
from typing import Any

import numpy as np

from tfft.config.loading.load import load_recipe
from tfft.errors import BackboneError, ModelFileError, RecipeError, TfftError
from tfft.system.formats import MODEL


def classification_head(run: Path, wanted: str = "") -> str | None:
    """Returns the name of a run's head of kind classification; None if there is no such head.

    The head must take average-pooled features, as the rows of a source's classifier do.

    Args:
        run: Directory of the run.
        wanted: Name of the head that is taken if there are several; otherwise the only one is.
    """
    try:
        heads = load_recipe(run / "recipe.yaml").heads
    except RecipeError:  # a .keras file from elsewhere
        return None
    names = [name for name, head in heads.items() if head.kind == "classification"]
    found = wanted if wanted in names else names[0] if len(names) == 1 else None
    return found if found is not None and heads[found].pooling == "avg" else None


def classifier_of_run(
    run: Path, wanted: str = ""
) -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """Returns the classifier of a run.

    Args:
        run: Directory of the run.
        wanted: Name of the head, as for `classification_head`.

    Returns:
        Kernel float32 [features, classes], bias float32 [classes], and the class names.

    Raises:
        BackboneError: The run has no such head of kind classification, or that head does not take
            average-pooled features.
        ModelFileError: The files of the run cannot be read.
    """
    head = classification_head(run, wanted)
    if head is None:
        raise BackboneError(
            f"{run} must have one head of kind classification, or one of the name that asks for "
            "it, on average-pooled features"
        )
    from tfft.backbones.keras_models.keras_file import load_keras_file

    dense: Any = load_keras_file(run / "model.keras").get_layer(f"{head}_logits")
    names = class_names_of_run(run)[head]
    return dense.kernel.numpy(), dense.bias.numpy(), names


def class_names_of_run(run: Path) -> dict[str, tuple[str, ...]]:
    """Returns the class names of each head of a run that has classes.

    Raises:
        ModelFileError: The run's `model.json` is missing or does not name them.
    """
    try:
        heads = MODEL.read(run / "model.json")["heads"]
        return {
            name: tuple(head["class_names"]) for name, head in heads.items() if head["class_names"]
        }
    except (TfftError, KeyError, TypeError) as error:
        raise ModelFileError(f"the class names of the run cannot be read: {error}") from error
