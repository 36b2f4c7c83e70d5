"""The work of a desk in its own process: ``python -m tfft.desk.worker JSON``.

It audits the photos, or trains on them and compares the new model with the one before.
`tfft.system.workers` has how it reports and when it stops.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfft.data.index import ImageIndex
from tfft.desk.photos import load_photos
from tfft.desk.recipe import recipe_of_desk
from tfft.errors import DataError, TfftError
from tfft.evaluation.compare_models import compare_models
from tfft.evaluation.evaluate import evaluate
from tfft.evaluation.predict import predict_index
from tfft.runtime.load import load_predictor
from tfft.system.signals import signals_interrupt
from tfft.system.workers import INTERRUPTED, Events, events_of_this_worker
from tfft.transfer import start

Answer = tuple[str, float]
_BATCH_SIZE = 32
# Classes that are named beside a photo.
_CLASSES = 5


def main(arguments: list[str]) -> int:
    """Does the work and returns the exit code."""
    wanted = json.loads(arguments[0])
    events = events_of_this_worker()
    run = None if wanted["run"] is None else Path(wanted["run"])
    try:
        with signals_interrupt():
            work = {"audit": audit, "train": train}[wanted["kind"]]
            events.send(result=work(Path(wanted["data"]), run, Path(wanted["labels"]), events))
    except TfftError as error:
        events.send(error=str(error))
        return error.exit_code
    except KeyboardInterrupt as interrupt:
        events.send(error="\n".join(getattr(interrupt, "__notes__", [])))  # how to continue
        return INTERRUPTED
    return 0


def audit(data: Path, run: Path | None, labels: Path, progress: Events) -> dict[str, Any]:
    """Looks for photos that are labelled wrongly or of little use.

    Args:
        data: The photos.
        run: Run whose recipe is taken, with its backbone as it was before the training, and whose
            answers are returned; None: the recipe `classifier`, and answers of models that were not
            trained on the photo.
        labels: The labels file.
        progress: Where the work is reported.

    Returns:
        What was found, in the order of the list, and the answers.
    """
    from tfft.audit.audit import audit as look_through
    from tfft.audit.findings import KINDS

    recipe = recipe_of_desk(data, run, labels if labels.exists() else None)
    found = look_through(recipe, progress=progress)
    paths = found.index.ids
    answers = (
        _answers(load_photos(recipe, progress).index, run, progress)
        if run
        else dict(zip(paths, _best(found.class_names, found.probabilities), strict=True))
    )
    return {
        "findings": [finding.to_json() for finding in found.findings],
        "kinds": KINDS,
        "answers": answers,
        "unseen": run is None,
    }


def train(data: Path, run: Path | None, labels: Path, progress: Events) -> dict[str, Any]:
    """Trains on the photos with the labels that were decided.

    Args:
        data: The photos.
        run: Run whose recipe is repeated and with which the new one is compared; None: the recipe
            `classifier`, and nothing is compared.
        labels: The labels file.
        progress: Where the work is reported.

    Returns:
        The new run, how good it is or how it compares, and its answers.
    """
    used = labels if labels.exists() else None
    recipe = recipe_of_desk(data, run, used)
    trained = start.train(recipe, progress=progress).path
    result: dict[str, Any] = {"run": str(trained)}
    with_labels = {} if used is None else {"data.labels": str(used)}
    try:
        if run is None:
            ((_, metrics),) = evaluate(trained, progress=progress).metrics.items()
            result |= {key: metrics[key] for key in ("examples", "top1", "top1_interval")}
        else:
            compared = compare_models(
                run, trained, data=data, overrides=with_labels, progress=progress
            )
            ((_, head),) = compared.heads.items()
            result |= {"comparison": head.to_json(), "notes": list(compared.notes)}
    except DataError as error:  # no photo is left that the models were not trained on
        result["not_compared"] = str(error)
    answers = _answers(load_photos(recipe, progress).index, trained, progress)
    return {"training": result, "answers": answers, "unseen": False}


def _answers(index: ImageIndex, run: Path, progress: Events) -> dict[str, list[Answer]]:
    """Returns the likeliest classes of each photo with their probabilities, by its path."""
    predictor = load_predictor(run)
    ((head, info),) = predictor.info.heads.items()
    outputs = predict_index(predictor, index, _BATCH_SIZE, f"asking {run.name}", progress)[head]
    return dict(zip(index.ids, _best(info.class_names, outputs), strict=True))


def _best(class_names: Sequence[str], probabilities: np.ndarray) -> list[list[Answer]]:
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :_CLASSES]
    return [
        [(class_names[int(k)], round(float(row[k]), 4)) for k in classes]
        for row, classes in zip(probabilities, best, strict=True)
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
