"""TF Serving's gRPC interface."""

import ipaddress
import math
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from tfft.system.tensorflow import tf

import grpc
import numpy as np
from tensorflow_serving.apis.predict_pb2 import PredictRequest, PredictResponse
from tensorflow_serving.apis.prediction_service_pb2_grpc import (
    PredictionServiceStub,
)

from tfft.errors import ModelFileError, ServerError
from tfft.runtime.served.address import ServedAddress
from tfft.runtime.served.transport import (
    Inputs,
    RefusedError,
    Retries,
    TransientError,
    server_words,
)

_OPTIONS = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", 256 << 20),
    # A server that comes back is found again within a second, not within two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
)
_TRANSIENT = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)
# A text takes a pointer at least.
_BYTES_OF_AN_ELEMENT = 8
_TOO_LARGE = "larger than max"
_PUSHBACK = "grpc-retry-pushback-ms"


class GrpcTransport:
    """Sends requests as tensors over one channel, without encryption.

    A server on this machine is reached directly, whatever proxy the environment names.

    Args:
        address: Address of the model.
        timeout_s: Time in seconds that one request may take, with its repetitions.
    """

    def __init__(self, address: ServedAddress, timeout_s: float) -> None:
        self._address = address
        self._retries = Retries(address.url, timeout_s)
        options = [*_OPTIONS]
        if _is_this_machine(address.host):
            options.append(("grpc.enable_http_proxy", 0))
        self._stub = PredictionServiceStub(grpc.insecure_channel(address.host, options))
        self._answered_from: int | None = None

    def predict(
        self, signature: str, inputs: Inputs, outputs: Sequence[str], answer_bytes: int
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
        response = self._retries(lambda seconds: self._call(request, seconds))
        missing = set(outputs) - set(response.outputs)
        if missing:
            raise ServerError(f"{self._address.url} left out the outputs {', '.join(missing)}")
        spec = response.model_spec
        self._answered_from = spec.version.value if spec.HasField("version") else None
        return {name: self._array(name, response.outputs[name], answer_bytes) for name in outputs}

    def answering_version(self) -> int | None:
        """Returns the version that the last answer named as its own."""
        return self._answered_from

    def _call(self, request: PredictRequest, seconds: float) -> PredictResponse:
        url = self._address.url
        try:
            return self._stub.Predict(request, timeout=seconds)
        except grpc.RpcError as error:
            code, details = error.code(), server_words(error.details())
            if code in _TRANSIENT and _TOO_LARGE not in details:
                raise TransientError(f"{code.name}: {details}", _pushback_s(error)) from error
            if code == grpc.StatusCode.DEADLINE_EXCEEDED:
                raise TimeoutError from error
            if code == grpc.StatusCode.NOT_FOUND:
                raise ModelFileError(f"{url} is not served: {details}") from error
            raise RefusedError(f"{url} answered {code.name}: {details}") from error

    def _array(self, name: str, proto: Any, answer_bytes: int) -> np.ndarray:
        """Returns the array of a tensor, which may announce more elements than it holds."""
        shape = [dimension.size for dimension in proto.tensor_shape.dim]
        whole = not proto.tensor_shape.unknown_rank and min(shape, default=0) >= 0
        found = np.array(None)
        if whole and math.prod(shape) * _BYTES_OF_AN_ELEMENT <= answer_bytes:
            with suppress(KeyError, TypeError, ValueError, OverflowError):
                found = tf.make_ndarray(proto)
        if found.ndim and found.dtype == object:
            return found
        if found.ndim and found.dtype.kind in "fiu":
            with np.errstate(over="ignore"):  # what is not finite is told with what the model is
                return found.astype(np.float32)
        raise ServerError(
            f"{self._address.url} answered with a {name} that is no array, or is too large: "
            f"shape {shape}"
        )


def _is_this_machine(host: str) -> bool:
    """Says if an address, with or without a port, is this machine's."""
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
    name = name.strip("[]").lower()
    if name in ("localhost", socket.gethostname().lower()):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name.endswith(".localhost")
    return address.is_loopback or address.is_unspecified


def _pushback_s(error: Any) -> float | None:
    """Returns the seconds after which a server wants to be asked again, if it says so."""
    for key, value in error.trailing_metadata() or ():
        if key == _PUSHBACK and str(value).isdecimal():
            return int(value) / 1000
    return None
