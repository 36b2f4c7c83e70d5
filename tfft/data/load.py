"""From the data section of a recipe to images that are known to be readable, in their splits."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from tfft.config.data import DataConfig, ImageFolderData, ManifestData
from tfft.data.dataset import SPLITS, BadImage, DataReport, ImageData, Source
from tfft.data.findings import copy_notes, duplicates, gap_notes, leak_notes
from tfft.data.index import ImageIndex
from tfft.data.kept_splits import UNUSED, KeptSplits
from tfft.data.labels import relabelled
from tfft.data.labels_file import read_labels
from tfft.data.scan import Scan, bad_images, contradictions, corrupt_images, scan_images
from tfft.data.sources.digits import digits_source
from tfft.data.sources.folder import folder_source
from tfft.data.sources.manifest import manifest_source
from tfft.data.sources.tfds_source import tfds_source
from tfft.data.splits import AsTheyCame, divided, groups_of
from tfft.errors import DataError, nearest
from tfft.system.printable import printable_name
from tfft.system.progress import SILENT, Progress
from tfft.system.readable import counted

# What lists the images of a source, by the kind of its section in `tfft.config.data`.
_SOURCES: dict[str, Callable[[Any, Mapping[str, str], Progress], Source]] = {
    "digits": digits_source,
    "image_folder": folder_source,
    "manifest": manifest_source,
    "tfds": tfds_source,
}
# Images under two labels that are named before a training, which goes on; `data check` names all.
_CONFLICTS_SHOWN = 10
# What a recipe asks of its data, unless it names other heads.
_LABEL_ONLY = MappingProxyType({"label": "classification"})


@dataclass(frozen=True, eq=False)
class _Scanned:
    """The images of a source, and what was found of each.

    Attributes:
        source: The source, without images that `data.labels` removes; its index has digests.
        scan: What the scan found.
        bad: Images that cannot be read, by position.
        conflicts: Images whose very bytes have another label too, by position.
        removed: Images that `data.labels` removes.
        relabelled: Number of images with another label; None without such a file.
        came: All images as they came, where `data.labels` changes them.
    """

    source: Source
    scan: Scan
    bad: dict[int, BadImage]
    conflicts: dict[int, BadImage]
    removed: ImageIndex | None = None
    relabelled: int | None = None
    came: AsTheyCame | None = None

    def as_they_came(self, usable: np.ndarray) -> AsTheyCame | None:
        """Returns all images as they came, where those that stayed are usable or not."""
        if self.came is None:
            return None
        of_all = self.came.usable.copy()
        of_all[self.came.stayed] = usable
        return replace(self.came, usable=of_all)


def load_data(
    config: DataConfig,
    progress: Progress = SILENT,
    targets: Mapping[str, str] = _LABEL_ONLY,
    kept: KeptSplits | None = None,
) -> ImageData:
    """Prepares, scans and splits the images that `config` names.

    What was found is kept, so that a second call on unchanged files does next to nothing.

    Args:
        config: The `data` section of a recipe.
        progress: Where the work is reported.
        targets: Kind of head by the name of what it predicts.
        kept: Splits that a run keeps: each image is in the one that it was in, and images that the
            run does not know are in none. Where `config` has labels, those that the run keeps hold.
            Default: the images are labelled and split as `config` says.

    Raises:
        DataError: The source is missing or not usable, has no such target, or has bad images while
            `on_bad_image` is ``stop``, or such as the other keys stop at; the message names all of
            them.
    """
    found = _scanned(config, progress, targets, kept)
    source, scan, bad, conflicts = found.source, found.scan, found.bad, found.conflicts
    corrupt, index = corrupt_images(source.index, scan), source.index
    if kept is not None:  # what else is there is not the model's
        ids, warn = set(kept.ids), config.on_label_conflict == "warn"
        bad = {place: image for place, image in bad.items() if image.path in ids}
        conflicts = {k: image for k, image in conflicts.items() if warn and image.path in ids}
        passes = config.on_corrupt_image == "warn"
        corrupt = {k: image for k, image in corrupt.items() if passes and image.path in ids}
        unreadable = tuple(image for image in source.unreadable if image.path in ids)
        source = replace(source, unreadable=unreadable)
    _stop_at(config, source, bad, conflicts, corrupt, of_run=kept is not None)
    if conflicts and config.on_label_conflict == "warn":
        progress.message("\n".join(_conflict_lines(conflicts, _CONFLICTS_SHOWN)))
    elif conflicts:
        bad = dict(sorted({**bad, **conflicts}.items()))
    if config.on_corrupt_image == "skip":
        bad = dict(sorted({**bad, **corrupt}.items()))
    usable, changes = _usable(scan, bad), None
    if kept is not None:
        splits, changes = kept.recalled(index, usable)
        removed = set(found.removed.ids if found.removed else ())
        changes = replace(changes, gone=tuple(name for name in changes.gone if name not in removed))
        of_splits = tuple(changes.lines())
    else:
        _require_images(source, usable, bad)
        splits, of_splits = divided(config, source, usable, found.as_they_came(usable))
    parts, unused = _parts(index, splits), np.flatnonzero(splits == UNUSED)
    groups = groups_of(config, source)
    skipped = (*bad.values(), *source.unreadable)
    notes = (
        source.notes
        + of_splits
        + gap_notes(_counts(parts, source.class_names, only_found=kept is not None))
        + leak_notes(parts)
        + tuple(
            f"left out: {counted(len(skipped), 'file')}, such as {image.path}: {image.reason}"
            for image in skipped[:1]
        )
        + _corrupt_notes(config, corrupt)
    )
    for note in notes:
        progress.message(note)
    return ImageData(
        name=source.name,
        splits=parts,
        class_names={"label": source.class_names, **source.other_names},
        skipped=skipped,
        licence=source.licence,
        notes=notes,
        unused=index.take(unused) if len(unused) else None,
        removed=found.removed,
        relabelled=found.relabelled,
        changes=changes,
        groups={} if groups is None else dict(zip(index.ids, groups, strict=True)),
    )


def new_files(config: DataConfig, targets: Mapping[str, str], kept: KeptSplits) -> tuple[str, ...]:
    """Returns the files of a folder or a list that a run does not know by name; none is read.

    Args:
        config: The `data` section of the run.
        targets: Kind of head by the name of what it predicts.
        kept: The splits that the run keeps.

    Returns:
        Their names; none if the folder or list is not there any more.
    """
    if not isinstance(config, ImageFolderData | ManifestData):
        return ()
    try:
        ids = _SOURCES[config.kind](config, targets, SILENT).index.ids
    except DataError:
        return ()
    known = set(kept.ids)
    return tuple(name for name in ids if name not in known)


def check_data(
    config: DataConfig, progress: Progress = SILENT, targets: Mapping[str, str] = _LABEL_ONLY
) -> DataReport:
    """Scans the images that `config` names and reports what was found, good and bad.

    Args:
        config: The `data` section of a recipe.
        progress: Where the work is reported.
        targets: Kind of head by the name of what it predicts.

    Raises:
        DataError: The source is missing or not usable at all, or has no such target.
    """
    found = _scanned(config, progress, targets)
    source, scan, bad, conflicts = found.source, found.scan, found.bad, found.conflicts
    corrupt = corrupt_images(source.index, scan)
    if config.on_corrupt_image != "warn":
        bad = dict(sorted({**bad, **corrupt}.items()))
    left_out = {**bad, **conflicts} if config.on_label_conflict != "warn" else bad
    usable = _usable(scan, left_out)
    _require_images(source, usable, left_out)
    splits, of_splits = divided(config, source, usable, found.as_they_came(usable))
    parts = _parts(source.index, splits)
    counts = _counts(parts, source.class_names)
    return DataReport(
        name=source.name,
        counts=counts,
        bad=(*bad.values(), *source.unreadable),
        conflicts=tuple(conflicts.values()),
        corrupt=tuple(corrupt.values()),
        notes=source.notes
        + of_splits
        + gap_notes(counts)
        + copy_notes(parts)
        + _corrupt_notes(config, corrupt),
        formats=scan.format_counts(),
        duplicates=duplicates(parts),
    )


def _scanned(
    config: DataConfig,
    progress: Progress,
    targets: Mapping[str, str],
    kept: KeptSplits | None = None,
) -> _Scanned:
    """Returns the images of a source with the labels that hold, and what the scan found of them."""
    if faults := [f"data.{key}: {text}" for key, text in config.faults()]:
        raise DataError("\n".join(faults))
    source = _SOURCES[config.kind](config, targets, progress)
    _require_names(source)
    _require_targets(source, targets)
    scan = scan_images(source.index, progress)
    source = replace(source, index=replace(source.index, digests=scan.digests))
    removed = changed = came = None
    if isinstance(config, ImageFolderData | ManifestData) and config.labels is not None:
        if kept is not None and any(kept.labels):
            labels = kept.labels_of(source.index)
        else:
            labels = read_labels(config.labels)
        new = relabelled(source, labels, config.labels.name)
        stayed, gone = np.flatnonzero(~new.removed), np.flatnonzero(new.removed)
        readable = np.array([not reason for reason in scan.reasons], bool)
        changed, came = int(new.changed.sum()), AsTheyCame(source, readable, stayed)
        removed = source.index.take(gone) if len(gone) else None
        source = replace(new.source.take(stayed), notes=source.notes + new.notes)
        scan = scan.take(stayed)
    return _Scanned(
        source,
        scan,
        bad_images(source.index, scan),
        contradictions(source.index, scan, source.class_names),
        removed,
        changed,
        came,
    )


def _require_names(source: Source) -> None:
    """Raises one error that names every class or label whose name is not one line of text.

    Exports list their classes one a line, and names are printed.
    """
    names = (*source.class_names, *(n for names in source.other_names.values() for n in names))
    wrong = [printable_name(name) for name in dict.fromkeys(names) if name != printable_name(name)]
    if wrong:
        raise DataError(
            f"{counted(len(wrong), 'class name')} of {printable_name(source.name)} cannot be used: "
            f"a name is one line of UTF-8 without control characters. Rename: {', '.join(wrong)}"
        )


def _require_targets(source: Source, targets: Mapping[str, str]) -> None:
    """Raises one error that names every target that the source does not have as such."""
    kinds = dict.fromkeys(("label", *source.other_names), "classification")
    for name, values in source.index.targets.items():
        if name in source.index.box_targets:
            kinds[name] = "box"
        elif values.dtype.kind == "f":
            kinds[name] = "multi_label" if name in source.other_names else "regression"
    lines = [
        f"a head of kind {kind} predicts {name!r}, "
        + (f"which is a {kinds[name]}" if name in kinds else "which the data do not have")
        + f"; {source.name} has {', '.join(f'{n} ({k})' for n, k in kinds.items())}."
        + ("" if name in kinds else nearest(name, kinds))
        for name, kind in targets.items()
        if kinds.get(name) != kind
    ]
    if lines:
        raise DataError("\n".join(lines))


def _stop_at(
    config: DataConfig,
    source: Source,
    bad: dict[int, BadImage],
    conflicts: dict[int, BadImage],
    corrupt: dict[int, BadImage],
    *,
    of_run: bool,
) -> None:
    """Raises one error that names every file that the configuration does not let pass."""
    lines = []
    unusable = (*bad.values(), *source.unreadable)
    if unusable and config.on_bad_image == "stop":
        what = "1 file is" if len(unusable) == 1 else f"{len(unusable)} files are"
        found = len(source.index) + len(source.unreadable)
        lines.append(f"{what} no usable image, of {found} in {source.name}:")
        lines += [f"  {image.path}: {image.reason}" for image in unusable]
        lines.append(
            "Put them back as they were, or remove them: an evaluation leaves them out then."
            if of_run
            else "Repair or remove them, or set data.on_bad_image to skip to go on without them."
        )
    if conflicts and config.on_label_conflict == "stop":
        lines += _conflict_lines(conflicts)
        lines.append("Remove the wrong ones, or set data.on_label_conflict to skip or warn.")
    if corrupt and config.on_corrupt_image == "stop":
        lines.append(f"the data of {counted(len(corrupt), 'image')} are corrupt:")
        lines += [f"  {image.path}: {image.reason}" for image in corrupt.values()]
        lines.append("Repair or remove them, or set data.on_corrupt_image to skip or warn.")
    if lines:
        raise DataError("\n".join(lines))


def _corrupt_notes(config: DataConfig, corrupt: dict[int, BadImage]) -> tuple[str, ...]:
    """Says how many images are used although their data are corrupt, and names one."""
    if not corrupt or config.on_corrupt_image != "warn":
        return ()
    first = next(iter(corrupt.values()))
    return (
        f"the data of {counted(len(corrupt), 'image')} are corrupt, such as of {first.path} "
        f"({first.reason}); what can be decoded is used (data.on_corrupt_image)",
    )


def _conflict_lines(conflicts: dict[int, BadImage], shown: int | None = None) -> list[str]:
    """Returns a line for each of the first `shown` images with two labels; default: for all."""
    lines = [f"  {image.path}: {image.reason}" for image in conflicts.values()]
    more = [] if shown is None or len(lines) <= shown else [f"  … {len(lines) - shown:,} more"]
    first = f"{len(conflicts):,} images lie under two labels, byte for byte the same:"
    return [first, *lines[:shown], *more]


def _usable(scan: Scan, left_out: Mapping[int, BadImage]) -> np.ndarray:
    """Returns where an image can be read and is not left out, bool [N]."""
    usable = np.array([not reason for reason in scan.reasons], bool)
    usable[list(left_out)] = False
    return usable


def _require_images(source: Source, usable: np.ndarray, left_out: Mapping[int, BadImage]) -> None:
    """Requires that each of the source's own splits have an image that can be used."""
    for split in np.unique(source.splits):
        if not (usable & (source.splits == split)).any():
            reasons = [f"  {image.path}: {image.reason}" for image in left_out.values()]
            raise DataError(
                "\n".join([f"the {split} split of {source.name} has no usable image:", *reasons])
            )


def _parts(index: ImageIndex, splits: np.ndarray) -> dict[str, ImageIndex]:
    """Returns the index of each split that has images."""
    found = {split: np.flatnonzero(splits == split) for split in SPLITS}
    return {split: index.take(places) for split, places in found.items() if len(places)}


def _counts(
    splits: dict[str, ImageIndex], class_names: tuple[str, ...], *, only_found: bool = False
) -> dict[str, dict[str, int]]:
    """Returns the number of images by split and class: of all classes, or of those with images."""
    numbers = {
        split: np.bincount(index.targets["label"], minlength=len(class_names))
        for split, index in splits.items()
    }
    total = sum(numbers.values(), np.zeros(len(class_names), np.int64))
    shown = [number for number in range(len(class_names)) if total[number] or not only_found]
    return {
        split: {class_names[number]: int(counts[number]) for number in shown}
        for split, counts in numbers.items()
    }
