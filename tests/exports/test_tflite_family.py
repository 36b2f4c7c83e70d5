"""The family of TFLite files, as their clients see them."""

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from small_run import CLASSES, SIZE_PX

from tfft.evaluation.compare_models import compare_models
from tfft.exports.export import export
from tfft.exports.parity import Reference
from tfft.exports.tflite.build import float32_content, write_tflite
from tfft.exports.tflite.file import layers, read_model
from tfft.exports.tflite.quantize import calibrate, dynamic_int8, float16, int8
from tfft.images.spec import PixelSpec
from tfft.runtime.info import HeadInfo, ModelInfo
from tfft.runtime.load import load_predictor
from tfft.runtime.predictor import answer
from tfft.runtime.tflite.convert import operators
from tfft.system.formats import CHECKS

PRECISIONS = ("float32", "float16", "dynamic_int8", "int8")


@pytest.fixture(scope="module")
def family(small_run, tmp_path_factory):
    """Every precision, in one version."""
    return export(
        small_run,
        formats=["tflite"],
        output=tmp_path_factory.mktemp("family"),
        tflite={"precisions": PRECISIONS},
    )


def test_all_precisions_lie_in_one_version(family):
    assert set(family.tflite) == set(PRECISIONS)
    for precision, path in family.tflite.items():
        assert path.name == f"colours_{precision}.tflite"
        assert path.parent == family.tflite["float32"].parent


def test_each_file_has_its_figures(family):
    beside = CHECKS.read(family.tflite["int8"].parent / "checks.json")
    assert beside == family.checks
    for precision, path in family.tflite.items():
        figures = family.checks[f"TFLite {precision}"]
        assert figures["in_place"] is True
        assert figures["accuracy_drop"] <= 0.01
        assert figures["size_bytes"] == path.stat().st_size
        assert 0 < figures["latency_ms"]["1"]["p50"] <= figures["latency_ms"]["1"]["p90"]
    (tried,) = family.checks["TFLite int8"]["tried"]
    assert tried["what"].startswith("int8 throughout, ")
    assert tried["accuracy_drop"] == family.checks["TFLite int8"]["accuracy_drop"]


def test_a_run_is_compared_with_its_own_int8_file(family, small_keras):
    comparison = compare_models(small_keras, family.tflite["int8"])
    head = comparison.heads["label"]
    assert head.verdict == "not shown" and abs(head.difference) <= 1 / 12
    assert comparison.new.kind == "tflite"
    assert comparison.new.bytes == family.tflite["int8"].stat().st_size


def test_the_answers_of_an_int8_file_are_computed_once(small_run, tmp_path, monkeypatch):
    asked = []
    comparison = Reference.comparison
    monkeypatch.setattr(
        Reference, "comparison", lambda *given: asked.append(1) or comparison(*given)
    )
    tflite = {"precisions": ("int8",), "timed": False}
    written = export(small_run, formats=["tflite"], output=tmp_path, tflite=tflite)
    assert len(asked) == len(written.checks["TFLite int8"]["tried"])


@pytest.mark.parametrize("precision", PRECISIONS)
def test_inputs_and_outputs_are_what_every_client_takes(family, precision):
    interpreter = Interpreter(str(family.tflite[precision]))
    (entrance,) = interpreter.get_input_details()
    assert entrance["shape"].tolist() == [1, SIZE_PX, SIZE_PX, 3]
    if precision == "int8":
        assert entrance["dtype"] == np.uint8
        assert entrance["quantization"] == (1.0, 0)
    else:
        assert entrance["dtype"] == np.float32
    outputs = interpreter.get_output_details()
    by_name = interpreter.get_signature_runner().get_output_details()
    assert [output["dtype"] for output in outputs] == [np.float32] * 3
    # Clients that know positions only find the probabilities first.
    order = [by_name[name]["index"] for name in ("probabilities", "logits", "unlikeness")]
    assert [output["index"] for output in outputs] == order


@pytest.mark.parametrize("precision", PRECISIONS)
def test_answers_are_about_those_of_the_model(family, small_run, pictures, precision):
    encoded = [file.read_bytes() for file in sorted(pictures.glob("*/*"))]
    expected = load_predictor(small_run).answers_from_bytes(encoded)["label"]
    actual = load_predictor(family.tflite[precision]).answers_from_bytes(encoded)["label"]
    largest = {"float32": 1e-4, "float16": 5e-3}.get(precision, 0.1)
    np.testing.assert_allclose(actual, expected, atol=largest)


def test_weights_are_as_small_as_the_name_says(family):
    kinds = {
        precision: {
            int(tensor.type)
            for tensor in read_model(path.read_bytes()).subgraphs[0].tensors
            if tensor.shape is not None and list(tensor.shape) == [8, 3, 3, 3]
        }
        for precision, path in family.tflite.items()
    }
    float32, float16, int8 = 0, 1, 9
    assert kinds == {
        "float32": {float32},
        "float16": {float16, float32},  # widened by a DEQUANTIZE when the file is loaded
        "dynamic_int8": {int8},
        "int8": {int8},
    }


@pytest.mark.parametrize("precision", PRECISIONS)
def test_weights_lie_where_kernels_can_load_them(family, precision):
    content = family.tflite[precision].read_bytes()
    whole = np.frombuffer(content, np.uint8)
    for buffer in read_model(content).buffers:
        if buffer.data is not None and len(buffer.data):
            start = (
                buffer.data.__array_interface__["data"][0] - whole.__array_interface__["data"][0]
            )
            assert start % 16 == 0


def test_no_file_needs_operators_that_clients_lack(family):
    for path in family.tflite.values():
        assert not {o for o in operators(path.read_bytes()) if o.startswith(("Flex", "CUSTOM"))}


def test_int8_computes_in_int8(family):
    found = layers(read_model(family.tflite["int8"].read_bytes()))
    kinds = [layer.kind for layer in found]
    assert kinds[0] == "QUANTIZE"
    # The features, from which it is computed in float how unlike an image is, and the logits.
    assert kinds.count("DEQUANTIZE") == 2
    assert kinds[-1] == "SOFTMAX"


def test_input_and_batch_can_be_chosen(small_run, pictures, tmp_path):
    written = export(
        small_run,
        formats=["tflite"],
        output=tmp_path,
        tflite={"precisions": ("int8",), "batch_size": 4, "int8_input": "float32", "timed": False},
    )
    (entrance,) = Interpreter(str(written.tflite["int8"])).get_input_details()
    assert entrance["shape"].tolist() == [4, SIZE_PX, SIZE_PX, 3]
    assert entrance["dtype"] == np.float32
    assert written.checks["TFLite int8"]["top1_agreement"] == 1.0


KINDS = {
    "label": HeadInfo("classification", CLASSES, "label"),
    "tags": HeadInfo("multi_label", ("sun", "rain"), "tags"),
    "weight": HeadInfo("regression", (), "weight"),
    "place": HeadInfo("box", (), "place"),
}


@pytest.mark.parametrize("convert", [bytes, float16, dynamic_int8, None])
def test_heads_of_every_kind_can_be_made_smaller(tmp_path, convert):
    """None stands for int8."""
    keras.utils.set_random_seed(0)
    images = keras.Input((SIZE_PX, SIZE_PX, 3), name="images")
    x = keras.layers.Conv2D(8, 3, activation="relu")(keras.layers.Rescaling(1 / 127.5, -1)(images))
    x = keras.layers.GlobalAveragePooling2D()(x)
    sizes = {"label": (3, None), "tags": (2, None), "weight": (1, None), "place": (4, "sigmoid")}
    outputs = {n: keras.layers.Dense(k, activation=a, name=n)(x) for n, (k, a) in sizes.items()}
    model = keras.Model(images, outputs)
    info = ModelInfo("many", PixelSpec(SIZE_PX, SIZE_PX), KINDS, "B", "L", None, "0", "now")
    pixels = np.random.default_rng(0).integers(0, 256, (16, SIZE_PX, SIZE_PX, 3)).astype(np.float32)
    content = float32_content(model, info)
    small = convert(content) if convert else int8(content, calibrate(content, list(pixels)))
    path = tmp_path / "many.tflite"
    write_tflite(small, info, path, version="1", description="", uint8_input=convert is None)
    answers = load_predictor(path).answers(pixels)
    expected = {name: value.numpy() for name, value in model(pixels).items()}
    for name, head in KINDS.items():
        np.testing.assert_allclose(answers[name], answer(head, expected[name]), atol=0.05)
    # As clients find them by position: what each head says, then the logits.
    shapes = [o["shape"][-1] for o in Interpreter(str(path)).get_output_details()]
    assert shapes == [3, 2, 1, 4, 3, 2]
