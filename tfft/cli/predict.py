"""`tfft predict`: what is in images, by any model. A .tflite file needs no TensorFlow."""

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

import click
import numpy as np

import tfft
from tfft.cli.image_files import find_images
from tfft.cli.options import info_option, json_option, quiet_option, timeout_option
from tfft.cli.output import results_stream
from tfft.cli.progress import shown_progress
from tfft.errors import DataError, TfftError, UnreadableImagesError
from tfft.images.geometry import boxes_in_image, visible_part
from tfft.images.inspect import image_size
from tfft.system.progress import Progress

if TYPE_CHECKING:
    from tfft.runtime.info import HeadInfo
    from tfft.runtime.predictor import Predictor

_BATCH_SIZE = 32
_DECODERS = 4


@click.command()
@click.argument("model", metavar="MODEL")
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True)
@click.option(
    "--top", type=click.IntRange(min=1), default=5, show_default=True, help="Labels an image."
)
@info_option
@timeout_option
@json_option
@quiet_option
def command(
    model: str,
    images: tuple[str, ...],
    top: int,
    info: Path | None,
    timeout: float | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Say what is in images.

    MODEL is a run, a .keras file, a SavedModel, a .tflite file or the URL of a served model,
    http://HOST:PORT/v1/models/NAME or grpc://HOST:PORT/NAME. IMAGE is a file, a folder (with what
    is below it) or a pattern. An image that cannot be read is reported, the others are predicted,
    and the exit code is 1.

    \b
    Example:
      tfft predict runs/classifier photos/
      tfft predict saved_models/classifier/tflite/1/classifier_float32.tflite a.jpg --top 1
      tfft predict grpc://localhost:8500/classifier a.jpg
    """
    paths = find_images(images)
    with results_stream() as results:
        silent = quiet or results.isatty() or len(paths) <= _BATCH_SIZE
        with shown_progress(silent) as progress:
            predictor = tfft.load_predictor(model, info=info, timeout_s=timeout)
            answers = predict_files(predictor, paths, top, progress)
            print_answers = _print_json if as_json else _print_lines
            failed = print_answers(results, answers)
    if failed:
        raise TfftError(f"{failed} of {len(paths)} images could not be read.")


def predict_files(
    predictor: "Predictor", paths: Sequence[str], top: int, progress: Progress
) -> Iterator[dict[str, Any]]:
    """Yields an answer for each path, in order: its predictions by head, or its error.

    Images are read, and decoded unless the model does that itself, by threads while the batch
    before them is predicted; two batches are in memory, however many paths there are.
    """
    task = progress.start("predicting", len(paths))
    model_decodes = predictor.decoder == "model"
    answer = _answers_from_bytes if model_decodes else _answers_from_pixels
    for batch in _opened_batches(predictor, paths, _encoded if model_decodes else _pixels):
        seen = [image for _, image in batch if isinstance(image, _Seen)]
        answers = iter(answer(predictor, [image.content for image in seen]) if seen else ())
        for path, image in batch:
            said = next(answers) if isinstance(image, _Seen) else image
            if isinstance(image, _Seen) and not isinstance(said, str):
                predictions = {
                    head: _prediction(predictor.info.heads[head], row, image.part, top)
                    for head, row in said.items()
                }
                yield {"path": path, "predictions": predictions}
            else:
                yield {"path": path, "error": said}
        task.advance(len(batch))
    task.close()


def _opened_batches(
    predictor: "Predictor", paths: Sequence[str], content: "_Content"
) -> Iterator[list[tuple[str, "_Seen | str"]]]:
    with ThreadPoolExecutor(_DECODERS) as decoders:
        chunks = [paths[i : i + _BATCH_SIZE] for i in range(0, len(paths), _BATCH_SIZE)]

        def decode(chunk: Sequence[str]) -> Iterable["_Seen | str"]:
            return decoders.map(lambda path: _opened(predictor, path, content), chunk)

        ahead = decode(chunks[0])
        for chunk, following in itertools.zip_longest(chunks, chunks[1:], fillvalue=()):
            decoded = list(ahead)
            ahead = decode(following)
            yield list(zip(chunk, decoded, strict=True))


class _Seen(NamedTuple):
    """What a model is given of an image.

    Attributes:
        content: its pixels, float32 [height, width, 3], or its bytes.
        part: which part of the upright image the model sees, float32 [4], shares.
    """

    content: Any
    part: np.ndarray


_Content = Callable[["Predictor", bytes], Any]


def _pixels(predictor: "Predictor", encoded: bytes) -> np.ndarray:
    (pixels,) = predictor.pixels([encoded])
    return pixels


def _encoded(_: "Predictor", encoded: bytes) -> bytes:
    if not all(image_size(encoded)):
        raise DataError("a broken image: its header cannot be read")
    return encoded


def _opened(predictor: "Predictor", path: str, content: _Content) -> _Seen | str:
    """Returns what the model is given of one image, or what is wrong with it."""
    try:
        encoded = Path(path).read_bytes()
        given = content(predictor, encoded)
        return _Seen(given, visible_part(*image_size(encoded), predictor.info.pixels))
    except OSError as error:
        return str(error.strerror)
    except DataError as error:
        return str(error)


_Answer = dict[str, np.ndarray] | str


def _answers_from_pixels(predictor: "Predictor", pixels: Sequence[np.ndarray]) -> Iterator[_Answer]:
    return _rows(predictor.answers(np.stack(pixels)))


def _answers_from_bytes(predictor: "Predictor", encoded: Sequence[bytes]) -> Iterator[_Answer]:
    """Yields a row by head for each image, or why the model cannot read it."""
    unreadable: dict[int, str] = {}
    try:
        rows = _rows(predictor.answers_from_bytes(encoded))
    except UnreadableImagesError as error:
        unreadable = error.reasons
        others = [image for k, image in enumerate(encoded) if k not in unreadable]
        rows = _rows(predictor.answers_from_bytes(others)) if others else iter(())
    for position in range(len(encoded)):
        yield unreadable[position] if position in unreadable else next(rows)


def _rows(answers: dict[str, np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
    heads = list(answers)
    for row in zip(*answers.values(), strict=True):
        yield dict(zip(heads, row, strict=True))


def _prediction(head: "HeadInfo", row: np.ndarray, part: np.ndarray, top: int) -> Any:
    """Returns what a head says of one image: labels, a box in the whole image, or a number."""
    if head.kind == "box":
        return {"box": [float(edge) for edge in boxes_in_image(row, part)]}
    if head.kind == "regression":
        return {"value": float(row[0])}
    best = np.argsort(-row, kind="stable")[:top]
    return [{"label": head.class_names[k], "probability": float(row[k])} for k in best]


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


def predictions_text(predictions: dict[str, Any]) -> str:
    """Returns predictions as text; heads are named when there are several."""
    texts = {head: _prediction_text(said) for head, said in predictions.items()}
    if len(texts) == 1:
        return next(iter(texts.values()))
    return "; ".join(f"{head}: {text}" for head, text in texts.items())


def _prediction_text(said: Any) -> str:
    if isinstance(said, list):
        return ", ".join(f"{label['label']} {label['probability']:.1%}" for label in said)
    if "box" in said:
        return " ".join(f"{edge:.3f}" for edge in said["box"])
    return f"{said['value']:.4g}"


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
