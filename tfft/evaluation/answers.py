"""The model of a run, and what it says of each image of a split, kept with the run.

Calibration and report take the answers instead of computing them again; paired tests need to know
which images two models get right.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tfft.data.index import ImageIndex
from tfft.errors import ModelFileError, NewerFormatError, TfftError
from tfft.evaluation.predict import predict_index
from tfft.runs.run import no_run, require_run
from tfft.runtime.load import load_predictor
from tfft.runtime.predictor import Outputs, Predictor
from tfft.system.digests import file_sha256
from tfft.system.files import read_arrays, write_arrays
from tfft.system.formats import ANSWERS
from tfft.system.progress import Progress
from tfft.system.readable import command_text

if TYPE_CHECKING:
    from tfft.runtime.keras_predictor import KerasPredictor

_BATCH_SIZE = 32


@dataclass(frozen=True, eq=False)
class Answers:
    """The answers of a model on one split.

    Attributes:
        ids: Ids of the images, str [images].
        targets: Targets by head, numbered as the model's, [images, ...]; empty where only answers
            were asked for.
        outputs: Answers by head, as `Predictor.answers` gives them, float32 [images, ...].
        key: SHA-256 of what determines the outputs: the model, its pixels and the images.
    """

    ids: np.ndarray
    targets: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]
    key: str = ""

    def right(self, head: str) -> np.ndarray:
        """Returns where a head for classes is right, bool [images]."""
        return self.outputs[head].argmax(axis=1) == self.targets[head]


def load_run(run: Path) -> "KerasPredictor":
    """Loads the Keras model of a run itself, also where a converted one would answer for it.

    Raises:
        ModelFileError: `run` is not a run, or has no model.
    """
    from tfft.runtime.keras_predictor import KerasPredictor

    predictor = load_predictor(require_run(run).path, engine="keras")
    if not isinstance(predictor, KerasPredictor):
        raise no_run(run, "model.keras")
    return predictor


def answers_of_run(
    predictor: Predictor, split: str, index: ImageIndex, progress: Progress
) -> Outputs:
    """Returns what each head of a run says of a split: as kept, or computed and then kept.

    Args:
        predictor: Model of the run.
        split: Name of a split of the run's data.
        index: Images of the split.
        progress: Where progress is reported.

    Returns:
        The answers by head, as `Predictor.answers` gives them, in the order of `index`.
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
    """Returns the kept answers on a split; None if none are kept that can be read with this key."""
    try:
        kept = load_answers(run, split)
    except ModelFileError:
        return None
    return kept if kept.key == key else None


def save_answers(run: Path, split: str, answers: Answers) -> None:
    """Writes ``evaluation/<split>.npz`` into a run: 4 bytes for each class and image."""
    arrays = {
        "ids": answers.ids,
        "key": np.array(answers.key),
        **{f"targets/{head}": values for head, values in answers.targets.items()},
        **{f"outputs/{head}": values for head, values in answers.outputs.items()},
    }
    write_arrays(_file(run, split), ANSWERS.stamped(arrays))


def load_answers(run: Path, split: str) -> Answers:
    """Reads what `save_answers` wrote.

    Raises:
        ModelFileError: The run was not evaluated on this split, or the file is damaged.
        NewerFormatError: A newer version of tfft kept them.
    """
    path = _file(run, split)
    if not path.is_file():
        raise ModelFileError(
            f"{run} has no answers on its {split} images: {path} is missing. "
            f"Run: {command_text('evaluate', run, '--split', split)}"
        )
    try:
        arrays = ANSWERS.upgraded(read_arrays(path), path)
        ids, key = arrays.pop("ids"), str(arrays.pop("key"))
    except NewerFormatError:  # not damaged: nothing is computed over it
        raise
    except (TfftError, KeyError) as error:
        raise ModelFileError(f"cannot read {path}: {error}") from error
    return Answers(ids, _group(arrays, "targets"), _group(arrays, "outputs"), key)


def answers_key(predictor: Predictor, index: ImageIndex) -> str:
    """Returns the SHA-256 of what determines the answers: the model, its pixels, the images."""
    model = file_sha256(Path(predictor.path))
    parts = [model, predictor.info.pixels.to_json(), index.fingerprint()]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def run_directory(predictor: Predictor) -> Path | None:
    """Returns the run that a model belongs to, or None."""
    parent = Path(predictor.path).parent
    return parent if (parent / "run.json").is_file() else None


def _file(run: Path, split: str) -> Path:
    return run / "evaluation" / f"{split}.npz"


def _group(arrays: Mapping[str, np.ndarray], group: str) -> dict[str, np.ndarray]:
    prefix = f"{group}/"
    return {n.removeprefix(prefix): v for n, v in arrays.items() if n.startswith(prefix)}
