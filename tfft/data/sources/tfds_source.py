"""Image classification sets of TensorFlow Datasets, read where TFDS has put them."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfft.config.data import TfdsData
from tfft.data.dataset import Source
from tfft.data.index import ImageIndex
from tfft.data.sources.kept import keep_source, kept_path, kept_source
from tfft.data.sources.records import RecordFile
from tfft.data.sources.stanford_dogs import StanfordDogsArchives
from tfft.data.sources.tfds_quiet import (
    check_reachable,
    quiet_preparation,
    tensorflow_datasets,
    unreachable,
)
from tfft.errors import DataError, nearest
from tfft.system.damage import reading
from tfft.system.progress import Progress

_FILE_NAME_FEATURES = ("image/filename", "file_name", "filename")


def tfds_source(config: TfdsData, targets: Mapping[str, str], progress: Progress) -> Source:
    """Lists the images of a TFDS set, which is prepared first if need be; no image is copied.

    Raises:
        DataError: There is no such set or split, it has no images with labels, archives are
            missing or not the official ones, or the set cannot be downloaded.
    """
    archives = config.archives and StanfordDogsArchives(config.archives, config.subset)
    place = archives.digest() if archives else config.data_dir
    kept = kept_path(
        config.name,
        place,
        config.subset,
        config.crop_to_box,
        [config.train_split, config.validation_split, config.test_split],
    )
    source = kept_source(kept)
    if source is None:
        builder = archives.prepared(progress) if archives else _builder(config, progress)
        source = _listed(builder, config, progress)
        if archives:
            archives.check_complete(source)
        keep_source(kept, source)
    return source


def _builder(config: TfdsData, progress: Progress) -> Any:
    """Returns the builder of the set, downloaded and prepared if need be."""
    tfds = tensorflow_datasets()
    data_dir = None if config.data_dir is None else str(config.data_dir)
    with _reading_set(config.name, data_dir or "the data directory of TFDS"):
        try:
            builder = tfds.builder(config.name, data_dir=data_dir)
        except tfds.core.registered.DatasetNotFoundError:
            names = tfds.list_builders()
            raise DataError(
                f"TFDS has no set of this name.{nearest(config.name, names)} "
                f"Received: name={config.name}"
            ) from None
    if builder.info.splits:
        return builder
    import requests

    if not any(Path(builder._data_dir_root, "downloads").glob("*")):
        check_reachable(getattr(builder, "url_infos", {}), config.name)
    progress.message(f"downloading and preparing {config.name} in {builder.data_dir}")
    download = tfds.download.DownloadConfig(try_download_gcs=False)
    try:
        with quiet_preparation():
            builder.download_and_prepare(download_config=download)
    except (requests.RequestException, tfds.download.DownloadError) as error:
        raise unreachable(config.name, str(error)) from error
    return builder


@dataclass(frozen=True)
class _Features:
    """Names of the features of a set that are used.

    Attributes:
        image: Name of the feature that is the image.
        label: Name of the feature that is the class.
        file_name: Name of the feature that names the file; None if there is none.
        box: Names that lead to the boxes, one inside the other; None if there are none.
    """

    image: str
    label: str
    file_name: str | None
    box: tuple[str, ...] | None


def _listed(builder: Any, config: TfdsData, progress: Progress) -> Source:
    tfds = tensorflow_datasets()
    features = _features(tfds, builder, config)
    wanted = {
        "train": config.train_split,
        "validation": config.validation_split,
        "test": config.test_split,
    }
    rows: list[_Row] = []
    splits: list[str] = []
    for split, tfds_split in wanted.items():
        if tfds_split is not None:
            found = list(_rows(tfds, builder, tfds_split, features, progress))
            rows += found
            splits += [split] * len(found)
    class_names = tuple(builder.info.features[features.label].names)
    return Source(
        name=config.name,
        index=_index(rows, config.crop_to_box, features.box is not None),
        splits=np.array(splits, "U10"),
        class_names=class_names,
        licence=builder.info.redistribution_info.license or None,
    )


def _features(tfds: Any, builder: Any, config: TfdsData) -> _Features:
    features = dict(builder.info.features.items())
    images = [name for name, kind in features.items() if isinstance(kind, tfds.features.Image)]
    labels = [name for name, kind in features.items() if isinstance(kind, tfds.features.ClassLabel)]
    supervised = builder.info.supervised_keys or ()
    images = [name for name in supervised if name in images] or images
    labels = [name for name in supervised if name in labels] or labels
    if len(images) != 1 or len(labels) != 1:
        raise DataError(
            f"{config.name} is no image classification set: it needs one image and one class "
            f"label an example. Its features: {', '.join(features)}"
        )
    box = None
    if isinstance(features.get("bbox"), tfds.features.BBoxFeature):
        box = ("bbox",)
    elif "bbox" in getattr(features.get("objects"), "feature", {}):
        box = ("objects", "bbox")
    if config.crop_to_box and box is None:
        raise DataError(
            f"data.crop_to_box needs annotated boxes, which {config.name} does not have. "
            f"Its features: {', '.join(features)}"
        )
    file_names = [name for name in _FILE_NAME_FEATURES if name in features]
    return _Features(images[0], labels[0], file_names[0] if file_names else None, box)


@dataclass(frozen=True, eq=False)
class _Row:
    """One example: where its encoded image lies, and what is said of it.

    Attributes:
        file: Path of the TFRecord file.
        offset: Where the image begins in the file, in bytes.
        length: Length of the encoded image in bytes.
        name: Name of the image file, or of the record where the set names no files.
        record: Name of the record, unique in the set.
        label: Number of the class.
        box: float32 [4], (ymin, xmin, ymax, xmax) as shares of the image.
    """

    file: str
    offset: int
    length: int
    name: str
    record: str
    label: int
    box: np.ndarray


def _rows(
    tfds: Any, builder: Any, split: str, features: _Features, progress: Progress
) -> Iterator[_Row]:
    """Yields the examples of a split in the order of its shards."""
    examples = _examples(tfds, builder, split, features)
    shards = {
        Path(path).name: Path(path) for s in builder.info.splits.values() for path in s.filepaths
    }
    shard, open_name = None, ""
    task = progress.start(f"listing {builder.name} {split}", len(examples))
    try:
        for example in _each(examples, builder):
            record = example["tfds_id"].decode()
            name, _, number = record.partition("__")
            if shard is None or name != open_name:
                if shard:
                    shard.close()
                shard, open_name = RecordFile(shards[name]), name
            encoded = example[features.image]
            yield _Row(
                file=str(shards[name].absolute()),
                offset=shard.offset_of(encoded, int(number)),
                length=len(encoded),
                name=example[features.file_name].decode() if features.file_name else record,
                record=record,
                label=int(example[features.label]),
                box=_largest_box(example, features.box),
            )
            task.advance()
    finally:
        task.close()
        if shard:
            shard.close()


def _each(examples: Any, builder: Any) -> Iterator[Any]:
    """Yields the examples of a set, whose files have checksums that are compared on the way."""
    left = iter(examples)
    while True:
        with _reading_set(builder.name, builder.data_dir):
            example = next(left, None)
        if example is None:
            return
        yield example


def _reading_set(name: str, place: Any) -> AbstractContextManager[None]:
    advice = "Remove its directory there, and run again to prepare it anew."
    return reading(place, f"a place with the set {name}", advice=advice, error=DataError)


def _examples(tfds: Any, builder: Any, split: str, features: _Features) -> Any:
    available = sorted(builder.info.splits)
    try:
        examples = builder.as_dataset(
            split=split,
            decoders={features.image: tfds.decode.SkipDecoding()},
            shuffle_files=False,
            read_config=tfds.ReadConfig(interleave_cycle_length=1, add_tfds_id=True),
        )
    except ValueError as error:
        if split.partition("[")[0] in available:
            with _reading_set(builder.name, builder.data_dir):
                raise
        raise DataError(
            f"{builder.name} in {builder.data_dir} has no split {split!r}; it has "
            f"{', '.join(available)}. Set data.test_split to null to cut the test images from the "
            f"training split.{nearest(split, available)}"
        ) from error
    return tfds.as_numpy(examples)


def _largest_box(example: Any, feature: tuple[str, ...] | None) -> np.ndarray:
    """Returns the box of the largest area, float32 [4], or the whole image where there is none."""
    if feature is None:
        return np.array([0, 0, 1, 1], np.float32)
    for name in feature:
        example = example[name]
    boxes = np.reshape(example, [-1, 4])
    if not len(boxes):
        return np.array([0, 0, 1, 1], np.float32)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return boxes[int(np.argmax(areas))].astype(np.float32)


def _index(rows: list[_Row], cut_to_boxes: bool, has_boxes: bool) -> ImageIndex:
    files = tuple(sorted({row.file for row in rows}))
    numbers = {file: number for number, file in enumerate(files)}
    names = [row.name for row in rows]
    if len(set(names)) != len(names):
        names = [row.record for row in rows]
    boxes = np.stack([row.box for row in rows])
    targets = {"label": np.array([row.label for row in rows], np.int64)}
    if has_boxes and not cut_to_boxes:
        targets["box"] = boxes
    return ImageIndex(
        files=files,
        file_ids=np.array([numbers[row.file] for row in rows], np.int32),
        offsets=np.array([row.offset for row in rows], np.int64),
        lengths=np.array([row.length for row in rows], np.int64),
        ids=tuple(names),
        targets=targets,
        box_targets=("box",) if "box" in targets else (),
        boxes=boxes if cut_to_boxes else None,
    )
