"""The SavedModel without Python: by a C program on TensorFlow's C API, and by its command line."""

import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from small_run import SIZE_PX
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

pytestmark = pytest.mark.slow

BATCHES = (1, 7, 32)


@pytest.fixture(scope="module")
def client(tmp_path_factory) -> Path:
    """The C program, built against the library that TensorFlow's package has."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler is here: the SavedModel is not tried through the C API")
    program = tmp_path_factory.mktemp("c") / "c_api_client"
    library = Path(tf.sysconfig.get_lib())
    command = [
        *(compiler, "-O1", "-Wall", "-Werror", "-I", tf.sysconfig.get_include()),
        *(str(Path(__file__).with_name("c_api_client.c")), "-o", str(program)),
        *(
            str(library / "libtensorflow_cc.so.2"),
            str(library / "libtensorflow_framework.so.2"),
        ),
        f"-Wl,-rpath,{library}",
    ]
    subprocess.run(command, check=True, timeout=120)
    return program


@pytest.fixture(scope="module")
def encoded(pictures) -> list[bytes]:
    return ([file.read_bytes() for file in sorted(pictures.glob("*/*"))] * 2)[:32]


def _signature(model: Path, name: str):
    graph = SavedModel.FromString((model / "saved_model.pb").read_bytes()).meta_graphs[0]
    return graph.signature_def[name]


def _run(client: Path, model: Path, signature: str, batch: int, content: bytes) -> np.ndarray:
    found = _signature(model, signature)
    (given,) = found.inputs.values()
    operation, index = found.outputs["probabilities"].name.split(":")
    kind = "bytes" if signature == "serve_bytes" else "float"
    arguments = (given.name.split(":")[0], kind, operation, index, batch, SIZE_PX, SIZE_PX)
    done = subprocess.run(
        [str(client), str(model), *map(str, arguments)],
        input=content,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return np.frombuffer(done.stdout, np.float32).reshape(batch, 3)


def _framed(encoded: list[bytes]) -> bytes:
    return b"".join(struct.pack("=I", len(image)) + image for image in encoded)


@pytest.mark.parametrize("batch", BATCHES)
def test_a_c_program_gets_keras_answers_for_pixels(client, exported, small_keras, batch):
    images = np.random.default_rng(batch).uniform(0, 255, (batch, SIZE_PX, SIZE_PX, 3))
    images = images.astype(np.float32)
    answer = _run(client, exported.savedmodel, "serving_default", batch, images.tobytes())
    expected = small_keras.answers(images)["label"]
    np.testing.assert_allclose(answer, expected, atol=1e-5)


@pytest.mark.parametrize("batch", BATCHES)
def test_a_c_program_gets_keras_answers_for_files(client, exported, small_keras, encoded, batch):
    files = encoded[:batch]
    answer = _run(client, exported.savedmodel, "serve_bytes", batch, _framed(files))
    expected = small_keras.answers_from_bytes(files)["label"]
    np.testing.assert_allclose(answer, expected, atol=1e-5)


def test_a_broken_image_is_no_number_and_the_others_are_answered(client, exported, encoded):
    files = encoded[:5]
    whole = _run(client, exported.savedmodel, "serve_bytes", 5, _framed(files))
    files[1], files[3] = b"", files[3][:60]
    answer = _run(client, exported.savedmodel, "serve_bytes", 5, _framed(files))
    assert np.isnan(answer[[1, 3]]).all()
    np.testing.assert_array_equal(answer[[0, 2, 4]], whole[[0, 2, 4]])


@pytest.mark.parametrize("signature", ["serving_default", "serve_bytes"])
def test_the_saved_model_command_line_runs_it(exported, small_keras, encoded, tmp_path, signature):
    if signature == "serving_default":
        pixels = np.full((7, SIZE_PX, SIZE_PX, 3), 99, np.float32)
        np.save(tmp_path / "images.npy", pixels)
        given = ["--inputs", f"images={tmp_path / 'images.npy'}"]
        expected = small_keras.answers(pixels)["label"]
    else:  # NumPy's byte strings lose zeros at their end; a JPEG has none there
        photos = [image for image in encoded if image.startswith(b"\xff\xd8")][:7]
        np.save(tmp_path / "photos.npy", np.array(photos))
        given = ["--inputs", f"image_bytes={tmp_path / 'photos.npy'}"]
        expected = small_keras.answers_from_bytes(photos)["label"]
    model = ("--dir", str(exported.savedmodel), "--tag_set", "serve", "--signature_def", signature)
    command = (sys.executable, "-m", "tensorflow.python.tools.saved_model_cli", "run", *model)
    done = subprocess.run(
        [*command, *given, "--outdir", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(np.load(tmp_path / "probabilities.npy"), expected, atol=1e-5)
