"""Which images a MODEL is evaluated on, and which of its classes they belong to."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter, ValidationError

from tfft.config.base import Section
from tfft.config.data import DataConfig
from tfft.config.loading.overrides import Overrides, apply_overrides, parse_overrides
from tfft.config.loading.source import Document
from tfft.config.loading.validate import validated
from tfft.data.dataset import ImageData
from tfft.data.examples import exact_targets
from tfft.data.index import ImageIndex, index_of_files
from tfft.data.kept_splits import hexadecimal, read_kept_splits
from tfft.data.load import load_data
from tfft.data.scan import scan_images
from tfft.data.sources.folder import split_folders
from tfft.errors import DataError, ModelFileError, UsageError, nearest
from tfft.runtime.info import HeadInfo, ModelInfo
from tfft.system.listing import list_files
from tfft.system.paths import expanded
from tfft.system.printable import printable_name
from tfft.system.progress import Progress
from tfft.system.readable import counted

_TELLS = "For the URL of a server, name its run by --info RUN; otherwise evaluate the run itself."
_DATA: TypeAdapter = TypeAdapter(DataConfig)


class _Images(Section):
    data: DataConfig


def evaluation_images(
    info: ModelInfo,
    split: str | None,
    data: Path | None,
    progress: Progress,
    overrides: Overrides = (),
) -> tuple[ImageIndex, ImageData, str]:
    """Returns the images to evaluate on, the data they are from, and the name of the split.

    Images of other data that the model was trained on, or chosen by, are left out if it keeps which
    they were, unless `split` is ``train`` or ``all``. The arguments and errors are those of
    `images_of_split`.
    """
    images, loaded, used, is_own = images_of_split(info, split, data, progress, overrides)
    if data is not None and not is_own and split not in ("train", "all"):
        images, notes = _never_seen(info, data, used != "all", images)
        for note in notes:
            progress.message(note)
        loaded = replace(loaded, notes=loaded.notes + notes)
    return images, loaded, used


def images_of_split(
    info: ModelInfo,
    split: str | None,
    data: Path | None,
    progress: Progress,
    overrides: Overrides = (),
) -> tuple[ImageIndex, ImageData, str, bool]:
    """Returns the images of a split, the data they are from, the name of the split, and whose.

    Args:
        info: Description of the model.
        split: ``train``, ``validation``, ``test``, or ``all`` for all of them; None: ``test``, and
            all of other data that have no splits.
        data: Directory or manifest; None: the data that the model was trained on.
        progress: Where progress is reported.
        overrides: Values of the `data` section by which other data are read, such as
            ``data.on_bad_image=skip``; of the model's own data, ``data.labels`` alone.

    Returns:
        Also whether the data are those that the model was trained on.

    Raises:
        DataError: There is no such split.
        ModelFileError: The model does not say what it was trained on.
        RecipeError: An override is not of the `data` section, or its value is wrong.
        UsageError: The model's own data are given other overrides.
    """
    is_own = data is None or str(data.absolute()) == (info.data or {}).get("path")
    if data is None or is_own:
        loaded, has_splits = recorded_data(info, progress, _labels_alone(overrides)), True
    else:
        has_splits = _has_splits(data)
        loaded = load_data(_config_of_images(data, has_splits, overrides), progress, _wanted(info))
    split = (split or "test") if has_splits else (split or "all")
    parts = parts_of_split(loaded, split, has_splits=has_splits)
    return together(list(parts.values())), loaded, split, is_own


def parts_of_split(loaded: ImageData, split: str, *, has_splits: bool) -> dict[str, ImageIndex]:
    """Returns the images of a split by its name; of ``all`` those of each split.

    Args:
        loaded: The images.
        split: ``train``, ``validation``, ``test`` or ``all``.
        has_splits: Whether they come in splits; otherwise all of them are in one.

    Raises:
        DataError: There is no such split.
    """
    if split == "all":
        return loaded.splits
    if not has_splits:
        raise DataError(
            f"{loaded.name} has no splits; without --split all of it is used. Received: {split}"
        )
    if split not in loaded.splits:
        changed = loaded.changes.lines() if loaded.changes else []
        raise DataError(
            "\n".join(
                [
                    f"{loaded.name} has no {split} images; it has {', '.join(loaded.splits)}, or "
                    f"all.{nearest(split, loaded.splits)} Received: {split}",
                    *changed,
                ]
            )
        )
    return {split: loaded.splits[split]}


def images_for_features(
    info: ModelInfo,
    head: str,
    data: Path | None,
    progress: Progress,
    overrides: Overrides = (),
) -> tuple[ImageData, bool, str | None]:
    """Returns images that need no labels: those that a model was trained on, or others.

    Files that lie in a directory itself are images too, and a manifest may lack the column of what
    the head predicts. All images of other data count, also where a model was trained on some.

    Args:
        info: Description of the model.
        head: Name of the head whose target stands for the labels, where the data have it.
        data: Directory or manifest; None: the data that the model was trained on.
        progress: Where progress is reported.
        overrides: As for `images_of_split`.

    Returns:
        The images; whether they come in splits; and the name of the target that stands for the
        labels, None where they have none.

    Raises:
        DataError: The images are not there, or some cannot be read.
        ModelFileError: The model does not say what it was trained on.
        RecipeError: An override is not of the `data` section, or its value is wrong.
        UsageError: The model's own data are given other overrides.
    """
    wanted = info.heads[head]
    if data is None:
        return recorded_data(info, progress, _labels_alone(overrides)), True, wanted.target
    has_splits = _has_splits(data)
    config = _config_of_images(data, has_splits, overrides)
    if data.is_dir():
        return load_data(config, progress, {}), has_splits, "label"
    kinds = {"label": "classification", wanted.target: wanted.kind}
    there = [name for name in (wanted.target, "label") if name in _columns(data)]
    targets = {name: kinds[name] for name in there[:1]}
    return load_data(config, progress, targets), has_splits, next(iter(targets), None)


def seen_in_training(info: ModelInfo, images: ImageIndex) -> np.ndarray | None:
    """Returns which images a model was trained on, or chosen by, bool [n]; None if it is not known.

    Args:
        info: Description of the model.
        images: Images, with their digests.
    """
    if info.splits is None:
        return None
    kept = read_kept_splits(info.splits)
    seen = kept.digests_of("train") | kept.digests_of("validation")
    return np.array([digest in seen for digest in hexadecimal(images)], bool)


def _labels_alone(overrides: Overrides) -> Path | None:
    """Returns the labels file that overrides name, which may not set anything else."""
    labels = None
    for override in parse_overrides(overrides):
        if override.path != ("data", "labels"):
            raise UsageError(
                "--set is for the images that --data names: those that the model was trained on "
                "are read as they were, at most with other labels (--labels FILE)"
            )
        labels = override.value
    return None if labels is None else expanded(str(labels))


def _config_of_images(data: Path, has_splits: bool, overrides: Overrides) -> DataConfig:
    """Returns the `data` section of a directory or manifest; without splits it is not cut."""
    kind = "manifest" if data.suffix.lower() == ".csv" else "image_folder"
    uncut = {} if has_splits else {"test_fraction": 0.0, "validation_fraction": 0.0}
    document = Document({"data": {"kind": kind, "path": str(data.absolute()), **uncut}})
    document, faults = apply_overrides(document, parse_overrides(overrides), _Images)
    return validated(_Images, document, faults).data


def _never_seen(
    info: ModelInfo, data: Path, has_splits: bool, images: ImageIndex
) -> tuple[ImageIndex, tuple[str, ...]]:
    """Returns those of other images that the model never saw, as far as it says, and remarks."""
    seen = seen_in_training(info, images)
    if seen is None:
        if not is_place_hidden(info) or has_splits:
            return images, ()
        return images, (
            f"all images of {data} are counted, including any that the model was trained "
            f"on: an export does not say where those are. {_TELLS}",
        )
    if seen.all():
        raise DataError(
            f"the model was trained on all {len(images)} images of {data}, or chosen by them: "
            "metrics on them say little about others. To have them all the same, give --split all"
        )
    if not seen.any():
        return images, ()
    count = counted(int(seen.sum()), "image")
    return images.take(np.flatnonzero(~seen)), (
        f"{count} of {data} not counted: the model was trained on them, or chosen by them",
    )


def recorded_data(info: ModelInfo, progress: Progress, labels: Path | None = None) -> ImageData:
    """Returns the images that the model was trained on, in their splits.

    Where the splits were kept, they are those; what has changed since is said, and images that are
    new are in no split. Otherwise they are split as the data section says, which where it does not
    say by what was by names.

    Args:
        info: Description of the model.
        progress: Where progress is reported.
        labels: Labels file that holds in place of the labels that the model was trained with.

    Raises:
        ModelFileError: The model does not say what it was trained on.
        DataError: The images are no longer there.
    """
    if info.data is None:
        raise ModelFileError("the model does not say what it was trained on; give --data DIR")
    if is_place_hidden(info):
        raise ModelFileError(
            "an export does not say where the images are that it was trained on; give others with "
            f"--data DIR. {_TELLS}"
        )
    try:
        others = {} if labels is None else {"labels": labels}
        config = _DATA.validate_python({"split_by": "name", **info.data, **others})
    except ValidationError as error:
        raise ModelFileError(f"the model's record of its data cannot be read: {error}") from error
    kept = None if info.splits is None else read_kept_splits(info.splits)
    if kept is not None and labels is not None:
        kept = replace(kept, labels=())
    return load_data(config, progress, _wanted(info), kept)


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


def images_of_folder(folder: Path, progress: Progress) -> tuple[ImageIndex, tuple[str, ...]]:
    """Returns the images in a folder and the folders in it, of no class, and remarks.

    Args:
        folder: The folder.
        progress: Where progress is reported.

    Raises:
        DataError: It is no folder, or has no image that can be read.
    """
    folder = folder.absolute()
    if not folder.is_dir():
        raise DataError(f"a folder of images is needed. Received: {folder}")
    files = list_files(folder).files
    names = [printable_name(file.relative_to(folder).as_posix()) for file in files]
    index = index_of_files(files, names, np.zeros(len(files)))
    scan = scan_images(index, progress)
    readable = np.array([not reason for reason in scan.reasons], bool)
    if not readable.any():
        raise DataError(f"{folder} has no image that can be read, in {counted(len(files), 'file')}")
    left_out = int((~readable).sum())
    notes = (f"{counted(left_out, 'file')} of {folder} left out: no readable images",)
    return index.take(np.flatnonzero(readable)), notes if left_out else ()


def is_place_hidden(info: ModelInfo) -> bool:
    """Says whether the images were in a folder or a list of which only the kind is recorded."""
    data = info.data or {}
    return data.get("kind") in ("image_folder", "manifest") and data.get("path") is None


def _wanted(info: ModelInfo) -> dict[str, str]:
    """Returns the kind of each target that the model's heads need."""
    return {head.target: head.kind for head in info.heads.values()}


def _has_splits(data: Path) -> bool:
    """Says whether images come in splits; what is wrong with their list is said when it is read."""
    return bool(split_folders(data)) if data.is_dir() else "split" in _columns(data)


def _columns(manifest: Path) -> list[str]:
    """Returns the columns of a manifest; none of what is no CSV file."""
    try:
        with manifest.open(encoding="utf-8-sig", newline="") as stream:
            return next(csv.reader(stream), [])
    except (OSError, UnicodeDecodeError, csv.Error):
        return []


def together(parts: Sequence[ImageIndex]) -> ImageIndex:
    """Returns the images of several splits of one data set as one index, split after split."""
    files = tuple(dict.fromkeys(file for part in parts for file in part.files))
    number = {file: index for index, file in enumerate(files)}
    boxes = [part.boxes for part in parts if part.boxes is not None]
    digests = [part.digests for part in parts if part.digests is not None]
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
        digests=np.concatenate(digests) if digests else None,
    )
