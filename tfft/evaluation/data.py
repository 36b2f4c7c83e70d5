"""Which images a MODEL is evaluated on, and which of its classes they belong to."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter, ValidationError

from tfft.config.data import DataConfig
from tfft.data.dataset import ImageData
from tfft.data.examples import exact_targets
from tfft.data.index import ImageIndex
from tfft.data.load import load_data
from tfft.data.sources.folder import split_folders
from tfft.errors import DataError, ModelFileError, nearest
from tfft.runtime.info import HeadInfo, ModelInfo
from tfft.system.progress import Progress

_TELLS = "For the URL of a server, --info RUN says it; otherwise evaluate the run."
_DATA: TypeAdapter = TypeAdapter(DataConfig)


def evaluation_images(
    info: ModelInfo, split: str, data: Path | None, progress: Progress
) -> tuple[ImageIndex, ImageData, str]:
    """Returns the images to evaluate on, the data they are from, and the name of the split.

    Args:
        info: Description of the model.
        split: ``train``, ``validation``, ``test``, or ``all`` for all of them.
        data: Directory or manifest; None: the data that the model was trained on. Other data
            without splits of their own are used whole, whatever `split` says: the model was trained
            on none of them.
        progress: Where progress is reported.

    Raises:
        DataError: There is no such split.
        ModelFileError: The model does not say what it was trained on.
    """
    if data is None or str(data.absolute()) == (info.data or {}).get("path"):
        loaded = recorded_data(info, progress)
    else:
        kind = "manifest" if data.suffix.lower() == ".csv" else "image_folder"
        config = _DATA.validate_python({"kind": kind, "path": data.absolute()})
        loaded = load_data(config, progress, _wanted(info))
        if not _has_splits(data):
            split = "all"
            if _is_place_hidden(info):
                progress.message(
                    f"all images of {data} are counted, including any that the model was trained "
                    f"on: an export does not say where those are. {_TELLS}"
                )
    if split == "all":
        return together(list(loaded.splits.values())), loaded, split
    if split not in loaded.splits:
        raise DataError(
            f"{loaded.name} has no {split} images; it has {', '.join(loaded.splits)}, or all."
            f"{nearest(split, loaded.splits)} Received: {split}"
        )
    return loaded.splits[split], loaded, split


def recorded_data(info: ModelInfo, progress: Progress) -> ImageData:
    """Returns the images that the model was trained on, in their splits.

    Raises:
        ModelFileError: The model does not say what it was trained on.
        DataError: The images are no longer there.
    """
    if info.data is None:
        raise ModelFileError("the model does not say what it was trained on; give --data DIR")
    if _is_place_hidden(info):
        raise ModelFileError(
            "an export does not say where the images are that it was trained on; give others with "
            f"--data DIR. {_TELLS}"
        )
    try:
        config = _DATA.validate_python(info.data)
    except ValidationError as error:
        raise ModelFileError(f"the model's record of its data cannot be read: {error}") from error
    return load_data(config, progress, _wanted(info))


def targets_of_model(
    info: ModelInfo, index: ImageIndex, data_names: Mapping[str, tuple[str, ...]]
) -> dict[str, np.ndarray]:
    """Returns the targets of each head, with the model's numbers of its classes.

    Classes and labels are matched by their names; boxes are shares of what the model sees of the
    image.

    Args:
        info: Description of the model.
        index: Images.
        data_names: Names of the classes of each target; classes without images do not matter.

    Raises:
        DataError: A class of the images is not one of the model's.
    """
    targets = exact_targets(index, info.pixels)
    found = {}
    for name, head in info.heads.items():
        values = targets[head.target]
        if head.kind == "classification":
            values = _translation(np.unique(values), data_names[head.target], head)[values]
        elif head.kind == "multi_label":
            present = np.flatnonzero(values.any(axis=0))
            columns = _translation(present, data_names[head.target], head)[present]
            found[name] = np.zeros((len(values), len(head.class_names)), np.float32)
            found[name][:, columns] = values[:, present]
            continue
        found[name] = values
    return found


def _translation(present: np.ndarray, data_names: tuple[str, ...], head: HeadInfo) -> np.ndarray:
    """Returns the model's number of each of the data's classes, int64 [classes]."""
    number = {name: index for index, name in enumerate(head.class_names)}
    unknown = [data_names[label] for label in present if data_names[label] not in number]
    if unknown:
        hints = "".join(f"\n  {name!r}{nearest(name, number)}" for name in unknown)
        raise DataError(
            f"the model does not know {len(unknown)} of the {len(present)} classes of these "
            f"images; it knows {len(number)}, such as {head.class_names[0]!r}:{hints}"
        )
    return np.array([number.get(name, -1) for name in data_names], np.int64)


def _is_place_hidden(info: ModelInfo) -> bool:
    """Says whether the images were in a folder or a list of which only the kind is recorded."""
    data = info.data or {}
    return data.get("kind") in ("image_folder", "manifest") and data.get("path") is None


def _wanted(info: ModelInfo) -> dict[str, str]:
    """Returns the kind of each target that the model's heads need."""
    return {head.target: head.kind for head in info.heads.values()}


def _has_splits(data: Path) -> bool:
    if data.is_dir():
        return bool(split_folders(data))
    if not data.is_file():
        return False
    with data.open(encoding="utf-8-sig", newline="") as stream:
        return "split" in next(csv.reader(stream), [])


def together(parts: Sequence[ImageIndex]) -> ImageIndex:
    """Returns the images of several splits of one data set as one index, split after split."""
    files = tuple(dict.fromkeys(file for part in parts for file in part.files))
    number = {file: index for index, file in enumerate(files)}
    boxes = [part.boxes for part in parts if part.boxes is not None]
    return ImageIndex(
        files=files,
        file_ids=np.concatenate(
            [np.array([number[f] for f in part.files], np.int32)[part.file_ids] for part in parts]
        ),
        offsets=np.concatenate([part.offsets for part in parts]),
        lengths=np.concatenate([part.lengths for part in parts]),
        ids=tuple(name for part in parts for name in part.ids),
        targets={
            name: np.concatenate([part.targets[name] for part in parts])
            for name in parts[0].targets
        },
        box_targets=parts[0].box_targets,
        boxes=np.concatenate(boxes) if boxes else None,
    )
