"""ImageNet weights of applications: from Keras's cache, or downloaded into it, or refused."""

import hashlib
import http.server
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tfft.backbones import keras_cache
from tfft.backbones.build import build_backbone
from tfft.backbones.keras_cache import cached_path, fetch
from tfft.catalog.spec import WeightsFile
from tfft.config.model import ApplicationBackbone
from tfft.errors import BackboneError

CONTENT = bytes(range(256)) * 9000
DIGEST = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    return tmp_path / "models"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/missing.h5":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[:1000] if self.path == "/cut.h5" else CONTENT)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def source() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_what_is_not_there_is_downloaded_once(source: str, cache: Path):
    file = WeightsFile("weights.h5", f"{source}/weights.h5", DIGEST)
    assert fetch(file) == cache / "weights.h5"
    assert (cache / "weights.h5").read_bytes() == CONTENT
    gone = WeightsFile("weights.h5", f"{source}/missing.h5", DIGEST)
    assert fetch(gone) == cache / "weights.h5"


def test_another_content_than_the_published_is_not_kept(source: str, cache: Path):
    with pytest.raises(BackboneError, match="is not the published file"):
        fetch(WeightsFile("weights.h5", f"{source}/weights.h5", "0" * 32))
    assert list(cache.iterdir()) == []


def test_a_download_that_breaks_off_is_not_kept(source: str, cache: Path):
    with pytest.raises(BackboneError, match="ended after 1000 of 2304000 bytes"):
        fetch(WeightsFile("cut.h5", f"{source}/cut.h5"))
    assert list(cache.iterdir()) == []


def test_a_file_that_the_source_no_longer_has_is_reported(source: str):
    with pytest.raises(BackboneError, match="cannot be downloaded: Not Found"):
        fetch(WeightsFile("missing.h5", f"{source}/missing.h5"))


def test_a_source_that_never_answers_is_reported_within_seconds(
    monkeypatch: pytest.MonkeyPatch, cache: Path
):
    monkeypatch.setattr(keras_cache, "CONNECT_TIMEOUT_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/weights.h5"
        started = time.monotonic()
        with pytest.raises(BackboneError, match=r"no answer within 0\.3 seconds") as raised:
            fetch(WeightsFile("weights.h5", url))
    assert time.monotonic() - started < 2
    message = str(raised.value)
    assert url in message
    assert str(cache / "weights.h5") in message
    assert "`weights: random`" in message


def test_no_network_is_no_random_start(monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object, **__: object) -> None:
        raise OSError("network is unreachable")

    monkeypatch.setattr(keras_cache.urllib.request, "urlopen", refuse)
    config = ApplicationBackbone(kind="application", name="ResNet50", weights="imagenet")
    with pytest.raises(BackboneError, match=r"resnet50_.*notop.h5.*network is unreachable"):
        build_backbone(config, 32)


def test_another_file_of_the_same_name_in_the_cache_is_refused():
    file = WeightsFile("weights.h5", "https://example.org/weights.h5", DIGEST)
    path = cached_path(file)
    path.parent.mkdir()
    path.write_bytes(b"something else")
    with pytest.raises(BackboneError, match="is not the published file"):
        fetch(file)


@pytest.mark.shared
def test_a_file_in_the_cache_is_used(cache: Path, shared_data: Path):
    def build(weights: str) -> str:
        config = ApplicationBackbone(
            kind="application", name="MobileNet", weights=weights, arguments={"alpha": 0.25}
        )
        return build_backbone(config, 96).weights_digest

    file = shared_data / "weights" / "mobilenet_2_5_224_tf_no_top.h5"
    cache.mkdir()
    shutil.copy(file, cache)
    assert build("imagenet") == build(str(file))
