"""`tfft quickstart`: train, evaluate, export and predict once, offline."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click
from rich.table import Table

import tfft
from tfft.cli.options import PathType, quiet_option
from tfft.cli.output import aligned, new_table, print_rich, results_stream
from tfft.cli.predict import predict_files
from tfft.cli.progress import shown_progress
from tfft.system.files import atomic_path
from tfft.system.progress import SILENT, Progress
from tfft.system.readable import command_text

if TYPE_CHECKING:
    from tfft.evaluation.evaluate import Evaluation
    from tfft.exports.export import Export

RECIPE = "quickstart"
_HEAD = "label"
_SAMPLES = 5


class Checked(NamedTuple):
    """A form of the model, with its metrics on the test images and its answers on the samples."""

    format: str
    path: Path
    evaluation: "Evaluation"
    labels: list[str]


@click.command()
@click.option("--run", type=PathType(), metavar="DIR", help="Default: runs/quickstart.")
@click.option(
    "--output",
    type=PathType(),
    default=Path("saved_models"),
    show_default=True,
    metavar="DIR",
    help="Directory for the exports.",
)
@quiet_option
def command(run: Path | None, output: Path, quiet: bool) -> None:
    """Train, evaluate, export and predict, offline, in minutes.

    The recipe `quickstart` trains a pretrained backbone on 1,797 images of handwritten digits.
    The result is evaluated and used as a Keras model, a SavedModel and a TFLite file.

    \b
    Example:
      tfft quickstart
    """
    started = time.monotonic()
    with results_stream() as results:
        with shown_progress(quiet) as progress:
            progress.message("train: tfft train quickstart")
            trained = tfft.train(RECIPE, run=run, progress=progress)
            progress.message(f"export: {command_text('export', trained.path)}")
            exported = tfft.export(trained.path, output=output, progress=progress)
            samples = write_samples(trained.path / "samples")
            checked = check_each(trained.path, exported, samples, progress)
        places = aligned({f"{model.format}:": str(model.path) for model in checked})
        following = (
            f"everything took {time.monotonic() - started:.0f} s. Next:\n"
            f"  {command_text('predict', exported.tflite['float32'], samples[0])}\n"
            f"  {command_text('evaluate', trained.path)}\n"
            "  tfft train classifier --data DIR      # your photos, one folder per class"
        )
        print_rich(results, _table(checked, samples), places, following)


def write_samples(directory: Path) -> list[Path]:
    """Writes the first test image of each of a few classes to a file named after the class."""
    data = tfft.prepare_data(RECIPE)
    test = data.splits["test"]
    first_of_class: dict[int, int] = {}
    for position, label in enumerate(test.targets[_HEAD]):
        first_of_class.setdefault(int(label), position)
    samples = []
    for label, position in list(first_of_class.items())[:_SAMPLES]:
        path = directory / f"{data.class_names[_HEAD][label]}.png"
        with atomic_path(path) as temporary:
            temporary.write_bytes(test.read(position))
        samples.append(path)
    return samples


def check_each(
    run: Path, exported: "Export", samples: list[Path], progress: Progress
) -> list[Checked]:
    """Evaluates each form of the model on the test images and predicts the samples with it."""
    models = {
        "Keras": run,
        "SavedModel": exported.savedmodel,
        "TFLite": exported.tflite["float32"],
    }
    paths = [str(path) for path in samples]
    checked = []
    for name, path in models.items():
        progress.message(f"evaluate: {command_text('evaluate', path)}")
        predictor = tfft.load_predictor(path, engine="keras")
        evaluation = tfft.evaluate(predictor, progress=progress)
        answers = predict_files(predictor, paths, 1, SILENT)
        labels = [answer["predictions"][_HEAD][0]["label"] for answer in answers]
        checked.append(Checked(name, path, evaluation, labels))
    return checked


def _table(checked: list[Checked], samples: list[Path]) -> Table:
    examples = checked[0].evaluation.examples
    truth = " ".join(path.stem for path in samples)
    table = new_table(
        ["model", "top-1", "95 % interval", f"reads {truth} as"],
        title=f"handwritten digits, {examples} test images",
    )
    for model in checked:
        metrics = model.evaluation.metrics[_HEAD]
        low, high = metrics["top1_interval"]
        table.add_row(
            model.format,
            f"{metrics['top1']:.4f}",
            f"{low:.3f} … {high:.3f}",
            " ".join(model.labels),
        )
    return table
