"""The log for TensorBoard, read by TensorFlow's own reader, which checks every record."""

from pathlib import Path

import pytest
import tensorflow as tf

from tfft.errors import TfftError
from tfft.runs.event_log import EventLog


def _events(directory: Path) -> list[tf.compat.v1.Event]:
    (file,) = directory.iterdir()
    records = tf.data.TFRecordDataset(str(file)).as_numpy_iterator()
    return [tf.compat.v1.Event.FromString(record) for record in records]


def test_tensorflow_reads_names_steps_and_values(tmp_path: Path):
    log = EventLog(tmp_path / "tensorboard")
    log.write(1, {"train/label/loss": 0.5, "gelb é": -1e30})
    log.write(300, {"train/label/loss": float("inf")})
    log.close()
    first, *steps = _events(tmp_path / "tensorboard")
    assert first.file_version == "brain.Event:2"
    found = [(e.step, {v.tag: v.simple_value for v in e.summary.value}) for e in steps]
    assert found == [
        (1, {"train/label/loss": 0.5, "gelb é": pytest.approx(-1e30)}),
        (300, {"train/label/loss": float("inf")}),
    ]
    assert first.wall_time <= steps[0].wall_time <= steps[1].wall_time


def test_a_run_that_goes_on_writes_another_file(tmp_path: Path):
    for _ in range(2):
        EventLog(tmp_path).close()
    assert len(list(tmp_path.iterdir())) == 2


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path):
    (tmp_path / "tensorboard").write_text("")
    with pytest.raises(TfftError, match="tensorboard"):
        EventLog(tmp_path / "tensorboard")
