"""The features of images: what a trained model hands to a head, for search, clusters and plots."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfft.config.loading.overrides import Overrides
from tfft.data.dataset import BadImage, shown
from tfft.data.examples import Images
from tfft.data.split_list import target_texts
from tfft.errors import ModelFileError, UsageError, nearest
from tfft.evaluation.data import images_for_features, parts_of_split, together
from tfft.evaluation.feature_files import Described, require_feature_file, write_features
from tfft.runtime.info import ModelInfo
from tfft.runtime.load import find_saved_model, load_predictor
from tfft.runtime.served.address import is_address
from tfft.system.paths import expanded
from tfft.system.progress import SILENT, Progress
from tfft.system.readable import Readable, counted, size_text
from tfft.version import __version__

if TYPE_CHECKING:
    import keras

    from tfft.runtime.keras_predictor import KerasPredictor

_BATCH_SIZE = 32


@dataclass(frozen=True, repr=False)
class FeatureFile(Readable):
    """A file with the features of images.

    Attributes:
        path: The file.
        bytes: Its size.
        model: Path of the model.
        head: Head that takes these features.
        images: Number of images.
        features: Number of features of an image.
        columns: What the file says of each image beside its features: ``id``, and where they are
            known ``label`` and ``split``; nothing in a ``.npy`` file.
        skipped: Files that are left out because they are no readable images.
        notes: Remarks about the images.
    """

    path: Path
    bytes: int
    model: str
    head: str
    images: int
    features: int
    columns: tuple[str, ...]
    skipped: tuple[BadImage, ...] = ()
    notes: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        return [
            f"{self.path}: {self.features:,} features of {counted(self.images, 'image')}, "
            f"{size_text(self.bytes)}",
            f"what head {self.head} of {self.model} takes",
            f"beside them: {', '.join(self.columns) or 'nothing'}",
            *shown([f"skipped {image.path}: {image.reason}" for image in self.skipped]),
        ]

    def to_json(self) -> dict[str, Any]:
        """Returns what ``tfft embed --json`` prints."""
        return {
            "path": str(self.path),
            "bytes": self.bytes,
            "model": self.model,
            "head": self.head,
            "images": self.images,
            "features": self.features,
            "columns": list(self.columns),
            "skipped": [{"path": image.path, "reason": image.reason} for image in self.skipped],
            "notes": list(self.notes),
        }


def embed(
    model: str | Path,
    data: Path | None = None,
    *,
    output: Path,
    head: str | None = None,
    split: str | None = None,
    overrides: Overrides = (),
    progress: Progress = SILENT,
) -> FeatureFile:
    """Computes the features of images and writes them to a file, whole or not at all.

    Memory does not grow with the number of images but by their names: a batch is written as it is
    computed. The images are decoded exactly, as in an evaluation, and the model below the head is
    computed as the frozen part of a training is.

    Args:
        model: Run directory or ``.keras`` file.
        data: Directory or manifest; default: the data that the model was trained on.
        output: The file, ``.parquet``, ``.npz`` or ``.npy``.
        head: Head whose features are meant; default: the first.
        split: ``train``, ``validation``, ``test`` or ``all``; default: ``all``.
        overrides: Values of the `data` section by which `data` are read; without `data`,
            ``data.labels`` alone.
        progress: Where progress is reported.

    Raises:
        ModelFileError: `model` is no model, or one whose features are not to be had.
        UsageError: `output` is no such file, or there is no such head.
        DataError: The images are not there, or some cannot be read.
        TfftError: `output` cannot be written to.
    """
    require_feature_file(output)
    predictor = _keras_model(model)
    info = predictor.info
    head = _head(info, head)
    loaded, has_splits, target = images_for_features(info, head, data, progress, overrides)
    parts = parts_of_split(loaded, split or "all", has_splits=has_splits)
    index = together(list(parts.values()))
    labels = [] if target is None else list(target_texts(loaded, index, target))
    splits = [name for name, part in parts.items() for _ in range(len(part))]
    described = Described(
        index.ids, labels if any(labels) else None, splits if has_splits else None
    )
    from tfft.model.features import feature_model

    inner = feature_model(predictor.model, head)
    size = int(inner.output.shape[-1])
    about = {"model": info.name, "head": head, "backbone": info.backbone, "tfft": __version__}
    rows = _features(inner, Images(index, info.pixels), progress)
    write_features(output, described, rows, size, about)
    return FeatureFile(
        path=output,
        bytes=output.stat().st_size,
        model=str(model),
        head=head,
        images=len(index),
        features=size,
        columns=() if output.suffix == ".npy" else tuple(described.columns()),
        skipped=loaded.skipped,
        notes=loaded.notes,
    )


def _keras_model(model: str | Path) -> "KerasPredictor":
    """Loads a model that can be opened below its heads.

    Raises:
        ModelFileError: It is no model, or one that only answers.
    """
    path = expanded(model)
    if is_address(str(model)) or path.suffix == ".tflite" or find_saved_model(path):
        raise ModelFileError(
            f"{model} gives its answers only, and features lie before them. Give the run that it "
            "was exported from, or a .keras file of tfft"
        )
    from tfft.runtime.keras_predictor import KerasPredictor

    predictor = load_predictor(path, engine="keras")
    assert isinstance(predictor, KerasPredictor)  # other kinds are refused above
    return predictor


def _head(info: ModelInfo, wanted: str | None) -> str:
    """Returns the name of the head that is meant.

    Raises:
        UsageError: There is no such head.
    """
    head = wanted or next(iter(info.heads))
    if head not in info.heads:
        raise UsageError(
            f"no head {head!r}. Its heads: {', '.join(info.heads)}.{nearest(head, info.heads)} "
            f"Received: {head}"
        )
    return head


def _features(inner: "keras.Model", images: Images, progress: Progress) -> Iterator[np.ndarray]:
    """Yields what a model makes of images, in batches, float32 [b, features]."""
    from tfft.transfer.frozen.function import fastest_function

    task = progress.start("features of images", len(images))
    batches = (batch["inputs"].numpy() for batch in images.exact_batches(_BATCH_SIZE))
    try:
        for first in batches:
            for (rows,) in fastest_function(inner, first)(chain([first], batches)):
                yield rows
                task.advance(len(rows))
    finally:
        task.close()
