"""Heads that start as rows of the classifier that the backbone was pretrained with."""

import numpy as np
import pytest

from tfft.backbones.lite import package as lite_package
from tfft.backbones.source_classes import source_classifier
from tfft.config.model import ApplicationBackbone, ClassificationHead, LiteBackbone, RegressionHead
from tfft.model.heads import (
    Head,
    HeadSize,
    assign_source_rows,
    build_head,
    source_start_faults,
)

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
