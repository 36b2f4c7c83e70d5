"""What a run's model says of the images of a split, computed once and kept with the run."""

import hashlib
import json
from pathlib import Path

import numpy as np

from tfft.data.index import ImageIndex
from tfft.errors import TfftError
from tfft.evaluate.predict import predict_index
from tfft.runtime.predictor import Outputs, Predictor
from tfft.system.arrays import read_arrays, write_arrays
from tfft.system.progress import Progress

# Splits whose answers are kept; a training set can be too large for it, and nothing asks for them.
KEPT_SPLITS = ("validation", "test")
_BATCH_SIZE = 32
_KEY = "key"


def answers_of_run(
    predictor: Predictor, split: str, index: ImageIndex, progress: Progress
) -> Outputs:
    """Returns what each head of a run says of a split: as kept, or computed and then kept.

    Args:
        predictor: of a run.
        split: ``validation`` or ``test``.
        index: its images.
        progress: where the work is reported.

    Returns:
        As `Predictor.answers`, in the order of `index`.
    """
    run = run_directory(predictor)
    kept = None if run is None else _read(_file(run, split), answers_key(predictor, index))
    if kept is not None:
        return kept
    answers = predict_index(predictor, index, _BATCH_SIZE, f"predicting {split} images", progress)
    keep_answers(predictor, split, index, answers)
    return answers


def keep_answers(predictor: Predictor, split: str, index: ImageIndex, answers: Outputs) -> None:
    """Writes what a run's model says of a split to ``evaluation/<split>.npz`` of the run."""
    run = run_directory(predictor)
    if run is not None and split in KEPT_SPLITS:
        key = np.array(answers_key(predictor, index))
        write_arrays(_file(run, split), {**answers, _KEY: key})


def answers_key(predictor: Predictor, index: ImageIndex) -> str:
    """Returns a sha256 of what decides the answers: the model, its pixels, the images."""
    with Path(predictor.path).open("rb") as file:
        model = hashlib.file_digest(file, "sha256").hexdigest()
    parts = [model, predictor.info.pixels.to_json(), index.fingerprint()]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def run_directory(predictor: Predictor) -> Path | None:
    """Returns the run that a model is of, or None if it is none's."""
    parent = Path(predictor.path).parent
    return parent if (parent / "run.json").is_file() else None


def _file(run: Path, split: str) -> Path:
    return run / "evaluation" / f"{split}.npz"


def _read(path: Path, key: str) -> Outputs | None:
    if not path.is_file():
        return None
    try:
        arrays = read_arrays(path)
    except TfftError:  # written by something else; it is computed and written again
        return None
    return arrays if str(arrays.pop(_KEY, "")) == key else None
