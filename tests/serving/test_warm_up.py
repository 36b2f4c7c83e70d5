"""The requests that TF Serving runs when it loads the model."""

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from tfft.config.recipe import WarmUpConfig
from tfft.exports.serving.warm_up import FILE_NAME, write_warm_up
from tfft.runtime.load import read_saved_model_info


def _requests(path) -> list:
    records = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
    return [PredictionLog.FromString(record).predict_log.request for record in records]


def _batches(requests) -> list[tuple[str, int]]:
    return [
        (r.model_spec.signature_name, next(iter(r.inputs.values())).tensor_shape.dim[0].size)
        for r in requests
    ]


def test_an_export_has_a_request_for_each_signature_and_batch_size(exported):
    requests = _requests(exported.savedmodel / "assets.extra" / FILE_NAME)
    assert _batches(requests) == [
        ("serving_default", 1),
        ("serving_default", 32),
        ("serve_bytes", 1),
        ("serve_bytes", 32),
    ]
    assert {request.model_spec.name for request in requests} == {"colours"}


def test_its_requests_run(exported):
    signatures = tf.saved_model.load(str(exported.savedmodel)).signatures
    for request in _requests(exported.savedmodel / "assets.extra" / FILE_NAME):
        inputs = {name: tf.constant(tf.make_ndarray(v)) for name, v in request.inputs.items()}
        answer = signatures[request.model_spec.signature_name](**inputs)["probabilities"].numpy()
        assert len(answer) == len(next(iter(inputs.values())))
        assert np.isfinite(answer).all()


def test_what_is_asked_for_is_written_and_takes_little_room(exported, tmp_path):
    info = read_saved_model_info(exported.savedmodel)
    config = WarmUpConfig(signatures=("serve_uint8", "serving_default"), batch_sizes=(256,))
    write_warm_up(tmp_path, info, config)
    requests = _requests(tmp_path / FILE_NAME)
    assert _batches(requests) == [("serve_uint8", 256), ("serving_default", 256)]
    assert tf.make_ndarray(requests[0].inputs["images"]).dtype == np.uint8
    assert (tmp_path / FILE_NAME).stat().st_size < 1000


def test_no_sizes_are_no_file(exported, tmp_path):
    info = read_saved_model_info(exported.savedmodel)
    write_warm_up(tmp_path, info, WarmUpConfig(batch_sizes=()))
    assert list(tmp_path.iterdir()) == []
