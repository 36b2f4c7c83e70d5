"""Whatever a server answers: numbers of the model or one message, and no later than asked.

The servers are real ones on this machine that describe a model of three classes well, and then
answer as each test wants it.
"""

import email.utils
import gzip
import json
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

from tfft.system.tensorflow import tf

import grpc
import numpy as np
import pytest
from faults.tally import tally
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from tfft.cli.main import run
from tfft.errors import ModelFileError, ServerError, TfftError
from tfft.images.spec import PixelSpec
from tfft.runtime.info import HeadInfo, ModelInfo
from tfft.runtime.load import load_predictor
from tfft.runtime.served import transport

INFO = ModelInfo(
    name="colours",
    input=PixelSpec(8, 8),
    heads={"label": HeadInfo("classification", ("blue", "green", "red"), "label")},
    backbone="none",
    licence=None,
    data=None,
    tfft_version="0",
    created="2026-01-01T00:00:00+00:00",
)
DESCRIPTION = json.dumps(INFO.to_json())
RIGHT = [[0.2, 0.3, 0.5], [1.0, 0.0, 0.0]]
_FLOATS = np.array(RIGHT, np.float32)
IMAGES = np.zeros((2, 8, 8, 3), np.float32)
# A server that is waited for ends by itself after this, with the right answer.
_TRICKLE_S = 2.0

Answer = tuple[int, dict[str, str], bytes]


def ok(values: object) -> Answer:
    return 200, {}, json.dumps({"outputs": values}).encode()


@contextmanager
def rest_server(answer: Callable[[], Answer], describe: Callable[[], Answer] | None = None):
    """Serves a description and then `answer()`; yields the URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            described = request["signature_name"] == "describe"
            status, headers, body = (
                (describe or (lambda: ok([DESCRIPTION])))() if described else answer()
            )
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

        def handle(self) -> None:
            with suppress(OSError):  # the client has gone
                super().handle()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/models/colours"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


_WRONG_VALUES = {
    "too few classes": [[0.4, 0.6], [1.0, 0.0]],
    "too many classes": [[0.2, 0.3, 0.1, 0.4], [1.0, 0.0, 0.0, 0.0]],
    "700 %": [[7.0, 0.0, 0.0], [1.0, 0.0, 0.0]],
    "below zero": [[-0.5, 1.0, 0.5], [1.0, 0.0, 0.0]],
    "no sum of 1": [[0.2, 0.3, 0.1], [1.0, 0.0, 0.0]],
    "ragged rows": [[0.2, 0.3, 0.5], [1.0]],
    "numbers as text": [["0.2", "0.3", "0.5"], ["1", "0", "0"]],
    "words": ["blue", "green"],
    "too deep": [[[0.2, 0.3, 0.5]], [[1.0, 0.0, 0.0]]],
    "one number": 0.5,
    "nothing": None,
    "an object": {"label": RIGHT},
    "truth": [[False, False, True], [True, False, False]],
    "nulls": [[None, None, None], [1.0, 0.0, 0.0]],
    "one row": RIGHT[:1],
    "three rows": [*RIGHT, RIGHT[0]],
    "no rows": [],
    "empty rows": [[], []],
    "not finite": [[float("inf"), 0.0, 0.0], [1.0, 0.0, 0.0]],
    "not a number": [[float("nan")] * 3, [1.0, 0.0, 0.0]],
    "huge": [[10**400, 0, 0], [1, 0, 0]],
    "a named output of another name": {"logits": RIGHT, "other": RIGHT},
}
_GOOD = json.dumps({"outputs": RIGHT}).encode()
_WRONG_ANSWERS = {
    "empty": (200, {}, b""),
    "no JSON": (200, {}, b"<html>welcome</html>"),
    "JSON of another kind": (200, {}, b"[]"),
    "no outputs": (200, {}, b'{"predictions": []}'),
    "not UTF-8": (200, {}, b'{"outputs": "\xff\xfe"}'),
    "a number too far": (200, {}, b'{"outputs": [[1e999, 0, 0], [1, 0, 0]]}'),
    "nested deeply": (200, {}, b'{"outputs":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "cut": (200, {}, _GOOD[:-7]),
    "too long": (200, {}, _GOOD + b" " * (3 << 20)),
    "compressed": (200, {"Content-Encoding": "gzip"}, gzip.compress(_GOOD)),
    "a bomb": (200, {"Content-Encoding": "gzip"}, gzip.compress(b" " * (64 << 20))),
    "an error that is an object": (400, {}, b'{"error": {"code": 3}}'),
    "an error that is long": (400, {}, json.dumps({"error": "no " * 15_000}).encode()),
    "an error with commands": (400, {}, json.dumps({"error": "\x1b[2Jgone"}).encode()),
    "elsewhere": (302, {"Location": "http://127.0.0.1:1/"}, b""),
    "teapot": (418, {}, b"short and stout"),
    "a page": (500, {}, b"<html>" * 100),
    "a header that never ends": (200, {"X": "y" * 100_000}, _GOOD),
}


def said_of(url: str, **how: Any) -> str:
    """Returns the message with which two images end."""
    with pytest.raises(TfftError) as caught:
        load_predictor(url, **how).answers(IMAGES)
    return str(caught.value)


def test_the_right_answer_is_taken():
    with rest_server(lambda: ok(RIGHT)) as url:
        found = load_predictor(url).answers(IMAGES)["label"]
    np.testing.assert_allclose(found, RIGHT, atol=1e-6)


def test_a_wrong_answer_over_rest_is_one_message():
    answers = {name: ok(values) for name, values in _WRONG_VALUES.items()} | _WRONG_ANSWERS
    wrong: list[Answer] = []
    with rest_server(lambda: wrong[-1]) as url:
        predictor = load_predictor(url, timeout_s=1.0)
        for name, answer in answers.items():
            wrong.append(answer)
            with pytest.raises(ServerError) as caught:
                predictor.answers(IMAGES)
                pytest.fail(name)
            message = str(caught.value)
            assert url in message, name
            assert len(message) < 1000, name
            assert message.isprintable(), name
    tally(
        "servers", "A wrong answer over REST is one message.", tried=len(answers), held=len(answers)
    )


def test_what_is_wrong_with_an_answer_is_said():
    wrong: list[Any] = []
    with rest_server(lambda: ok(wrong[-1])) as url:
        predictor = load_predictor(url)
        for values, said in (
            (_WRONG_VALUES["too few classes"], r"shape \(2, 2\) where shape \(2, 3\) is due"),
            (_WRONG_VALUES["700 %"], r"probabilities from 0 to 7 where 0\.\.1 is due"),
            (_WRONG_VALUES["no sum of 1"], r"add up to 0\.6"),
            (_WRONG_VALUES["ragged rows"], r"no array of numbers, with rows of one length"),
        ):
            wrong.append(values)
            with pytest.raises(ServerError, match=said):
                predictor.answers(IMAGES)


def test_a_wrong_number_of_classes_ends_predict_without_a_label(tmp_path, pictures, capsys):
    (tmp_path / "tfft.json").write_text(DESCRIPTION)
    photo = next(pictures.glob("*/*.jpg"))
    with rest_server(lambda: ok([[0.6, 0.4]]), lambda: (400, {}, b'{"error": "no"}')) as url:
        code = run(["predict", url, str(photo), "--info", str(tmp_path / "tfft.json")])
    said = capsys.readouterr()
    assert (code, said.out) == (1, "")
    assert "shape (1, 2) where shape (1, 3) is due: images and classes" in said.err


@pytest.mark.parametrize(
    "described",
    [
        *([], [[]], [5], {"a": 1}, ["not JSON"], ["[1]"], ["null"], ["[" * 100_000]),
        [DESCRIPTION, DESCRIPTION],
        [DESCRIPTION.replace("classification", "riddle")],
        [DESCRIPTION.replace('"kind": "image"', '"kind": []')],
        [DESCRIPTION.replace('"label": {"kind"', '"../label": {"kind"')],
    ],
)
def test_a_description_that_is_none_is_one_message(described):
    refused = pytest.raises((ServerError, ModelFileError))
    with rest_server(lambda: ok(RIGHT), lambda: ok(described)) as url, refused as caught:
        load_predictor(url)
    assert len(str(caught.value)) < 2000


@pytest.mark.slow
@pytest.mark.parametrize("number", [300, pytest.param(3000, marks=pytest.mark.full)])
def test_a_damaged_answer_is_a_message_or_an_answer_of_the_model(number):
    generator = random.Random(0)
    damaged: list[bytes] = []
    with rest_server(lambda: (200, {}, damaged[-1])) as url:
        predictor = load_predictor(url, timeout_s=1.0)
        for _ in range(number):
            content = bytearray(_GOOD)
            for _ in range(generator.randint(1, 3)):
                content[generator.randrange(len(content))] = generator.randrange(256)
            cut = generator.randrange(4) == 0
            damaged.append(bytes(content[: generator.randrange(len(content))] if cut else content))
            try:
                found = predictor.answers(IMAGES)["label"]
            except TfftError:
                continue
            assert found.shape == (2, 3)
            assert np.abs(found.sum(axis=1) - 1).max() < 0.02
    promise = (
        "A damaged answer of a server is one message, or probabilities of the model's classes."
    )
    tally("servers", promise, tried=number, held=number)


def _trickle(connection: socket.socket, first: bytes, second: bytes) -> None:
    """Sends `first` byte by byte for a while, and then the rest at once."""
    end = time.monotonic() + _TRICKLE_S
    with suppress(OSError), connection:  # the client may have gone
        connection.recv(1 << 16)
        position = 0
        while time.monotonic() < end and position < len(first):
            connection.sendall(first[position : position + 1])
            position += 1
            time.sleep(0.05)
        connection.sendall(first[position:] + second)


@contextmanager
def trickling_server(first: bytes, second: bytes) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(4) as pool:

        def accept() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                pool.submit(_trickle, connection, first, second)

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1/models/colours"
        listening.shutdown(socket.SHUT_RDWR)


_BODY = json.dumps({"outputs": [DESCRIPTION]}).encode()
_HEAD = f"HTTP/1.1 200 OK\r\nContent-Length: {len(_BODY)}\r\n".encode()
_PADDED = _HEAD + b"X-Padding: " + b"x" * 1000


@pytest.mark.parametrize(
    ("first", "second"),
    [(_PADDED, b"\r\n\r\n" + _BODY), (b"\r\n\r\n".join((_HEAD.strip(), _BODY)), b"")],
    ids=["head", "body"],
)
def test_a_server_that_trickles_is_not_waited_for_longer_than_asked(first, second):
    """It answers right in the end, so that a client that waits for it has an answer."""
    with trickling_server(first, second) as url:
        assert "did not answer within 0.3 seconds" in said_of(url, timeout_s=0.3)


def test_a_request_that_has_no_time_left_is_not_sent():
    with pytest.raises(TimeoutError):
        transport.within(0.0, lambda: pytest.fail("it was sent"))


@pytest.fixture
def waits(monkeypatch) -> list[float]:
    """The pauses between requests, which take no time here."""
    found: list[float] = []
    clock = SimpleNamespace(sleep=found.append, monotonic=lambda: time.monotonic() + sum(found))
    monkeypatch.setattr(transport, "time", clock)
    return found


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("dated", [False, True])
def test_a_busy_server_is_asked_again_when_it_wants_to_be(waits, status, dated):
    later = email.utils.formatdate(time.time() + 9, usegmt=True) if dated else "7"
    answers = [(status, {"Retry-After": later}, b"busy"), ok(RIGHT)]
    with rest_server(lambda: answers.pop(0)) as url:
        load_predictor(url).answers(IMAGES)
    assert len(waits) == 1
    assert 6.9 <= waits[0] <= 9


def test_a_server_that_wants_more_time_than_there_is_ends_at_once_and_says_so(waits):
    with rest_server(lambda: (503, {"Retry-After": "3600"}, b"")) as url:
        said = said_of(url)
    assert "tried 1 times). It asks for 3600 seconds; allow more with --timeout" in said
    assert waits == []


@contextmanager
def grpc_server(answer: Callable[[], predict_pb2.PredictResponse], describe: Any = DESCRIPTION):
    """Serves a description and then `answer()`, over gRPC; yields the URL."""

    class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request, context):  # noqa: N802 - the name is the protocol's
            if request.model_spec.signature_name != "describe":
                return answer()
            response = predict_pb2.PredictResponse()
            response.outputs["info"].CopyFrom(tf.make_tensor_proto([describe]))
            return response

    server = grpc.server(ThreadPoolExecutor(2))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Service(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"grpc://127.0.0.1:{port}/colours"
    finally:
        server.stop(0).wait()


def tensor(values: Any, **changed: Any) -> predict_pb2.PredictResponse:
    """Returns a response with an output of these values; `shape` and `dtype` may say otherwise."""
    response = predict_pb2.PredictResponse()
    proto = response.outputs["probabilities"]
    proto.CopyFrom(tf.make_tensor_proto(values))
    if "dtype" in changed:
        proto.dtype = changed["dtype"]
    if "shape" in changed:
        del proto.tensor_shape.dim[:]
        for size in changed["shape"]:
            proto.tensor_shape.dim.add(size=size)
    proto.tensor_shape.unknown_rank = changed.get("unknown_rank", False)
    return response


def wrong_tensors() -> dict[str, predict_pb2.PredictResponse]:
    return {
        "too few classes": tensor(_FLOATS[:, :2]),
        "too many classes": tensor(np.tile(_FLOATS, 2)),
        "700 %": tensor(_FLOATS * 7),
        "one row": tensor(_FLOATS[:1]),
        "a number": tensor(0.5),
        "texts": tensor([[b"a", b"b", b"c"], [b"a", b"b", b"c"]]),
        "complex numbers": tensor(_FLOATS.astype(np.complex64)),
        "truth": tensor(_FLOATS > 0),
        "not finite": tensor(np.full((2, 3), np.inf, np.float32)),
        "another shape than the values": tensor(_FLOATS, shape=(5, 7)),
        "a negative size": tensor(_FLOATS, shape=(-1, 3)),
        "a size of petabytes": tensor([0.5], shape=(1 << 25, 1 << 25)),
        "texts of petabytes": tensor([b"x"], shape=(1 << 25, 1 << 25)),
        "an unknown rank": tensor(_FLOATS, unknown_rank=True),
        "another type than the values": tensor(_FLOATS, dtype=tf.int64.as_datatype_enum),
        "a type that is none": tensor(_FLOATS, dtype=9999),
        "a resource": tensor(_FLOATS, dtype=tf.resource.as_datatype_enum),
        "no outputs": predict_pb2.PredictResponse(),
    }


def test_a_wrong_answer_over_grpc_is_one_message():
    answers = wrong_tensors()
    wrong: list[predict_pb2.PredictResponse] = []
    with grpc_server(lambda: wrong[-1]) as url:
        predictor = load_predictor(url, timeout_s=5.0)
        for name, answer in answers.items():
            wrong.append(answer)
            with pytest.raises(ServerError) as caught:
                predictor.answers(IMAGES)
                pytest.fail(name)
            assert url in str(caught.value), name
        wrong.append(tensor(_FLOATS))
        np.testing.assert_allclose(predictor.answers(IMAGES)["label"], RIGHT, atol=1e-6)
    tally(
        "servers", "A wrong answer over gRPC is one message.", tried=len(answers), held=len(answers)
    )


def test_a_description_over_grpc_that_is_no_text_is_one_message():
    refused = pytest.raises(ModelFileError, match="the server does not describe its model")
    with grpc_server(predict_pb2.PredictResponse, describe=0.5) as url, refused:
        load_predictor(url)


def test_an_answer_larger_than_may_be_is_not_asked_for_again(monkeypatch):
    from tfft.runtime.served import grpc_transport

    small = [("grpc.max_receive_message_length", 1 << 14)]
    monkeypatch.setattr(grpc_transport, "_OPTIONS", small)
    asked: list[int] = []

    def answer() -> predict_pb2.PredictResponse:
        asked.append(1)
        return tensor(np.zeros((100, 100), np.float32))

    with grpc_server(answer) as url:
        assert "larger than max" in said_of(url)
    assert asked == [1]


def test_a_server_on_this_machine_is_not_asked_through_a_proxy(monkeypatch):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        for name in ("grpc_proxy", "http_proxy", "https_proxy", "HTTP_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{closed.getsockname()[1]}")
        for name in ("no_grpc_proxy", "no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        with ExitStack() as servers:
            rest = servers.enter_context(rest_server(lambda: ok(RIGHT)))
            remote = servers.enter_context(grpc_server(lambda: tensor(_FLOATS)))
            for url in (rest, remote, remote.replace("127.0.0.1", "localhost")):
                found = load_predictor(url).answers(IMAGES)["label"]
                np.testing.assert_allclose(found, RIGHT, atol=1e-6)


def test_an_address_whose_brackets_do_not_close_is_no_address():
    for url in ("http://[::1/v1/models/m", "grpc://[::1:8500/m"):
        with pytest.raises(TfftError, match="the URL of a served model must be"):
            load_predictor(url)
