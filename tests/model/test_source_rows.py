"""Heads that start as rows of the classifier that the backbone was pretrained with."""

import numpy as np
import pytest

from tfft.backbones.lite import package as lite_package
from tfft.backbones.source_classes import SourceClassifier, source_classifier
from tfft.config.model import ApplicationBackbone, ClassificationHead, LiteBackbone, RegressionHead
from tfft.model import heads
from tfft.model.head_size import HeadSize
from tfft.model.heads import Head, assign_source_rows, build_head, source_start_faults

_LITE = LiteBackbone(kind="lite")
_BREEDS = ("n02110958-pug", "n02085620-chihuahua", "my own dog")
_OWN = {"my own dog": "n02099601"}


@pytest.fixture(autouse=True)
def weights():
    if lite_package.find_lite0_file() is None:
        pytest.skip("the extra `offline` is not installed")


def _head(class_names: tuple[str, ...] = _BREEDS, **values) -> Head:
    config = ClassificationHead(**{"init": "source_classes", "source_classes": _OWN, **values})
    return build_head("breed", config, HeadSize(len(class_names), class_names=class_names), 0)


def test_a_head_gets_the_rows_of_its_classes_in_its_order():
    head, features = _head(), np.random.default_rng(0).normal(size=(4, 1280)).astype(np.float32)
    assert not np.asarray(head(features)).any()
    assert not list(source_start_faults(head, _LITE))
    assign_source_rows(head, _LITE)
    source = source_classifier(_LITE)
    columns = [source.class_names.index(n) for n in ("n02110958", "n02085620", "n02099601")]
    expected = (features @ source.kernel + source.bias)[:, columns]
    np.testing.assert_allclose(head(features), expected, atol=1e-4)


def test_only_a_head_that_asks_for_them_starts_from_the_source():
    number = build_head("age", RegressionHead(kind="regression", target="age"), HeadSize(1), 0)
    assert _head().starts_from_source
    assert not _head(init="zeros", source_classes={}).starts_from_source
    assert not number.starts_from_source
    assert not list(
        source_start_faults(number, ApplicationBackbone(kind="application", name="VGG16"))
    )


@pytest.mark.parametrize(
    ("head", "backbone", "fault"),
    [
        (
            {},
            LiteBackbone(kind="lite", weights="random"),
            "classifier comes with its weights",
        ),
        ({}, ApplicationBackbone(kind="application", name="VGG16"), "'name': 'VGG16'"),
        ({"pooling": "max"}, _LITE, "needs pooling: avg"),
        ({"source_classes": {}}, _LITE, "'my own dog' is not a class of the source"),
        (
            {"source_classes": {**_OWN, "pug": "n02110958"}},
            _LITE,
            "which is not a class of the data",
        ),
    ],
)
def test_why_a_head_cannot_have_them(head: dict, backbone, fault: str):
    (line,) = source_start_faults(_head(**head), backbone)
    assert fault in line


@pytest.fixture
def of_run(monkeypatch: pytest.MonkeyPatch) -> SourceClassifier:
    """The classifier of a run with three classes, which every backbone is taken for."""
    generator = np.random.default_rng(0)
    kernel, bias = generator.normal(size=(5, 3)), generator.normal(size=3)
    found = SourceClassifier(
        kernel.astype(np.float32), bias.astype(np.float32), ("cat", "dog", "owl")
    )
    monkeypatch.setattr(heads, "has_source_classifier", lambda *_: True)
    monkeypatch.setattr(heads, "source_classifier", lambda *_: found)
    return found


def _head_of_run(class_names: tuple[str, ...], **values) -> Head:
    config = ClassificationHead(init="run", **values)
    head = build_head("label", config, HeadSize(len(class_names), class_names=class_names), 0)
    head(np.zeros((1, 5), np.float32))
    return head


def test_a_class_that_is_added_starts_as_the_mean_of_the_rows_of_the_run(of_run):
    head = _head_of_run(("bat", "cat", "lynx", "owl"), source_classes={"lynx": "dog"})
    assert not list(source_start_faults(head, _LITE))
    assert assign_source_rows(head, _LITE) == ("bat",)
    kernel, bias = head.dense.kernel.numpy(), head.dense.bias.numpy()
    np.testing.assert_array_equal(kernel[:, 1:], of_run.kernel)  # cat, lynx (was dog), owl
    np.testing.assert_array_equal(bias[1:], of_run.bias)
    np.testing.assert_allclose(kernel[:, 0], of_run.kernel.mean(axis=1), rtol=1e-6)
    assert bias[0] == pytest.approx(of_run.bias.mean())


def test_rows_of_the_old_classes_stay_in_proportion_when_a_class_is_added(of_run):
    """The probabilities among the old classes are those of the run."""
    head = _head_of_run(("bat", "cat", "dog", "owl"))
    assign_source_rows(head, _LITE)
    features = np.random.default_rng(1).normal(size=(9, 5)).astype(np.float32)
    logits = np.asarray(head(features))[:, 1:]
    np.testing.assert_allclose(logits, features @ of_run.kernel + of_run.bias, atol=1e-5)


def test_a_run_must_know_one_of_the_classes(of_run):
    (line,) = source_start_faults(_head_of_run(("bat", "fox")), _LITE)
    assert "none of the classes is one that the run knows, such as 'cat'" in line
    (line,) = source_start_faults(
        _head_of_run(("bat", "cat"), source_classes={"bat": "bird"}), _LITE
    )
    assert "'bat' is not a class of the source" in line
