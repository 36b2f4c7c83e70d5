"""Files of features, written batch by batch: Parquet, or NumPy's ``.npz`` and ``.npy``."""

import json
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from tfft.system.files import atomic_path, require_output

# Rows of a group in a Parquet file, which is in memory while it is written.
_ROWS_OF_A_GROUP = 4096


@dataclass(frozen=True, eq=False)
class Described:
    """What is known of N images before their features are computed.

    Attributes:
        ids: N unique names.
        labels: N labels, "" for none; None where the data have no labels.
        splits: N names of splits; None where the data have no splits.
    """

    ids: Sequence[str]
    labels: Sequence[str] | None
    splits: Sequence[str] | None

    def columns(self) -> dict[str, Sequence[str]]:
        """Returns what there is of it, by the name of its column."""
        named = {"id": self.ids, "label": self.labels, "split": self.splits}
        return {name: values for name, values in named.items() if values is not None}


def require_feature_file(path: Path) -> None:
    """Requires that features can be written to a file, before they are computed.

    Raises:
        UsageError: Its name does not end as one of these files.
        TfftError: Its directory cannot be written to.
    """
    require_output(path, _WRITERS, f"features are written to a file {', '.join(_WRITERS)}")


def write_features(
    path: Path,
    described: Described,
    features: Iterable[np.ndarray],
    size: int,
    about: Mapping[str, Any],
) -> None:
    """Writes features in the format that the suffix of `path` names, whole or not at all.

    Args:
        path: The file; one that is there is replaced.
        described: The images.
        features: Their features in batches, float32 [b, size] each, in their order.
        size: Number of features of an image.
        about: What computed them, as JSON values: kept in Parquet's own metadata.

    Raises:
        TfftError: The disk is full, or `path` cannot be written to.
    """
    with atomic_path(path) as temporary:
        _WRITERS[path.suffix](temporary, described, features, size, about)


def _write_npy(
    path: Path, described: Described, features: Iterable[np.ndarray], size: int, _: object
) -> None:
    with path.open("wb") as stream:
        _write_array(stream, (len(described.ids), size), features)


def _write_npz(
    path: Path, described: Described, features: Iterable[np.ndarray], size: int, _: object
) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        with archive.open("features.npy", "w", force_zip64=True) as stream:
            _write_array(stream, (len(described.ids), size), features)
        for name, values in described.columns().items():
            with archive.open(f"{name}s.npy", "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, np.array(values, np.str_), allow_pickle=False)


def _write_array(stream: IO[bytes], shape: tuple[int, int], rows: Iterable[np.ndarray]) -> None:
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)
    for batch in rows:
        stream.write(np.ascontiguousarray(batch, "<f4").tobytes())


def _write_parquet(
    path: Path,
    described: Described,
    features: Iterable[np.ndarray],
    size: int,
    about: Mapping[str, Any],
) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    columns = described.columns()
    fields: list[tuple[str, Any]] = [(name, pa.string()) for name in columns]
    schema = pa.schema(
        [*fields, ("features", pa.list_(pa.float32(), size))],
        metadata={"tfft": json.dumps(about)},
    )
    with parquet.ParquetWriter(path, schema) as writer:
        for start, rows in _groups(features):
            named = {
                name: [text or None for text in values[start : start + len(rows)]]
                for name, values in columns.items()
            }
            flat = pa.array(rows.reshape(-1), pa.float32())
            vectors = pa.FixedSizeListArray.from_arrays(flat, size)
            writer.write_table(pa.table({**named, "features": vectors}, schema))


def _groups(batches: Iterable[np.ndarray]) -> Iterator[tuple[int, np.ndarray]]:
    """Yields the rows of batches in larger parts, each with the number of rows before it."""
    start, waiting = 0, []
    for batch in batches:
        waiting.append(batch)
        if sum(map(len, waiting)) >= _ROWS_OF_A_GROUP:
            rows = np.concatenate(waiting)
            yield start, rows
            start, waiting = start + len(rows), []
    if waiting:
        yield start, np.concatenate(waiting)


_WRITERS: dict[str, Callable[..., None]] = {
    ".parquet": _write_parquet,
    ".npz": _write_npz,
    ".npy": _write_npy,
}
