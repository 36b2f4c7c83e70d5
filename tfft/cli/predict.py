"""`tfft predict`: what is in images, by any model. Few of them need TensorFlow."""

import itertools
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

import click
import numpy as np

import tfft
from tfft.cli.answer_first import answer_first
from tfft.cli.answers_csv import kept_answers
from tfft.cli.image_files import find_images
from tfft.cli.options import (
    PathType,
    allow_op_option,
    engine_option,
    info_option,
    json_option,
    quiet_option,
    timeout_option,
)
from tfft.cli.output import json_text, results_stream, say
from tfft.cli.progress import shown_progress
from tfft.cli.sorted_copies import SortedCopies
from tfft.data.notes import Notes
from tfft.errors import DataError, TfftError, UnreadableImagesError
from tfft.images.formats import MAX_BYTES, check_length
from tfft.images.geometry import boxes_in_image, visible_part
from tfft.images.inspect import image_size
from tfft.images.portable import portable
from tfft.system.files import require_writable
from tfft.system.listing import file_fault
from tfft.system.names import UNLIKENESS
from tfft.system.printable import printable_name
from tfft.system.progress import Progress
from tfft.system.readable import counted

if TYPE_CHECKING:
    from tfft.runtime.info import HeadInfo
    from tfft.runtime.predictor import Predictor

_BATCH_SIZE = 32
_DECODERS = 4


@click.command()
@click.argument("model", metavar="MODEL")
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True)
@click.option(
    "--top",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="Number of labels per image.",
)
@click.option(
    "--csv",
    "table",
    type=PathType(),
    metavar="FILE",
    help="Write the answers to a CSV file, a row an image. One that is there is replaced.",
)
@click.option(
    "--sort-into",
    type=PathType(),
    metavar="DIR",
    help="Copy each image into a folder of DIR, named as its class. The images themselves stay "
    "where they are.",
)
@info_option
@timeout_option
@engine_option
@allow_op_option
@json_option
@quiet_option
def command(
    model: str,
    images: tuple[str, ...],
    top: int,
    table: Path | None,
    sort_into: Path | None,
    info: Path | None,
    timeout: float | None,
    engine: str | None,
    allow_ops: tuple[str, ...],
    as_json: bool,
    quiet: bool,
) -> None:
    """Say what is in images.

    MODEL is a run, a .keras file, a SavedModel, a .tflite file or the URL of a served model,
    http://HOST:PORT/v1/models/NAME or grpc://HOST:PORT/NAME. IMAGE is a file, a folder (with its
    subfolders), a pattern, or - for paths on standard input, a line each. An image that cannot be
    read is reported, the others are predicted, and the exit code is 1. Where the model has an
    operating point (tfft calibrate), the answer by it comes first, and the threshold is said.

    An answer begins with "unsure" where an image is less like the training images than those that
    the threshold of the model keeps (unsure.keep of its recipe), with how many times as far from
    them it is. --json has both for every image.

    \b
    Example:
      tfft predict runs/classifier photos/
      tfft predict runs/classifier photos/ --csv answers.csv --sort-into sorted/
      find archive/ -name '*.jpg' -mtime -1 | tfft predict runs/classifier -
      tfft predict saved_models/classifier/tflite/1/classifier_float32.tflite a.jpg --top 1
      tfft predict grpc://localhost:8500/classifier a.jpg
    """
    notes = Notes()
    paths = find_images(images, notes)
    with results_stream() as results:
        if not quiet:
            say(*notes.lines())
        if table is not None:
            require_writable(table.parent)
        shows_answers = as_json or (table is None and sort_into is None)
        silent = quiet or (shows_answers and results.isatty()) or len(paths) <= _BATCH_SIZE
        with shown_progress(silent) as progress:
            predictor = tfft.load_predictor(
                model, info=info, timeout_s=timeout, allow_ops=allow_ops, engine=engine
            )
            answers = predict_files(predictor, paths, top, progress)
            copies = None if sort_into is None else SortedCopies(sort_into, predictor.info.heads)
            if copies is not None:
                answers = copies.follow(answers)
            if table is not None:
                answers = kept_answers(answers, predictor.info, top, table)
            shown = results if shows_answers else None
            failed = _print_json(results, answers) if as_json else _print_lines(shown, answers)
        if not shows_answers and table is not None:
            results.write(printable_name(f"{table}: {counted(len(paths), 'image')}") + "\n")
        if not shows_answers and copies is not None:
            results.write(printable_name(f"{sort_into}: {copies.summary}") + "\n")
    if failed:
        raise TfftError(f"{failed} of {len(paths)} images could not be read.")


def predict_files(
    predictor: "Predictor", paths: Sequence[str], top: int, progress: Progress
) -> Iterator[dict[str, Any]]:
    """Yields an answer for each path, in order: its predictions by head, or its error.

    While a batch is predicted, threads read the images of the next one, and decode them unless the
    model does that itself; two batches are in memory, however many paths there are.
    """
    task = progress.start("predicting", len(paths))
    for batch in _opened_batches(predictor, paths):
        seen = [image for _, image in batch if isinstance(image, _Seen)]
        answers = _answers(predictor, [image.content for image in seen])
        for path, image in batch:
            said = next(answers) if isinstance(image, _Seen) else image
            if isinstance(image, _Seen) and not isinstance(said, str):
                predictions = {
                    head: _prediction(info, said[head], image.part, top)
                    for head, info in predictor.info.heads.items()
                }
                yield {"path": path, "predictions": predictions, **_unsure(said)}
            else:
                yield {"path": path, "error": said}
        task.advance(len(batch))
    task.close()


def _opened_batches(
    predictor: "Predictor", paths: Sequence[str]
) -> Iterator[list[tuple[str, "_Seen | str"]]]:
    """Yields batches of paths, each with what the model is given or what is wrong with the file."""
    with ThreadPoolExecutor(_DECODERS) as decoders:
        chunks = [paths[i : i + _BATCH_SIZE] for i in range(0, len(paths), _BATCH_SIZE)]

        def decode(chunk: Sequence[str]) -> Iterable["_Seen | str"]:
            return decoders.map(partial(_opened, predictor), chunk)

        ahead = decode(chunks[0])
        for chunk, following in itertools.zip_longest(chunks, chunks[1:], fillvalue=()):
            decoded = list(ahead)
            ahead = decode(following)
            yield list(zip(chunk, decoded, strict=True))


class _Seen(NamedTuple):
    """What a model is given of an image.

    Attributes:
        content: Pixels of the image, float32 [height, width, 3], or its encoded bytes.
        part: Part of the upright image that the model sees, float32 [4], in shares.
    """

    content: Any
    part: np.ndarray


def _opened(predictor: "Predictor", path: str) -> _Seen | str:
    """Returns what the model is given of one image, or what is wrong with it."""
    # A pipe that the shell made, as for <(COMMAND), can be read; one that lies in a folder may wait
    # for ever.
    if not path.startswith(("/dev/fd/", "/dev/stdin")) and (fault := file_fault(Path(path))):
        return fault
    try:
        content: Any = (encoded := _read(path))
        if predictor.decoder != "model":
            (content,) = predictor.pixels([encoded])
        elif not all(image_size(encoded)):
            raise DataError("a broken image: its header cannot be read")
        else:
            content = portable(encoded)
        return _Seen(content, visible_part(*image_size(encoded), predictor.info.pixels))
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    except DataError as error:
        return str(error)


def _read(path: str) -> bytes:
    """Returns the content of a file, or of what a pipe gives, up to the length of an image."""
    with Path(path).open("rb") as file:
        check_length(os.fstat(file.fileno()).st_size)
        content = file.read(MAX_BYTES + 1)
    check_length(len(content))
    return content


_Answer = dict[str, np.ndarray] | str


def _answers(predictor: "Predictor", contents: Sequence[Any]) -> Iterator[_Answer]:
    """Yields a row by head for each image, or why the model cannot read it."""
    if not contents:
        return
    unreadable: dict[int, str] = {}
    if predictor.decoder != "model":
        rows = _rows(predictor.answers(np.stack(contents)))
    else:
        try:
            rows = _rows(predictor.answers_from_bytes(contents))
        except UnreadableImagesError as error:
            unreadable = error.reasons
            others = [image for k, image in enumerate(contents) if k not in unreadable]
            rows = _rows(predictor.answers_from_bytes(others)) if others else iter(())
    for position in range(len(contents)):
        yield unreadable[position] if position in unreadable else next(rows)


def _rows(answers: dict[str, np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
    heads = list(answers)
    for row in zip(*answers.values(), strict=True):
        yield dict(zip(heads, row, strict=True))


def _prediction(head: "HeadInfo", row: np.ndarray, part: np.ndarray, top: int) -> Any:
    """Returns the prediction of a head for one image: labels, a box in the image, or a number.

    Of classes the `top` most probable ones; also all others that apply or have an operating point.
    """
    if head.kind == "box":
        return {"box": [float(edge) for edge in boxes_in_image(row, part)]}
    if head.kind == "regression":
        return {"value": float(row[0])}
    ranked = np.argsort(-row, kind="stable")
    labels = [{"label": head.class_names[k], "probability": float(row[k])} for k in ranked]
    thresholds = {point.label: point.threshold for point in head.operating_points}
    for label, k in zip(labels, ranked, strict=True):
        if label["label"] in thresholds:
            label["threshold"] = thresholds[label["label"]]
        if head.kind == "multi_label" or "threshold" in label:
            label["applies"] = bool(row[k] > np.float32(head.threshold(k)))
    if head.kind == "classification" and thresholds:
        _mark_answer(labels)
    return [label for place, label in enumerate(labels) if place < top or _must_be_said(label)]


def _mark_answer(labels: list[dict[str, Any]]) -> None:
    """Marks what a classification says by its operating point.

    It is the class that has one where that applies, and otherwise the most probable of the others.
    """
    (own,) = (label for label in labels if "threshold" in label)
    answer = own if own["applies"] else next((label for label in labels if label is not own), own)
    for label in labels:
        label["answer"] = label is answer


def _must_be_said(label: Mapping[str, Any]) -> bool:
    return label.get("applies", False) or label.get("answer", False) or "threshold" in label


def _unsure(said: dict[str, np.ndarray]) -> dict[str, Any]:
    """Returns whether the model is unsure of an image, and how unlike its training images it is."""
    if UNLIKENESS not in said:
        return {}
    unlikeness = float(said[UNLIKENESS][0])
    return {"unsure": unlikeness > 1.0, "unlikeness": unlikeness}


def _print_lines(results: TextIO | None, answers: Iterable[dict[str, Any]]) -> int:
    """Prints one line per image, if anywhere, errors to stderr; returns the number of errors."""
    failed = 0
    for answer in answers:
        if "error" in answer:
            failed += 1
            say(f"tfft: {printable_name(answer['path'])}: {answer['error']}")
        elif results is not None:
            text = predictions_text(answer["predictions"])
            if answer.get("unsure"):
                text = f"unsure ({answer['unlikeness']:.2f}); {text}"
            line = f"{answer['path']}: {text}"
            results.write(f"{printable_name(line)}\n")
    return failed


def predictions_text(predictions: dict[str, Any]) -> str:
    """Returns predictions as text; heads are named if there are several."""
    texts = {head: _prediction_text(said) for head, said in predictions.items()}
    if len(texts) == 1:
        return next(iter(texts.values()))
    return "; ".join(f"{head}: {text}" for head, text in texts.items())


def _prediction_text(said: Any) -> str:
    if isinstance(said, list):
        if any("answer" in label for label in said):
            return ", ".join(map(_label_text, answer_first(said)))
        shown = [label for label in said if label.get("applies", True)]
        text = ", ".join(map(_label_text, shown or said))
        return text if shown else f"no label applies ({text})"
    if "box" in said:
        return " ".join(f"{edge:.3f}" for edge in said["box"])
    return f"{said['value']:.4g}"


def _label_text(label: Mapping[str, Any]) -> str:
    text = f"{label['label']} {label['probability']:.1%}"
    if "threshold" not in label:
        return text
    return f"{text} ({'above' if label['applies'] else 'not above'} {label['threshold']:.1%})"


def _print_json(results: TextIO, answers: Iterable[dict[str, Any]]) -> int:
    """Prints one JSON list, each entry on its line as it comes; returns the number of errors."""
    failed = 0
    separator = "[\n"
    for answer in answers:
        failed += "error" in answer
        results.write(separator + json_text(answer))
        separator = ",\n"
    results.write("\n]\n")
    return failed
