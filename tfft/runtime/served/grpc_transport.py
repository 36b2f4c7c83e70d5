"""TF Serving's gRPC interface."""

from collections.abc import Sequence

from tfft.system.tensorflow import tf

import grpc
import numpy as np
from tensorflow_serving.apis.predict_pb2 import PredictRequest, PredictResponse
from tensorflow_serving.apis.prediction_service_pb2_grpc import (
    PredictionServiceStub,
)

from tfft.errors import ModelFileError, ServerError
from tfft.runtime.served.address import ServedAddress
from tfft.runtime.served.transport import Inputs, RefusedError, Retries, TransientError, too_slow

_OPTIONS = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # A server that comes back is found again within a second, not within two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
)
_TRANSIENT = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)


class GrpcTransport:
    """Sends requests as tensors over one channel, without encryption.

    Args:
        address: Address of the model.
        timeout_s: Time in seconds that one request may take.
    """

    def __init__(self, address: ServedAddress, timeout_s: float) -> None:
        self._address = address
        self._timeout_s = timeout_s
        self._retries = Retries(address.url)
        self._stub = PredictionServiceStub(grpc.insecure_channel(address.host, _OPTIONS))

    def predict(
        self, signature: str, inputs: Inputs, outputs: Sequence[str]
    ) -> dict[str, np.ndarray]:
        request = PredictRequest(output_filter=outputs)
        request.model_spec.name = self._address.name
        request.model_spec.signature_name = signature
        if self._address.version is not None:
            request.model_spec.version.value = self._address.version
        if self._address.label is not None:
            request.model_spec.version_label = self._address.label
        for name, values in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(values))
        response = self._retries(lambda: self._call(request))
        missing = set(outputs) - set(response.outputs)
        if missing:
            raise ServerError(f"{self._address.url} left out the outputs {', '.join(missing)}")
        return {name: tf.make_ndarray(response.outputs[name]) for name in outputs}

    def _call(self, request: PredictRequest) -> PredictResponse:
        url = self._address.url
        try:
            return self._stub.Predict(request, timeout=self._timeout_s)
        except grpc.RpcError as error:
            code, details = error.code(), error.details()
            if code in _TRANSIENT:
                raise TransientError(f"{code.name}: {details}") from error
            if code == grpc.StatusCode.DEADLINE_EXCEEDED:
                raise too_slow(url, self._timeout_s) from error
            if code == grpc.StatusCode.NOT_FOUND:
                raise ModelFileError(f"{url} is not served: {details}") from error
            raise RefusedError(f"{url} answered {code.name}: {details}") from error
