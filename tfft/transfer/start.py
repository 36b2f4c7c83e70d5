"""Starts a training: without TensorFlow where an earlier run kept a model to fill in, else with it.

Nothing is imported that turns out not to be needed: `tfft.transfer.again` trains heads on features
that are in the cache, `tfft.transfer.train` everything.
"""

from pathlib import Path

from tfft.config.recipe import Recipe
from tfft.runs.run import Run, new_run, require_free
from tfft.system.progress import SILENT, Progress
from tfft.transfer.again import train_again
from tfft.transfer.description import load_of_recipe
from tfft.transfer.template import template_for


def train(recipe: Recipe, *, run: Path | None = None, progress: Progress = SILENT) -> Run:
    """Trains a recipe and returns its run, as `tfft.transfer.train.train` does.

    Args:
        recipe: The recipe, resolved.
        run: Directory to make; default: ``runs/<name>``, or ``runs/<name>-<n>`` if that exists.
        progress: Where the work is reported.

    Raises:
        RecipeError: The schedule does not fit the model.
        DataError: The images are not what the recipe says.
        BackboneError: The backbone or its weights cannot be found.
        UsageError: `run` holds something already, or another process holds it.
        NotFiniteError: A loss or a weight is NaN or infinite.
        TfftError: The disk is full, …
    """
    if run is not None:  # before the minutes that images may take
        require_free(run)
    data = load_of_recipe(recipe, progress)
    template = template_for(recipe, data)
    if template is None:
        from tfft.transfer.train import train as train_with_tensorflow

        return train_with_tensorflow(recipe, run=run, progress=progress, data=data)
    with new_run(recipe, run) as opened:
        progress.message(f"run: {opened.path}")
        finished = train_again(recipe, data, template, opened, progress)
        if finished is not None:
            return finished
        from tfft.transfer.train import train_in

        return train_in(opened, recipe, data, progress)
