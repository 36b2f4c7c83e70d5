"""What a model said about each image, kept in its run: paired tests need more than figures."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from tfft.errors import ModelFileError
from tfft.system.files import atomic_path


@dataclass(frozen=True, eq=False)
class Answers:
    """The answers of a model on one split.

    Attributes:
        ids: of the images, str [images].
        targets: by head, as the model counts them, [images, ...].
        outputs: by head, float32 [images, ...], such as probabilities.
    """

    ids: np.ndarray
    targets: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]

    def right(self, head: str) -> np.ndarray:
        """Returns where a head for classes is right, bool [images]."""
        return self.outputs[head].argmax(axis=1) == self.targets[head]


def save_answers(
    run: Path,
    split: str,
    ids: tuple[str, ...],
    targets: Mapping[str, np.ndarray],
    outputs: Mapping[str, np.ndarray],
) -> None:
    """Writes ``evaluation/<split>.npz`` of a run: 4 bytes a class and image."""
    arrays = {
        "ids": np.array(ids),
        **{f"targets/{head}": values for head, values in targets.items()},
        **{f"outputs/{head}": values for head, values in outputs.items()},
    }
    with atomic_path(_file(run, split)) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, **arrays)


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
        # Opened here, since np.load (2.4) leaves a file open that is no archive.
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as saved:
            arrays = {name: saved[name] for name in saved.files}
        ids = arrays.pop("ids")
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise ModelFileError(f"cannot read {path}: {error}") from error
    return Answers(ids, _group(arrays, "targets"), _group(arrays, "outputs"))


def _file(run: Path, split: str) -> Path:
    return run / "evaluation" / f"{split}.npz"


def _group(arrays: Mapping[str, np.ndarray], group: str) -> dict[str, np.ndarray]:
    prefix = f"{group}/"
    return {n.removeprefix(prefix): v for n, v in arrays.items() if n.startswith(prefix)}
