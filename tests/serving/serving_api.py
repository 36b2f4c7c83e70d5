"""TF Serving's prediction interfaces around a SavedModel, REST and gRPC, for tests on loopback.

Not TF Serving: its protocol, by the published stubs and the rules of its REST documentation, with
TensorFlow itself behind it. It listens on 127.0.0.1 only.
"""

import base64
import binascii
import json
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

_URL = re.compile(
    r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?"
    r"(?P<verb>:predict)?"
)
_HTTP_STATUS = {"INVALID_ARGUMENT": 400, "NOT_FOUND": 404, "UNAVAILABLE": 503, "INTERNAL": 500}


class StatusError(Exception):
    """A request is answered with a status and a message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass
class Model:
    """A base path with versions, as a model server sees it.

    Attributes:
        delay_s: before each answer.
        failures: statuses that the next requests are answered with, one each.
        answered: requests that were answered with predictions.
    """

    name: str
    base_path: Path
    labels: dict[str, int] = field(default_factory=dict)
    delay_s: float = 0.0
    failures: list[str] = field(default_factory=list)
    answered: int = 0

    def __post_init__(self) -> None:
        self.versions = {
            int(path.name): tf.saved_model.load(str(path))
            for path in self.base_path.iterdir()
            if path.name.isdecimal()
        }

    def number(self, name: str, version: int | None, label: str | None) -> int:
        """Returns the version that is asked for; by default the newest."""
        if name != self.name:
            raise StatusError("NOT_FOUND", f"Servable not found for request: Latest({name})")
        if label is not None and label not in self.labels:
            raise StatusError("INVALID_ARGUMENT", f"Unrecognized servable version label: {label}")
        number = self.labels[label] if label is not None else version or max(self.versions)
        if number not in self.versions:
            raise StatusError(
                "NOT_FOUND", f"Servable not found for request: Specific({name}, {number})"
            )
        return number

    def signature(self, number: int, signature: str) -> Any:
        """Returns a signature's function."""
        found = self.versions[number].signatures
        if signature not in found:
            raise StatusError(
                "INVALID_ARGUMENT",
                f'Serving signature name: "{signature}" not found in signature def',
            )
        return found[signature]

    def run(self, function: Any, inputs: dict[str, tf.Tensor]) -> dict[str, np.ndarray]:
        """Returns a signature's outputs; fails and waits as the test wants it."""
        time.sleep(self.delay_s)
        if self.failures:
            raise StatusError(self.failures.pop(0), "as the test wants it")
        specs = input_specs(function)
        if set(inputs) != set(specs):
            raise StatusError(
                "INVALID_ARGUMENT",
                f"input size does not match signature: {len(inputs)}!={len(specs)}",
            )
        for name, tensor in inputs.items():
            if tensor.dtype != specs[name].dtype or not specs[name].shape.is_compatible_with(
                tensor.shape
            ):
                raise StatusError(
                    "INVALID_ARGUMENT",
                    f"{name}: expects {specs[name].dtype.name} {specs[name].shape} but "
                    f"{tensor.dtype.name} {tensor.shape} is provided",
                )
        outputs = {name: value.numpy() for name, value in function(**inputs).items()}
        self.answered += 1
        return outputs


def input_specs(function: Any) -> dict[str, tf.TensorSpec]:
    """Returns the inputs of a signature by name."""
    return dict(function.structured_input_signature[1])


class Server:
    """Serves a `Model` on two ports of the loopback interface while it is entered.

    Args:
        model: what is served.
        ports: of REST and gRPC; 0: any that is free.
    """

    def __init__(self, model: Model, ports: tuple[int, int] = (0, 0)) -> None:
        self.model = model
        self._ports = ports

    def __enter__(self) -> "Server":
        self._grpc = grpc.server(ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
            _PredictionService(self.model), self._grpc
        )
        grpc_port = self._grpc.add_insecure_port(f"127.0.0.1:{self._ports[1]}")
        self._grpc.start()
        handler = type("Handler", (_RestHandler,), {"model": self.model})
        self._rest = ThreadingHTTPServer(("127.0.0.1", self._ports[0]), handler)
        self._rest_thread = threading.Thread(target=self._rest.serve_forever, args=(0.05,))
        self._rest_thread.start()
        self._ports = (self._rest.server_port, grpc_port)
        return self

    def __exit__(self, *_: object) -> None:
        self._rest.shutdown()
        self._rest_thread.join()
        self._rest.server_close()
        self._grpc.stop(0).wait()

    @property
    def rest_url(self) -> str:
        return f"http://127.0.0.1:{self._ports[0]}/v1/models/{self.model.name}"

    @property
    def grpc_url(self) -> str:
        return f"grpc://127.0.0.1:{self._ports[1]}/{self.model.name}"


class _PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, model: Model) -> None:
        self._model = model

    def Predict(self, request, context):  # noqa: N802 - the name is the protocol's
        spec = request.model_spec
        chosen = spec.WhichOneof("version_choice")
        version = spec.version.value if chosen == "version" else None
        label = spec.version_label if chosen == "version_label" else None
        signature = spec.signature_name or "serving_default"
        try:
            number = self._model.number(spec.name, version, label)
            function = self._model.signature(number, signature)
            inputs = {
                name: tf.constant(tf.make_ndarray(value)) for name, value in request.inputs.items()
            }
            outputs = self._model.run(function, inputs)
        except StatusError as error:
            context.abort(grpc.StatusCode[error.code], str(error))
        response = predict_pb2.PredictResponse()
        response.model_spec.name, response.model_spec.version.value = spec.name, number
        for name in request.output_filter or outputs:
            response.outputs[name].CopyFrom(tf.make_tensor_proto(outputs[name]))
        return response


class _RestHandler(BaseHTTPRequestHandler):
    model: Model
    protocol_version = "HTTP/1.1"  # keeps connections, as clients expect
    wbufsize = -1  # head and body in one segment: the second would wait for the client's receipt

    def do_GET(self) -> None:
        self._respond(self._status)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._respond(lambda: self._answer(body))

    def _respond(self, answering: Callable[[], str]) -> None:
        try:
            status, answer = 200, answering()
        except StatusError as error:
            status, answer = _HTTP_STATUS[error.code], json.dumps({"error": str(error)})
        content = answer.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _asked_number(self, verb: str | None) -> int:
        matched = _URL.fullmatch(self.path)
        if not matched or matched["verb"] != verb:
            raise StatusError("INVALID_ARGUMENT", f"Malformed request: {self.command} {self.path}")
        version = int(matched["version"]) if matched["version"] else None
        return self.model.number(matched["name"], version, matched["label"])

    def _status(self) -> str:
        """Answers as the model status of the REST interface does: the newest version first."""
        asked = self._asked_number(None)
        numbers = sorted(self.model.versions, reverse=True)
        if "/versions/" in self.path or "/labels/" in self.path:
            numbers = [asked]
        state = {"state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
        said = [{"version": str(number), **state} for number in numbers]
        return json.dumps({"model_version_status": said})

    def _answer(self, body: bytes) -> str:
        number = self._asked_number(":predict")
        request = _parsed(body)
        function = self.model.signature(number, request.get("signature_name", "serving_default"))
        specs = input_specs(function)
        by_row = "instances" in request
        if by_row == ("inputs" in request):
            raise StatusError("INVALID_ARGUMENT", "expecting one of 'inputs' or 'instances'")
        columns = _of_rows(request["instances"], specs) if by_row else request["inputs"]
        if len(specs) == 1 and (not isinstance(columns, dict) or set(columns) == {"b64"}):
            columns = {next(iter(specs)): columns}
        inputs = {name: _tensor(columns.get(name), name, spec) for name, spec in specs.items()}
        outputs = self.model.run(function, inputs)
        return json.dumps(_in_rows(outputs) if by_row else _in_columns(outputs))

    def log_message(self, *_: object) -> None:
        pass


def _parsed(body: bytes) -> dict[str, Any]:
    try:
        request = json.loads(body)
    except ValueError as error:
        raise StatusError("INVALID_ARGUMENT", f"JSON Parse error: {error}") from error
    if not isinstance(request, dict):
        raise StatusError("INVALID_ARGUMENT", "JSON Value: Is not object")
    return request


def _of_rows(rows: Any, specs: dict[str, tf.TensorSpec]) -> dict[str, list[Any]]:
    if not isinstance(rows, list) or not rows:
        raise StatusError("INVALID_ARGUMENT", "Expecting 'instances' to be a list with values")
    if not isinstance(rows[0], dict) or set(rows[0]) == {"b64"}:
        if len(specs) > 1:
            raise StatusError("INVALID_ARGUMENT", "instances is a plain list of several inputs")
        return {next(iter(specs)): rows}
    if any(set(row) != set(specs) for row in rows):
        raise StatusError("INVALID_ARGUMENT", f"keys must be equal to: {','.join(specs)}")
    return {name: [row[name] for row in rows] for name in specs}


def _tensor(values: Any, name: str, spec: tf.TensorSpec) -> tf.Tensor:
    if values is None:
        raise StatusError("INVALID_ARGUMENT", f"Missing named input: {name} in 'inputs' object.")
    shape: list[int] = []
    first = values
    while isinstance(first, list):
        shape.append(len(first))
        first = first[0] if first else None
    flat = list(_flat(values, shape, spec.dtype))
    return tf.reshape(tf.constant(flat, spec.dtype), shape)


def _flat(values: Any, shape: list[int], dtype: tf.DType) -> Any:
    if not shape:
        yield _value(values, dtype)
        return
    if not isinstance(values, list) or len(values) != shape[0]:
        raise StatusError(
            "INVALID_ARGUMENT", f"Encountered list at unexpected size, expected: {shape[0]}"
        )
    for value in values:
        yield from _flat(value, shape[1:], dtype)


def _value(value: Any, dtype: tf.DType) -> Any:
    if dtype == tf.string and isinstance(value, dict) and set(value) == {"b64"}:
        try:
            return base64.b64decode(value["b64"], validate=True)
        except (binascii.Error, TypeError) as error:
            raise StatusError("INVALID_ARGUMENT", "Unable to base64 decode") from error
    kinds = str if dtype == tf.string else int if dtype.is_integer else int | float
    if isinstance(value, bool) or not isinstance(value, kinds):
        raise StatusError(
            "INVALID_ARGUMENT", f"JSON Value: {value} is not of expected type: {dtype.name}"
        )
    return value


def _in_columns(outputs: dict[str, np.ndarray]) -> dict[str, Any]:
    found = {name: _json(values) for name, values in outputs.items()}
    return {"outputs": next(iter(found.values())) if len(found) == 1 else found}


def _in_rows(outputs: dict[str, np.ndarray]) -> dict[str, Any]:
    found = {name: _json(values) for name, values in outputs.items()}
    if len(found) == 1:
        return {"predictions": next(iter(found.values()))}
    rows = zip(*found.values(), strict=True)
    return {"predictions": [dict(zip(found, row, strict=True)) for row in rows]}


def _json(values: np.ndarray) -> list[Any]:
    return [value.decode() for value in values] if values.dtype == object else values.tolist()
