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
from tfft.data.kept_splits import hexadecimal
from tfft.data.labels import read_labels
from tfft.desk.comparison import accuracy, compared
from tfft.desk.photos import load_photos
from tfft.desk.recipe import recipe_of_desk
from tfft.errors import TfftError
from tfft.evaluation.predict import predict_index
from tfft.runs.run import open_run
from tfft.runtime.load import load_predictor
from tfft.system.signals import signals_interrupt
from tfft.system.workers import INTERRUPTED, Events, events_of_this_worker
from tfft.transfer import train as training

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
        run: Run whose backbone sees them, and whose answers are returned; None: the backbone of the
            recipe `classifier`, and answers of models that were not trained on the photo.
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
    recipe = recipe_of_desk(data, run, labels if labels.exists() else None)
    trained = training.train(recipe, progress=progress)
    photos = load_photos(recipe, progress)
    answers = _answers(photos.index, trained.path, progress)
    result: dict[str, Any] = {"run": str(trained.path), "evaluation": None, "comparison": None}
    decided = read_labels(labels) if labels.exists() else {}
    now = [decided.get(p, own) for p, own in zip(photos.index.ids, photos.labels, strict=True)]
    runs = [trained.path] if run is None else [trained.path, run]
    judged = [place for place in _unseen(photos.index, runs) if now[place]]
    if judged:
        paths = [photos.index.ids[place] for place in judged]
        truth, said = [now[place] for place in judged], [answers[path][0][0] for path in paths]
        result["evaluation"] = accuracy(truth, said)
        if run is not None:
            ((_, info),) = load_predictor(run).info.heads.items()
            others = _answers(photos.index.take(judged), run, progress)
            before = [others[path][0][0] for path in paths]
            result["comparison"] = compared(paths, truth, before, said, info.class_names).to_json()
    return {"training": result, "answers": answers, "unseen": False}


def _unseen(index: ImageIndex, runs: Sequence[Path]) -> list[int]:
    """Returns the places of the photos that no run was trained on, or chosen by."""
    seen: set[str] = set()
    for run in runs:
        kept = open_run(run)[0].kept_splits()
        if kept is None:
            raise TfftError(
                f"{run} does not say which photos it was trained on: it cannot be compared fairly. "
                "Train it again, and open the desk with the new run."
            )
        seen |= kept.digests_of("train") | kept.digests_of("validation")
    return [place for place, digest in enumerate(hexadecimal(index)) if digest not in seen]


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
