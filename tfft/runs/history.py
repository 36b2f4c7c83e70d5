"""The history of a run: one row per epoch, as a CSV file and as TensorBoard logs."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfft.errors import ModelFileError
from tfft.runs.event_log import EventLog
from tfft.system.damage import reading
from tfft.system.digests import file_sha256
from tfft.system.files import write_text
from tfft.system.formats import METRICS, RUN

FILE_NAME = "history.csv"


class History:
    """Writes each epoch's row to ``history.csv`` and ``tensorboard/`` of a run."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / FILE_NAME
        self._log = EventLog(directory / "tensorboard")

    def write(self, rows: Sequence[dict[str, Any]]) -> None:
        """Writes all rows so far to the CSV file, and the last one to TensorBoard."""
        columns = list(dict.fromkeys(name for row in rows for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(self._file, text.getvalue())
        scalars = {name: value for name, value in rows[-1].items() if isinstance(value, float)}
        self._log.write(len(rows), scalars)

    def close(self) -> None:
        """Closes the log."""
        self._log.close()


def columns(split: str, metrics: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Returns metrics by head under the column names of the history: ``split/head/metric``."""
    return {
        f"{split}/{head}/{name}": value
        for head, values in metrics.items()
        for name, value in values.items()
    }


def read_history(run: Path) -> list[dict[str, float]]:
    """Returns the rows of a run's history, one per epoch; none if there is no file.

    A value that an epoch does not have is missing from its row.

    Raises:
        ModelFileError: The file is damaged, or is not the one that the finished run wrote.
    """
    file = run / FILE_NAME
    if not file.is_file():
        return []
    advice = "The model is not affected: put back a copy, or remove the file to go on without it."
    with reading(file, "the history of a run", advice=advice, error=ModelFileError):
        rows = list(csv.reader(io.StringIO(file.read_bytes().decode("utf-8"), newline="")))
        names, *found = rows or [[]]
        history = [
            {name: float(value) for name, value in zip(names, row, strict=True) if value}
            for row in found
        ]
    finished = RUN.read_if_there(run / "run.json").get("status") == "finished"
    written = METRICS.read_if_there(run / "metrics.json").get("history_sha256", "")
    if finished and written and written != history_digest(run):
        raise ModelFileError(f"{file} was changed since the run finished. {advice}")
    return history


def history_digest(run: Path) -> str:
    """Returns the SHA-256 of a run's history; "" if there is no file."""
    file = run / FILE_NAME
    return file_sha256(file) if file.is_file() else ""
