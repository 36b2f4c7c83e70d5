"""The history of a run: one row per epoch, as a CSV file and as TensorBoard logs.

TensorFlow is imported only to write the logs.
"""

import csv
import io
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tfft.errors import ModelFileError, TfftError
from tfft.system.damage import reading
from tfft.system.digests import file_sha256
from tfft.system.files import explained_os_errors, write_text
from tfft.system.formats import METRICS, RUN

FILE_NAME = "history.csv"


class History:
    """Writes each epoch's row to ``history.csv`` and ``tensorboard/`` of a run."""

    def __init__(self, directory: Path) -> None:
        from tfft.system.tensorflow import tf

        self._tf = tf
        self._file = directory / FILE_NAME
        # What TensorBoard needs to know to draw a tensor as a scalar; tf.summary.scalar would
        # import the tensorboard package to say the same.
        self._scalar = tf.compat.v1.SummaryMetadata(
            plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars")
        )
        self._logs = directory / "tensorboard"
        with explained_os_errors(self._logs):
            self._writer = tf.summary.create_file_writer(str(self._logs))

    def write(self, rows: Sequence[dict[str, Any]]) -> None:
        """Writes all rows so far to the CSV file, and the last one to TensorBoard."""
        columns = list(dict.fromkeys(name for row in rows for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(self._file, text.getvalue())
        with explained_os_errors(self._logs), self._writer.as_default():
            for name, value in rows[-1].items():
                if isinstance(value, float):
                    self._tf.summary.write(name, value, step=len(rows), metadata=self._scalar)
            self._writer.flush()

    def close(self) -> None:
        """Closes the log files; that they cannot be written was said when a row was."""
        with suppress(TfftError), explained_os_errors(self._logs):
            self._writer.close()


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
