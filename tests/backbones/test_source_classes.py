"""The classes that a backbone was pretrained on, found by the names of one's own."""

import importlib.util

import numpy as np
import pytest

from tfft.backbones.source_classes import (
    SourceClassifier,
    has_source_classifier,
    imagenet_wnids,
    source_classifier,
    source_names,
)
from tfft.config.model import ApplicationBackbone, LiteBackbone
from tfft.errors import BackboneError

_KNOWN = ("n02085620", "n02085782", "n02086240")


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("n02085620", "n02085620"),
        ("n02085620-chihuahua", "n02085620"),
        ("n02085620_chihuahua", "n02085620"),
        ("chihuahua (n02085620)", "n02085620"),
        ("dogs_n02085620", "n02085620"),
    ],
)
def test_a_class_is_found_by_the_identifier_in_its_name(name: str, source: str):
    assert source_names([name], _KNOWN, {}) == ({name: source}, [])


@pytest.mark.parametrize(
    "name", ["chihuahua", "n0208562", "n020856201", "pin02085620", "n02099999"]
)
def test_what_only_looks_like_an_identifier_is_none(name: str):
    found, (fault,) = source_names([name], _KNOWN, {})
    assert found == {}
    assert fault.startswith(f"{name!r} is not a class of the source.")


def test_a_mapping_comes_before_names():
    mapping = {"n02085620-chihuahua": "n02086240", "pug": "n02085782"}
    found, faults = source_names(["pug", "n02085620-chihuahua"], _KNOWN, mapping)
    assert found == {"pug": "n02085782", "n02085620-chihuahua": "n02086240"}
    assert not faults


def test_an_equal_name_needs_no_identifier():
    assert source_names(["cat"], ("dog", "cat"), {}) == ({"cat": "cat"}, [])


def test_all_faults_are_named_with_what_was_meant():
    mapping = {"pug": "n02085728", "bug": "n02085782"}
    found, faults = source_names(["pug", "n02085620-chihuahua", "tabby"], _KNOWN, mapping)
    assert found == {"n02085620-chihuahua": "n02085620"}
    assert faults == [
        "'pug' is not a class of the source. Did you mean 'n02085782'?",
        "'tabby' is not a class of the source.",
        "the mapping names 'bug', which is not a class of the data. Did you mean 'pug'?",
    ]


def test_rows_are_in_the_order_that_is_asked_for():
    kernel = np.arange(6, dtype=np.float32).reshape(2, 3)
    classifier = SourceClassifier(kernel, np.array([10, 11, 12], np.float32), ("a", "b", "c"))
    rows = classifier.rows(["c", "a"])
    assert rows.class_names == ("c", "a")
    assert rows.kernel.tolist() == [[2, 0], [5, 3]]
    assert rows.bias.tolist() == [12, 10]


def test_imagenet_has_a_thousand_classes_in_their_usual_order():
    wnids = imagenet_wnids()
    assert len(set(wnids)) == 1000
    assert list(wnids) == sorted(wnids)
    assert (wnids[0], wnids[151], wnids[999]) == ("n01440764", "n02085620", "n15075141")


def test_lite0_with_its_weights_has_a_classifier_and_no_other():
    from tfft.backbones.lite import package as lite_package

    if lite_package.find_lite0_file() is None:
        pytest.skip("the extra `offline` is not installed")
    classifier = source_classifier(LiteBackbone(kind="lite"))
    assert classifier.kernel.shape == (1280, 1000)
    assert classifier.class_names == imagenet_wnids()
    others = (
        LiteBackbone(kind="lite", weights="random"),
        ApplicationBackbone(kind="application", name="MobileNet"),
    )
    for other in others:
        assert not has_source_classifier(other)
        with pytest.raises(BackboneError, match="EfficientNetLite0 with `weights: imagenet`"):
            source_classifier(other)


def test_without_its_labels_the_error_says_what_is_missing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(BackboneError, match="tensorflow-datasets is not installed"):
        imagenet_wnids()
