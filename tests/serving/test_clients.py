"""The clients of TF Serving's two interfaces, against servers that speak its protocol."""

import io
import json
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tfft
from tfft.cli.main import run
from tfft.config.data import ImageFolderData
from tfft.data.kept_splits import write_kept_splits
from tfft.data.load import load_data
from tfft.errors import (
    DataError,
    GateError,
    ModelFileError,
    ServerError,
    UnreadableImagesError,
    UsageError,
)
from tfft.exports.serving import serve_check
from tfft.images.decode import decode_image
from tfft.runtime.info import OperatingPoint
from tfft.runtime.load import load_predictor
from tfft.runtime.served import transport
from tfft.runtime.timing import time_model

INTERFACES = ("rest", "grpc")
_IDENTITY = ("export_version", "run", "weights_sha256", "created")


@pytest.fixture(params=INTERFACES)
def url(request, server) -> str:
    return getattr(server, f"{request.param}_url")


@pytest.fixture(scope="module")
def encoded(pictures) -> list[bytes]:
    return [file.read_bytes() for file in sorted(pictures.glob("*/*"))]


@pytest.fixture(scope="module")
def expected(small_keras, encoded) -> np.ndarray:
    return small_keras.answers_from_bytes(encoded)["label"]


def test_a_served_model_describes_itself_and_answers_as_keras_does(url, encoded, expected):
    predictor = load_predictor(url)
    assert predictor.info.heads["label"].class_names == ("blue", "green", "red")
    assert (predictor.kind, predictor.path, predictor.decoder) == ("served", url, "model")
    actual = predictor.answers_from_bytes(encoded)["label"]
    np.testing.assert_allclose(actual, expected, atol=1e-5)


@pytest.mark.parametrize("signature", ["serving_default", "serve_uint8"])
def test_pixels_are_answered_too(url, encoded, expected, signature):
    predictor = load_predictor(url, signature=signature)
    tolerance = 1e-3 if signature == "serving_default" else 0.05
    actual = predictor.answers_from_bytes(encoded[:5])["label"]
    np.testing.assert_allclose(actual, expected[:5], atol=tolerance)
    logits = predictor.logits(predictor.pixels(encoded[:5]))["label"]
    assert (logits.argmax(axis=1) == expected[:5].argmax(axis=1)).all()


def test_what_tensorflow_does_not_read_is_sent_as_png(url, small_keras, encoded):
    content = io.BytesIO()
    Image.fromarray(decode_image(encoded[3])).save(content, "TIFF", compression="tiff_lzw")
    files = [encoded[0], content.getvalue()]
    actual = load_predictor(url).answers_from_bytes(files)["label"]
    np.testing.assert_allclose(actual, small_keras.answers_from_bytes(files)["label"], atol=1e-5)
    with pytest.raises(UnreadableImagesError) as caught:
        load_predictor(url).answers_from_bytes([encoded[0], content.getvalue()[:300]])
    assert list(caught.value.reasons) == [1]


def test_boxes_are_cut_by_the_client(url, small_keras, encoded):
    boxes = np.tile(np.float32([0.1, 0.2, 0.8, 0.9]), (2, 1))
    actual = load_predictor(url).answers_from_bytes(encoded[:2], boxes)["label"]
    cut = small_keras.answers_from_bytes(encoded[:2], boxes)["label"]
    np.testing.assert_allclose(actual, cut, atol=1e-3)
    with pytest.raises(DataError, match="--signature serve_float32"):
        load_predictor(url, signature="serve_bytes").answers_from_bytes(encoded[:2], boxes)


def test_many_images_go_in_several_requests(url, server, encoded, expected, monkeypatch):
    from tfft.runtime.served import predictor as served_predictor

    predictor = load_predictor(url)
    before = server.model.answered
    monkeypatch.setattr(served_predictor, "_REQUEST_BYTES", max(map(len, encoded)))
    actual = predictor.answers_from_bytes(encoded)["label"]
    assert server.model.answered - before > 5
    np.testing.assert_allclose(actual, expected, atol=1e-5)


def test_images_that_cannot_be_read_are_named_by_their_positions(url, encoded):
    predictor = load_predictor(url)
    with pytest.raises(UnreadableImagesError) as caught:
        predictor.answers_from_bytes([encoded[0], b"", encoded[1], encoded[0][:100]])
    assert list(caught.value.reasons) == [1, 3]
    assert "the file is empty" in caught.value.reasons[1]
    assert "broken JPEG" in caught.value.reasons[3]


@pytest.mark.parametrize("choice", ["versions/1", "labels/stable"])
def test_a_version_or_a_label_can_be_asked_for(url, choice, encoded, expected):
    actual = load_predictor(f"{url}/{choice}").answers_from_bytes(encoded[:1])["label"]
    np.testing.assert_allclose(actual, expected[:1], atol=1e-5)


def test_what_is_not_served_is_told_in_the_servers_words(url):
    with pytest.raises(ModelFileError, match=r"not served: .*Specific\(colours, 7\)"):
        load_predictor(f"{url}/versions/7")
    with pytest.raises(ModelFileError, match=r"not served: .*Latest\(other\)"):
        load_predictor(url.replace("/colours", "/other"))
    with pytest.raises(ModelFileError, match="Unrecognized servable version label: canary"):
        load_predictor(f"{url}/labels/canary")


def test_wrong_input_is_refused_in_the_servers_words_and_not_repeated(url, server):
    predictor = load_predictor(url)
    before = time.monotonic()
    with pytest.raises(ServerError, match=r"expects float32 \(None, 32, 32, 3\)"):
        predictor.answers(np.zeros((2, 31, 32, 3), np.float32))
    assert time.monotonic() - before < 5
    with pytest.raises(UsageError, match="Did you mean 'serve_bytes'"):
        load_predictor(url, signature="serve_byte")


@pytest.mark.parametrize("interface", INTERFACES)
def test_a_server_that_does_not_describe_its_model_needs_its_description(
    start_server, interface, exported, small_run, encoded, expected, monkeypatch
):
    server = start_server()
    loaded = server.model.versions[1]
    without = {k: v for k, v in loaded.signatures.items() if k != "describe"}
    monkeypatch.setattr(server.model, "versions", {1: type("Old", (), {"signatures": without})})
    url = getattr(server, f"{interface}_url")
    with pytest.raises(ModelFileError, match="--info"):
        load_predictor(url)
    described = exported.savedmodel / "assets.extra" / "tfft.json"
    models = (described, exported.savedmodel, exported.tflite["float32"], small_run)
    for info in models:
        actual = load_predictor(url, info=info).answers_from_bytes(encoded[:1])["label"]
        np.testing.assert_allclose(actual, expected[:1], atol=1e-5)
    with pytest.raises(UsageError, match="for the URLs of served models"):
        load_predictor(small_run, info=described)


def test_a_run_tells_where_the_images_of_a_served_model_lie(server, small_run, tmp_path):
    with pytest.raises(ModelFileError, match="--info RUN"):
        tfft.evaluate(server.rest_url)
    evaluation = tfft.evaluate(load_predictor(server.rest_url, info=small_run))
    assert (evaluation.split, evaluation.examples) == ("test", 12)
    other = tmp_path / "tfft.json"
    swapped = (small_run / "model.json").read_text().replace("green", "grey")
    other.write_text(swapped)
    with pytest.raises(ModelFileError, match="other classes or pixels than --info says"):
        load_predictor(server.rest_url, info=other)


@pytest.mark.parametrize("interface", INTERFACES)
def test_a_server_that_is_down_is_one_clear_error_after_a_short_while(interface):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{taken.getsockname()[1]}"
    url = {"rest": f"http://{place}/v1/models/m", "grpc": f"grpc://{place}/m"}[interface]
    before = time.monotonic()
    with pytest.raises(ServerError, match=r"cannot be reached.*[Rr]efused.*tried [3-9] times"):
        load_predictor(url)
    assert time.monotonic() - before < 10


@pytest.mark.parametrize("interface", INTERFACES)
def test_a_slow_server_is_not_waited_for_longer_than_asked(start_server, interface, exported):
    server = start_server(delay_s=1.0)
    url = getattr(server, f"{interface}_url")
    before = time.monotonic()
    with pytest.raises(ServerError, match=r"did not answer within 0.2 seconds.*--timeout"):
        load_predictor(url, timeout_s=0.2)
    assert time.monotonic() - before < 0.9
    assert load_predictor(url, timeout_s=30).info.name == "colours"


@pytest.mark.parametrize("interface", INTERFACES)
def test_a_server_that_is_busy_for_a_moment_is_asked_again(
    start_server, interface, encoded, expected
):
    server = start_server(failures=("UNAVAILABLE", "UNAVAILABLE"))
    actual = load_predictor(getattr(server, f"{interface}_url")).answers_from_bytes(encoded)
    np.testing.assert_allclose(actual["label"], expected, atol=1e-5)
    assert server.model.answered == 2


@pytest.mark.parametrize("interface", INTERFACES)
def test_an_error_inside_the_server_is_not_repeated(start_server, interface, encoded):
    server = start_server()
    predictor = load_predictor(getattr(server, f"{interface}_url"))
    server.model.failures = ["INTERNAL"]
    with pytest.raises(ServerError, match="as the test wants it"):
        predictor.answers_from_bytes(encoded[:1])
    assert server.model.answered == 1


@pytest.mark.slow
@pytest.mark.parametrize("interface", INTERFACES)
def test_an_evaluation_goes_on_when_the_server_is_restarted(
    start_server, interface, small_run, served_model
):
    server = start_server(delay_s=0.05)
    predictor = load_predictor(getattr(server, f"{interface}_url"), info=small_run)
    restarted = threading.Event()

    def restart() -> None:
        while served_model.answered < 4:
            time.sleep(0.005)
        server.__exit__()
        time.sleep(1.0)
        restarted.set()
        server.__enter__()

    thread = threading.Thread(target=restart)
    thread.start()
    evaluation = tfft.evaluate(predictor, split="all", batch_size=2)
    thread.join()
    assert restarted.is_set()
    assert served_model.answered > 12
    expected = tfft.evaluate(small_run, split="all")
    assert evaluation.examples == 24
    assert evaluation.metrics["label"]["confusion"] == expected.metrics["label"]["confusion"]


def test_patience_ends(start_server, encoded, monkeypatch):
    monkeypatch.setattr(transport, "_FIRST_PAUSE_S", 0.01)
    retries = transport.Retries("the server", patience_s=0.2, first_patience_s=0.05)
    tries = []

    def fail(_seconds: float) -> None:
        tries.append(time.monotonic())
        raise transport.TransientError("busy")

    with pytest.raises(ServerError, match=r"the server cannot be reached.*busy \(tried \d times"):
        retries(fail)
    assert tries[-1] - tries[0] < 0.05
    assert retries(lambda _seconds: "answer") == "answer"
    tries.clear()
    with pytest.raises(ServerError):
        retries(fail)
    pauses = np.diff(tries)
    assert 0.05 < tries[-1] - tries[0] < 0.25
    assert len(pauses) >= 3
    assert pauses[-1] > pauses[0]


def _post(url: str, body: dict) -> dict:
    request = urllib.request.Request(f"{url}:predict", json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.loads(response.read())


def test_rows_and_columns_say_the_same(server, encoded, expected):
    from base64 import b64encode

    files = [{"b64": b64encode(image).decode()} for image in encoded[:2]]
    signature = {"signature_name": "serve_bytes"}
    columns = _post(server.rest_url, {**signature, "inputs": {"image_bytes": files}})["outputs"]
    rows = _post(server.rest_url, {**signature, "instances": files})["predictions"]
    named = [{"image_bytes": file} for file in files]
    assert _post(server.rest_url, {**signature, "instances": named})["predictions"] == rows
    assert [row["probabilities"] for row in rows] == columns["probabilities"]
    np.testing.assert_allclose(columns["probabilities"], expected[:2], atol=1e-5)


def test_a_page_that_is_no_tf_serving_is_told_so(tmp_path):
    script = "import http.server as h; s = h.HTTPServer(('127.0.0.1', 0), h.BaseHTTPRequestHandler)"
    script += "; print(s.server_port, flush=True); s.handle_request()"
    with subprocess.Popen([sys.executable, "-c", script], stdout=-1, stderr=-1, text=True) as page:
        assert page.stdout is not None
        port = int(page.stdout.readline())
        with pytest.raises(ServerError, match=r"not answer as TF Serving does: .* 501"):
            load_predictor(f"http://127.0.0.1:{port}/v1/models/m")


def test_a_client_over_http_imports_no_tensorflow(server, pictures):
    script = """
import sys
from pathlib import Path
from tfft.runtime.load import load_predictor
predictor = load_predictor(sys.argv[1])
predictor.answers_from_bytes([Path(sys.argv[2]).read_bytes()])
heavy = {"tensorflow", "keras", "pydantic", "sklearn", "scipy"} & set(sys.modules)
sys.exit(f"imported: {heavy}" if heavy else 0)
"""
    arguments = [sys.executable, "-c", script, server.rest_url, str(next(pictures.glob("*/*.jpg")))]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_serve_check_passes_what_agrees_and_stops_what_does_not(exported, url, small_run):
    check = tfft.serve_check(url, small_run, images=8)
    assert check.images == 8
    assert set(check.signatures) == {"serve_bytes", "serving_default"}
    for heads in check.signatures.values():
        assert heads["label"]["top1_agreement"] == 1.0
        assert heads["label"]["largest_difference"] < 1e-3
    check.require()
    described = json.loads((exported.savedmodel / "assets.extra" / "tfft.json").read_text())
    assert asdict(check.live) == {"version": 1, **{key: described[key] for key in _IDENTITY}}
    weights = described["weights_sha256"][:12]
    assert f"version 1: export 1 of run run, weights {weights}" in str(check)
    strict = tfft.serve_check(url, small_run, images=8, tolerance=0.0)
    with pytest.raises(GateError, match=r"does not answer as .* does, where 0 is allowed"):
        strict.require()


def test_a_served_model_is_timed(server):
    timing = time_model(server.rest_url, batch_sizes=(1, 4), seconds=0.02)
    assert (timing.kind, timing.model, timing.threads) == ("served", server.rest_url, None)
    assert [batch.batch_size for batch in timing.batches] == [1, 4]
    # The description, an image to start with, three to warm up, and what was timed.
    assert server.model.answered == 2 + sum(3 + batch.calls for batch in timing.batches)


@pytest.mark.slow
def test_serve_check_compares_a_calibrated_export_with_its_run(small_run, monkeypatch):
    """A run's own model has no temperature; what an operating point says changes no answer."""
    calibrated = load_predictor(small_run)
    point = OperatingPoint("red", 0.5, "recall", 0.9)
    info = calibrated.info.at_temperatures({"label": 2.0})
    calibrated.info = info.with_operating_points({"label": (point,)})

    def load(model, **_):
        return calibrated if model == "http://server" else load_predictor(model)

    monkeypatch.setattr(serve_check, "load_predictor", load)
    serve_check.serve_check("http://server", small_run, signatures=["serve_bytes"]).require()


@pytest.mark.slow
def test_serve_check_stops_another_model(url, pictures, tmp_path):
    from small_run import write_run

    other = write_run(tmp_path / "run", pictures, heads=("colour",))
    with pytest.raises(GateError, match="other heads or class names"):
        tfft.serve_check(url, other, images=8)


@pytest.mark.slow
def test_the_command_line_predicts_evaluates_and_checks(server, pictures, small_run, tmp_path):
    def run(*arguments: str) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "tfft", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)

    (tmp_path / "broken.jpg").write_bytes(next(pictures.glob("*/*.jpg")).read_bytes()[:200])
    photo = str(next(pictures.glob("red/*.jpg")))
    predicted = run("predict", server.rest_url, photo, str(tmp_path / "broken.jpg"), "--json")
    assert predicted.returncode == 1
    good, broken = json.loads(predicted.stdout)
    assert good["predictions"]["label"][0]["label"] == "red"
    assert "broken JPEG" in broken["error"]
    checked = run("serve-check", server.grpc_url, "--against", str(small_run), "--images", "6")
    assert checked.returncode == 0, checked.stderr
    assert "serve_bytes" in checked.stdout
    gate = ("--tolerance", "0", "--json")
    checked = run("serve-check", server.rest_url, "--against", str(small_run), *gate)
    assert checked.returncode == 3
    assert json.loads(checked.stdout)["images"] == 12


@pytest.mark.parametrize(
    "url",
    [
        "http://host:8501/models/m",
        "http://host:8501/v1/models/",
        "http://host:8501/v1/models/m:predict",
        "http://host/v1/models/m/versions/new",
        "http://user:word@host/v1/models/m",
        "grpc://host:8500",
        "grpc://host:8500/m/1",
        "grpc:///m",
        "ftp://host/m",
    ],
)
def test_what_is_no_url_of_a_served_model(url):
    with pytest.raises(UsageError, match=r"http\(s\)://HOST:PORT/v1/models/NAME .*Received: "):
        load_predictor(url)


def test_urls_are_taken_apart():
    from tfft.runtime.served.address import parse_address

    address = parse_address("https://proxy/team/v1/models/m/labels/stable/")
    assert (address.host, address.prefix, address.name) == ("proxy", "/team", "m")
    assert address.rest_url == "https://proxy/team/v1/models/m/labels/stable"
    address = parse_address("grpc://[::1]:8500/m/versions/3")
    assert (address.host, address.name, address.version) == ("[::1]:8500", "m", 3)


def test_a_folder_is_no_url(tmp_path):
    with pytest.raises(ModelFileError, match="the URL of a served model"):
        load_predictor(Path(tmp_path))


def test_a_run_is_compared_with_what_a_server_serves(small_run, pictures, server, tmp_path, capsys):
    old = Path(shutil.copytree(small_run, tmp_path / "run"))
    data = ImageFolderData(kind="image_folder", path=pictures, test_fraction=0.5, split_by="name")
    write_kept_splits(old / "splits.csv", load_data(data))
    command = ["compare", str(old), server.rest_url, "-q", "--json"]
    assert run(command) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["new"]["left_out"] is None and report["new"]["kind"] == "served"
    assert report["new"]["bytes"] is None
    assert report["heads"]["label"]["difference"] == 0.0
    assert run([*command, "--info", str(old)]) == 0
    assert json.loads(capsys.readouterr().out)["new"]["left_out"] == 0
