"""Whether what a study's runs are judged by is there: asked before anything is trained."""

from tfft.config.model import targets_of
from tfft.config.recipe import Recipe
from tfft.data.load import load_data
from tfft.errors import DataError
from tfft.system.progress import Progress

_HOW = {
    "validation": "set data.validation_fraction above 0",
    "test": "set data.test_fraction above 0, or name a test split",
}


def require_images(recipe: Recipe, split: str, progress: Progress) -> None:
    """Requires that a recipe's data have images of a split, ``validation`` or ``test``.

    Raises:
        DataError: They have none, or are not what the recipe says.
    """
    data = load_data(recipe.data, progress, targets_of(recipe.heads))
    if not len(data.splits.get(split, ())):
        raise DataError(
            f"{data.name} has no {split} images, which is what runs are judged by: {_HOW[split]}"
        )
