"""EfficientNet-Lite0: the published network with the published weights."""

import importlib.util
import io
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from tfft.backbones.backbone import Backbone
from tfft.backbones.build import build_backbone
from tfft.backbones.lite import package as lite_package
from tfft.backbones.lite.package import read_lite0_arrays, read_lite0_classifier
from tfft.config.model import LiteBackbone
from tfft.errors import BackboneError


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    if lite_package.find_lite0_file() is None:
        pytest.skip("the extra `offline` is not installed")
    return build_backbone(LiteBackbone(kind="lite"), 160)


def test_it_is_the_published_network(backbone: Backbone):
    model = backbone.model
    assert model.count_params() == 3_413_024  # 4,694,024 with the classifier's 1,281,000
    assert model.output.shape == (None, 5, 5, 1280)
    widths = [block.operations[-1].output.shape[-1] for block in backbone.blocks]
    assert widths == [32, 16, 24, 24, 40, 40, *[80] * 3, *[112] * 3, *[192] * 4, 320, 1280]
    epsilons = {
        layer.epsilon for layer in model.layers if type(layer).__name__ == "BatchNormalization"
    }
    assert epsilons == {1e-3}
    assert not [layer for layer in model.layers if "Pooling" in type(layer).__name__]


def test_every_weight_comes_from_the_file(backbone: Backbone):
    random = build_backbone(LiteBackbone(kind="lite", weights="random"), 160)
    for weight, start in zip(backbone.model.weights, random.model.weights, strict=True):
        assert not np.array_equal(weight.numpy(), start.numpy()), weight.path
    assert backbone.weights_digest == (
        build_backbone(LiteBackbone(kind="lite"), 224).weights_digest
    )


def test_weights_are_in_keras_s_layout(backbone: Backbone):
    arrays = read_lite0_arrays()
    layer = backbone.model.get_layer
    depthwise = layer("block2a_depthwise_conv").get_weights()[0]
    np.testing.assert_array_equal(
        depthwise[1, 2, 5, 0], arrays["_blocks.1._depthwise_conv.weight"][5, 0, 1, 2]
    )
    kernel = layer("stem_conv").get_weights()[0]
    np.testing.assert_array_equal(kernel[0, 1, 2, 3], arrays["_conv_stem.weight"][3, 2, 0, 1])
    variance = layer("head_bn").get_weights()[3]
    np.testing.assert_array_equal(variance, arrays["_bn1.running_var"])


def test_the_package_is_read_without_being_imported(backbone: Backbone):
    assert lite_package.PACKAGE not in sys.modules
    assert "torch" not in sys.modules


def test_the_classifier_s_rows_can_be_read():
    classifier = read_lite0_classifier()
    assert classifier.kernel.shape == (1280, 1000)
    assert classifier.bias.shape == (1000,)


def test_without_the_package_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    read_lite0_arrays.cache_clear()
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(BackboneError, match=r"Install it: .*\[offline\]"):
        build_backbone(LiteBackbone(kind="lite"), 32)


def test_a_file_that_was_changed_is_not_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    read_lite0_arrays.cache_clear()
    changed = tmp_path / "changed.pth"
    changed.write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    monkeypatch.setattr(lite_package, "find_lite0_file", lambda: changed)
    with pytest.raises(BackboneError, match="is not the weights file that tfft knows"):
        read_lite0_arrays()


def _crops(archive: Path, every: int) -> tuple[np.ndarray, list[str]]:
    """Reads each `every`-th photo, uint8 [n, 160, 160, 3], and its WordNet identifier."""
    photos, wnids = [], []
    with tarfile.open(archive) as tar:
        members = [member for member in tar if member.name.endswith(".jpg")]
        for member in members[::every]:
            content = tar.extractfile(member)
            assert content is not None
            photos.append(np.asarray(Image.open(io.BytesIO(content.read())).convert("RGB")))
            wnids.append(member.name.split("/")[1].split("-")[0])
    return np.stack(photos), wnids


@pytest.mark.slow
@pytest.mark.shared
def test_it_knows_dogs(backbone: Backbone, shared_data: Path):
    """The classifier's rows of the 120 breeds, untrained: 82.2 % on 8,580 crops, here on 412."""
    photos, wnids = _crops(shared_data / "stanford_dogs_crops160" / "images.tar", every=50)
    labels_file = Path(tfds.__file__).parent / "datasets" / "imagenet2012" / "labels.txt"
    classes = sorted(labels_file.read_text().split())
    breeds = sorted(set(wnids))
    assert len(classes) == 1000
    assert len(breeds) == 120

    features = np.concatenate(
        [
            backbone.model((photos[i : i + 16].astype("float32") - 127) / 128).numpy()
            for i in range(0, len(photos), 16)
        ]
    ).mean(axis=(1, 2))
    classifier = read_lite0_classifier()
    rows = [classes.index(breed) for breed in breeds]
    logits = features @ classifier.kernel[:, rows] + classifier.bias[rows]
    top1 = np.mean([breeds[i] == wnid for i, wnid in zip(logits.argmax(1), wnids, strict=True)])
    assert top1 > 0.77  # standard error 1.9 points
