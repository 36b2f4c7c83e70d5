"""What a run's model says of each image of a split, kept with the run.

Calibration and report take the answers instead of computing them again; paired tests need to know
which images two models get right.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tfft.data.index import ImageIndex
from tfft.errors import ModelFileError, TfftError
from tfft.evaluation.predict import predict_index
from tfft.runtime.predictor import Outputs, Predictor
from tfft.system.files import read_arrays, write_arrays
from tfft.system.progress import Progress

_BATCH_SIZE = 32


@dataclass(frozen=True, eq=False)
class Answers:
    """The answers of a model on one split.

    Attributes:
        ids: of the images, str [images].
        targets: by head, as the model counts them, [images, ...]; empty where only answers were
            asked for.
        outputs: by head, as `Predictor.answers` gives them, float32 [images, ...].
        key: sha256 of what decides the outputs: the model, its pixels, the images.
    """

    ids: np.ndarray
    targets: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]
    key: str = ""

    def right(self, head: str) -> np.ndarray:
        """Returns where a head for classes is right, bool [images]."""
        return self.outputs[head].argmax(axis=1) == self.targets[head]


def answers_of_run(
    predictor: Predictor, split: str, index: ImageIndex, progress: Progress
) -> Outputs:
    """Returns what each head of a run says of a split: as kept, or computed and then kept.

    Args:
        predictor: of a run.
        split: of the run's data.
        index: its images.
        progress: where the work is reported.

    Returns:
        As `Predictor.answers`, in the order of `index`.
    """
    run, key = run_directory(predictor), answers_key(predictor, index)
    kept = kept_answers(run, split, key) if run is not None else None
    if kept is not None:
        return kept.outputs
    outputs = predict_index(predictor, index, _BATCH_SIZE, f"predicting {split} images", progress)
    if run is not None:
        save_answers(run, split, Answers(np.array(index.ids), {}, outputs, key))
    return outputs


def kept_answers(run: Path, split: str, key: str) -> Answers | None:
    """Returns what was kept of a split; None if nothing was, or it is damaged or of another key."""
    try:
        kept = load_answers(run, split)
    except ModelFileError:
        return None
    return kept if kept.key == key else None


def save_answers(run: Path, split: str, answers: Answers) -> None:
    """Writes ``evaluation/<split>.npz`` of a run: 4 bytes a class and image."""
    arrays = {
        "ids": answers.ids,
        "key": np.array(answers.key),
        **{f"targets/{head}": values for head, values in answers.targets.items()},
        **{f"outputs/{head}": values for head, values in answers.outputs.items()},
    }
    write_arrays(_file(run, split), arrays)


def load_answers(run: Path, split: str) -> Answers:
    """Reads what `save_answers` wrote.

    Raises:
        ModelFileError: The run was not evaluated on this split, or the file is damaged.
    """
    path = _file(run, split)
    if not path.is_file():
        raise ModelFileError(
            f"{run} has no answers on its {split} images: {path} is missing. "
            f"Run: tfft evaluate {run} --split {split}"
        )
    try:
        arrays = read_arrays(path)
        ids, key = arrays.pop("ids"), str(arrays.pop("key"))
    except (TfftError, KeyError) as error:
        raise ModelFileError(f"cannot read {path}: {error}") from error
    return Answers(ids, _group(arrays, "targets"), _group(arrays, "outputs"), key)


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


def _group(arrays: Mapping[str, np.ndarray], group: str) -> dict[str, np.ndarray]:
    prefix = f"{group}/"
    return {n.removeprefix(prefix): v for n, v in arrays.items() if n.startswith(prefix)}
