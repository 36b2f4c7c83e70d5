"""The history of a run as a CSV file and as TensorBoard logs."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tfft.system.files import write_text
from tfft.system.tensorflow import start_tensorflow

start_tensorflow()
import tensorflow as tf  # noqa: E402

# What TensorBoard needs to know to draw a tensor as a scalar; tf.summary.scalar would import the
# tensorboard package to say the same.
_SCALAR = tf.compat.v1.SummaryMetadata(
    plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars")
)


class History:
    """Writes each epoch's row to ``history.csv`` and ``tensorboard/`` of a run."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / "history.csv"
        self._writer = tf.summary.create_file_writer(str(directory / "tensorboard"))

    def write(self, rows: Sequence[dict[str, Any]]) -> None:
        """Writes all rows so far to the CSV file, and the last one to TensorBoard."""
        columns = list(dict.fromkeys(name for row in rows for name in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(self._file, text.getvalue())
        with self._writer.as_default():
            for name, value in rows[-1].items():
                if isinstance(value, float):
                    tf.summary.write(name, value, step=len(rows), metadata=_SCALAR)
        self._writer.flush()

    def close(self) -> None:
        """Closes the log files."""
        self._writer.close()
