"""Requests that TF Serving runs when it loads a model, so that the first user does not wait.

Source: TensorFlow Serving, SavedModel Warmup.
"""

import io
from collections.abc import Iterator
from pathlib import Path

from tfft.system.tensorflow import tf

from PIL import Image
from tensorflow_serving.apis.predict_pb2 import PredictRequest
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog, PredictLog

from tfft.config.recipe import WarmUpConfig
from tfft.runtime.info import ModelInfo
from tfft.runtime.signatures import taken_by

FILE_NAME = "tf_serving_warmup_requests"
# Width and height of a photo as a camera makes it, before it is decoded to the model's pixels.
_PHOTO_SIZE = (640, 480)


def write_warm_up(directory: Path, info: ModelInfo, config: WarmUpConfig) -> None:
    """Writes a request for each signature and batch size asked for.

    The images are grey: nobody's photo goes into an export.

    Args:
        directory: Directory ``assets.extra`` of a SavedModel.
        info: Description of the model.
        config: Signatures and batch sizes asked for; without batch sizes, nothing is written.
    """
    if not config.batch_sizes:
        return
    with tf.io.TFRecordWriter(str(directory / FILE_NAME)) as writer:
        for request in _requests(info, config):
            log = PredictionLog(predict_log=PredictLog(request=request))
            writer.write(log.SerializeToString())


def _requests(info: ModelInfo, config: WarmUpConfig) -> Iterator[PredictRequest]:
    stream = io.BytesIO()
    Image.linear_gradient("L").resize(_PHOTO_SIZE).convert("RGB").save(stream, "JPEG")
    photo = stream.getvalue()
    for signature in config.signatures:
        for batch_size in config.batch_sizes:
            request = PredictRequest()
            request.model_spec.name = info.name
            request.model_spec.signature_name = signature
            takes = taken_by(signature, info)
            if takes == "serve_bytes":
                photos = tf.make_tensor_proto([photo] * batch_size)
                request.inputs["image_bytes"].CopyFrom(photos)
            else:
                shape = [batch_size, info.pixels.height, info.pixels.width, info.pixels.channels]
                dtype = tf.uint8 if takes == "serve_uint8" else tf.float32
                # The value is in the file once, whatever the shape.
                request.inputs["images"].CopyFrom(tf.make_tensor_proto(127, dtype, shape))
            yield request
