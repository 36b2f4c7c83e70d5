"""`tfft predict`: what is in images, by any model. A .tflite file needs no TensorFlow."""

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click
import numpy as np

from tfft import api
from tfft.cli.image_files import find_images
from tfft.cli.options import json_option, quiet_option
from tfft.cli.output import results_stream
from tfft.cli.progress import shown_progress
from tfft.errors import DataError, TfftError
from tfft.system.progress import Progress

if TYPE_CHECKING:
    from tfft.runtime.predictor import Predictor

_BATCH_SIZE = 32
_DECODERS = 4


@click.command()
@click.argument("model", metavar="MODEL")
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True)
@click.option(
    "--top", type=click.IntRange(min=1), default=5, show_default=True, help="Labels an image."
)
@json_option
@quiet_option
def command(model: str, images: tuple[str, ...], top: int, as_json: bool, quiet: bool) -> None:
    """Say what is in images.

    MODEL is a run, a .keras file, a SavedModel or a .tflite file. IMAGE is a file, a folder (with
    what is below it) or a pattern. An image that cannot be read is reported, the others are
    predicted, and the exit code is 1.

    \b
    Example:
      tfft predict runs/classifier photos/
      tfft predict saved_models/classifier/tflite/1/classifier_float32.tflite a.jpg --top 1
    """
    paths = find_images(images)
    with results_stream() as results:
        silent = quiet or results.isatty() or len(paths) <= _BATCH_SIZE
        with shown_progress(silent) as progress:
            answers = predict_files(api.load_predictor(model), paths, top, progress)
            print_answers = _print_json if as_json else _print_lines
            failed = print_answers(results, answers)
    if failed:
        raise TfftError(f"{failed} of {len(paths)} images could not be read.")


def predict_files(
    predictor: "Predictor", paths: Sequence[str], top: int, progress: Progress
) -> Iterator[dict[str, Any]]:
    """Yields an answer for each path, in order: its predictions by head, or its error.

    Images are decoded by threads while the batch before them is predicted; two batches of pixels
    are in memory, however many paths there are.
    """
    task = progress.start("predicting", len(paths))
    for batch in _decoded_batches(predictor, paths):
        pixels = [image for _, image in batch if isinstance(image, np.ndarray)]
        rows = iter(_rows(predictor.probabilities(np.concatenate(pixels))) if pixels else ())
        for path, image in batch:
            if isinstance(image, np.ndarray):
                yield {"path": path, "predictions": _top_labels(predictor, next(rows), top)}
            else:
                yield {"path": path, "error": image}
        task.advance(len(batch))
    task.close()


def _decoded_batches(
    predictor: "Predictor", paths: Sequence[str]
) -> Iterator[list[tuple[str, np.ndarray | str]]]:
    with ThreadPoolExecutor(_DECODERS) as decoders:
        chunks = [paths[i : i + _BATCH_SIZE] for i in range(0, len(paths), _BATCH_SIZE)]

        def decode(chunk: Sequence[str]) -> Iterable[np.ndarray | str]:
            return decoders.map(lambda path: _pixels_or_error(predictor, path), chunk)

        ahead = decode(chunks[0])
        for chunk, following in itertools.zip_longest(chunks, chunks[1:], fillvalue=()):
            decoded = list(ahead)
            ahead = decode(following)
            yield list(zip(chunk, decoded, strict=True))


def _pixels_or_error(predictor: "Predictor", path: str) -> np.ndarray | str:
    """Returns the pixels of one image, float32 [1, height, width, 3], or what is wrong with it."""
    try:
        return predictor.pixels([Path(path).read_bytes()])
    except OSError as error:
        return str(error.strerror)
    except DataError as error:
        return str(error)


def _rows(probabilities: dict[str, np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
    heads = list(probabilities)
    for row in zip(*probabilities.values(), strict=True):
        yield dict(zip(heads, row, strict=True))


def _top_labels(
    predictor: "Predictor", probabilities: dict[str, np.ndarray], top: int
) -> dict[str, list[dict[str, Any]]]:
    predictions = {}
    for head, row in probabilities.items():
        names = predictor.info.heads[head].class_names
        best = np.argsort(-row, kind="stable")[:top]
        predictions[head] = [{"label": names[k], "probability": float(row[k])} for k in best]
    return predictions


def _print_lines(results: TextIO, answers: Iterable[dict[str, Any]]) -> int:
    """Prints a line an image, errors to stderr; returns how many errors there were."""
    failed = 0
    for answer in answers:
        if "error" in answer:
            failed += 1
            click.echo(f"tfft: {answer['path']}: {answer['error']}", err=True)
        else:
            results.write(f"{answer['path']}: {predictions_text(answer['predictions'])}\n")
    return failed


def predictions_text(predictions: dict[str, list[dict[str, Any]]]) -> str:
    """Returns predictions as text; heads are named when there are several."""
    texts = {
        head: ", ".join(f"{label['label']} {label['probability']:.1%}" for label in labels)
        for head, labels in predictions.items()
    }
    if len(texts) == 1:
        return next(iter(texts.values()))
    return "; ".join(f"{head}: {text}" for head, text in texts.items())


def _print_json(results: TextIO, answers: Iterable[dict[str, Any]]) -> int:
    """Prints one JSON list, an entry a line as it comes; returns how many errors there were."""
    failed = 0
    separator = "[\n"
    for answer in answers:
        failed += "error" in answer
        results.write(separator + json.dumps(answer, allow_nan=False))
        separator = ",\n"
    results.write("\n]\n")
    return failed
