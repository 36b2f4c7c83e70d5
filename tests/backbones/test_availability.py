"""Which backbones have their ImageNet weights on this machine."""

from pathlib import Path

import pytest

from tfft.backbones import availability
from tfft.backbones.availability import BackboneListing, list_backbones


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


def listing(name: str) -> BackboneListing:
    return next(entry for entry in list_backbones() if entry.spec.name == name)


def test_an_empty_cache_has_nothing_and_says_where_it_is_from():
    entry = listing("ResNet50")
    assert not entry.available
    assert entry.weights == ()
    assert entry.obtain.endswith("resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5")


def test_a_cached_file_makes_its_backbone_available(cache: Path):
    file = cache / "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"
    file.touch()
    assert listing("ResNet50").available
    assert listing("ResNet50").weights == (file,)
    assert not listing("ResNet101").available


def test_a_file_for_other_arguments_is_listed_but_not_the_default(cache: Path):
    file = cache / "mobilenet_2_5_224_tf_no_top.h5"
    file.touch()
    assert listing("MobileNet").weights == (file,)
    assert not listing("MobileNet").available


def test_a_package_is_looked_for_without_importing_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(availability, "find_lite0_file", lambda: None)
    assert not listing("EfficientNetLite0").available
    assert "tfft[offline]" in listing("EfficientNetLite0").obtain
    monkeypatch.setattr(availability, "find_lite0_file", lambda: Path("weights.pth"))
    assert listing("EfficientNetLite0").available
