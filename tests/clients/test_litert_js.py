"""LiteRT.js in a headless browser answers as `tfft predict` does."""

import functools
import json
import shutil
import subprocess
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from installing import install
from PIL import Image

PAGE = Path(__file__).with_name("litert.html")
PACKAGE = "@litertjs/core@2.5.3"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# A browser without a screen that calls nobody.
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
PRECISIONS = ("float32", "float16", "dynamic_int8", "int8")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser() -> str:
    """The path of a Chromium; installed with apt-get where that is how it is done."""
    found = [path for name in BROWSERS if (path := shutil.which(name))]
    if not found:
        install(
            "chromium",
            ["apt-get", "update", "-q"],
            ["apt-get", "install", "-qy", "--no-install-recommends", "chromium"],
        )
        found = [path for name in BROWSERS if (path := shutil.which(name))]
    return found[0]


@pytest.fixture(scope="module")
def node_modules(installation) -> Path:
    """The directory with LiteRT.js."""
    place = installation / "litert_js"
    if not (place / "ready").is_file():
        place.mkdir(exist_ok=True)
        options = ["--no-audit", "--no-fund", "--ignore-scripts", "--no-save"]
        install("LiteRT.js", ["npm", "install", *options, PACKAGE], cwd=place)
        (place / "ready").touch()
    return place / "node_modules"


class _Site(SimpleHTTPRequestHandler):
    """Serves the page, what it needs, and takes its result."""

    def __init__(self, files: dict[str, bytes], root: Path, results: list, *given) -> None:
        self.files, self.results = files, results
        super().__init__(*given, directory=str(root))

    def do_GET(self) -> None:
        if self.path not in self.files:
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/html" if self.path == "/" else "application/binary")
        self.end_headers()
        self.wfile.write(self.files[self.path])

    def do_POST(self) -> None:
        self.results.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()
        self.server.answered.set()

    def log_message(self, *given) -> None:
        pass


def run_in_browser(
    browser: str, node_modules: Path, model: Path, pixels: np.ndarray, profile: Path
) -> dict:
    """Returns what the page found: ``dtype`` of the input and ``answers``."""
    files = {
        "/": PAGE.read_bytes(),
        "/model.tflite": model.read_bytes(),
        "/pixels": pixels.tobytes(),
    }
    results: list[dict] = []
    handler = functools.partial(_Site, files, node_modules.parent, results)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.answered = threading.Event()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        process = subprocess.Popen(
            [
                *(browser, *FLAGS, f"--user-data-dir={profile}"),
                f"http://127.0.0.1:{server.server_port}/",
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            answered = server.answered.wait(90)
        finally:
            process.terminate()
            process.wait(30)
            server.shutdown()
    assert answered, "the page gave no result in 90 seconds"
    assert "error" not in results[0], results[0]["error"]
    return results[0]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_it_answers_as_predict_does(
    browser, node_modules, flowers, pictures_of_pixels, predicted, tmp_path, precision
):
    pixels = np.stack([np.asarray(Image.open(path)) for path in pictures_of_pixels])
    found = run_in_browser(browser, node_modules, flowers[precision], pixels, tmp_path)
    actual = np.array(found["answers"])
    expected = predicted(flowers[precision], pictures_of_pixels)
    assert found["dtype"] == ("uint8" if precision == "int8" else "float32")
    # Kernels for WebAssembly round int8 differently now and then.
    tolerance = 0.1 if "int8" in precision else 1e-3
    np.testing.assert_allclose(actual, expected, atol=tolerance)
    assert (actual.argmax(axis=1) == expected.argmax(axis=1)).mean() >= 0.98
