"""Starts a training, or goes on with one, with TensorFlow only where that is needed.

Where an earlier run kept a model to fill in, `tfft.transfer.from_template` trains heads on features
that are in the cache; `tfft.transfer.train` trains everything.
"""

from pathlib import Path

from tfft.config.recipe import Recipe
from tfft.runs.run import Run, new_run, require_free
from tfft.runtime.converted_predictor import may_convert
from tfft.system import onednn
from tfft.system.progress import SILENT, Progress
from tfft.transfer.description import load_of_recipe
from tfft.transfer.from_template import train_from_template
from tfft.transfer.template import template_for


def train(recipe: Recipe, *, run: Path | None = None, progress: Progress = SILENT) -> Run:
    """Trains a recipe and returns its run.

    Args:
        recipe: The recipe, resolved.
        run: Directory to make; default: ``runs/<name>``, or ``runs/<name>-<n>`` if that exists.
        progress: Where the work is reported.

    Raises:
        TfftError: As `tfft.train`.
    """
    # A wrong engine and a run that is there are said before the minutes that images may take.
    may_convert()
    if run is not None:
        require_free(run)
    data = load_of_recipe(recipe, progress)
    template = template_for(recipe, data)
    if template is None:
        from tfft.transfer.train import train as train_with_tensorflow

        return train_with_tensorflow(recipe, run=run, progress=progress, data=data)
    with new_run(recipe, run) as opened:
        progress.message(f"run: {opened.path}")
        finished = train_from_template(recipe, data, template, opened, progress)
        if finished is not None:
            return finished
        from tfft.transfer.train import train_in

        return train_in(opened, recipe, data, progress)


def resume(path: Path, *, finish: bool = False, progress: Progress = SILENT) -> Run:
    """Goes on with a run from its last checkpoint, computing as it has been computed so far.

    Arguments, result and errors are those of `tfft.transfer.resume.resume`.
    """
    may_convert()
    onednn.keep(Run(path).onednn)
    from tfft.transfer.resume import resume as resume_with_tensorflow

    return resume_with_tensorflow(path, finish=finish, progress=progress)
