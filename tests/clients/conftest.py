"""A flower classifier that the clients run, and where the clients themselves are installed.

The clients come from their registries, by the tools of the machine, and stay in tfft's cache for
the next run. Where they cannot be installed in time, the tests say so and are skipped.
"""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import platformdirs
import pytest
from PIL import Image

import tfft
from tfft.images.pixels import encoded_to_pixels
from tfft.runtime.tflite.predictor import TflitePredictor

PHOTOS = 100


@pytest.fixture(scope="session")
def flowers(shared_data, tmp_path_factory) -> dict[str, Path]:
    """TFLite files, by precision, of MobileNet with a head solved on photos of flowers."""
    place = tmp_path_factory.mktemp("flowers")
    weights = shared_data / "weights" / "mobilenet_2_5_224_tf_no_top.h5"
    run = tfft.train(
        "classifier",
        data=shared_data / "flowers160",
        overrides={
            "name": "flowers",
            # MediaPipe stretches what it is given; these photos have this size already.
            "image": {"size_px": 160, "fit": "stretch"},
            "backbone": {
                "kind": "application",
                "name": "MobileNet",
                "arguments": {"alpha": 0.25},
                "weights": str(weights),
            },
            "train": {"phases": [{"solver": "linear"}]},
            "data.fraction": 0.3,
        },
        run=place / "run",
    )
    written = tfft.export(
        run.path,
        formats=["tflite"],
        output=place / "saved_models",
        tflite={
            "precisions": ("float32", "float16", "dynamic_int8", "int8"),
            "timed": False,
        },
    )
    return written.tflite


@pytest.fixture(scope="session")
def photos(shared_data) -> list[Path]:
    """Photos that the model was not trained on, each class in turn."""
    classes = sorted(path for path in (shared_data / "flowers160" / "test").iterdir())
    each = PHOTOS // len(classes)
    return [photo for folder in classes for photo in sorted(folder.iterdir())[:each]]


@pytest.fixture(scope="session")
def pictures_of_pixels(photos, flowers, tmp_path_factory) -> list[Path]:
    """The photos as PNG files of the pixels that the model sees: nothing to decode or to resize."""
    place = tmp_path_factory.mktemp("pixels")
    spec = _predictor(flowers["float32"]).info.pixels
    paths = []
    for number, photo in enumerate(photos):
        pixels = np.rint(encoded_to_pixels(photo.read_bytes(), spec)).astype(np.uint8)
        paths.append(place / f"{number:03d}.png")
        Image.fromarray(pixels).save(paths[-1])
    return paths


@pytest.fixture(scope="session")
def predicted() -> Callable[[Path, list[Path]], np.ndarray]:
    """What `tfft predict` computes: probabilities [n, classes] of a file for images."""

    def predict(model: Path, images: list[Path]) -> np.ndarray:
        return _predictor(model).answers_from_bytes([path.read_bytes() for path in images])["label"]

    return predict


@pytest.fixture(scope="session")
def installation() -> Path:
    """Where clients are installed, once."""
    chosen = os.environ.get("TFFT_TEST_CLIENTS")
    place = Path(chosen) if chosen else Path(platformdirs.user_cache_dir("tfft")) / "test-clients"
    place.mkdir(parents=True, exist_ok=True)
    return place


def _predictor(path: Path) -> TflitePredictor:
    predictor = tfft.load_predictor(path)
    assert isinstance(predictor, TflitePredictor)
    return predictor
