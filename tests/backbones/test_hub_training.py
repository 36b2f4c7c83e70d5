"""SavedModels as backbones: what training changes of them, and what every saved form answers.

Modules in each published layout, with pooled features or with activations, under each way of
unfreezing.
"""

from pathlib import Path

from tfft.system.tensorflow import keras, tf

import numpy as np
import pytest
from hub_modules import save_module, small_network

from tfft.backbones.backbone import Backbone
from tfft.backbones.build import build_backbone
from tfft.backbones.keras_models.keras_file import load_keras_file
from tfft.config.data import ImageConfig
from tfft.config.model import ClassificationHead, HubBackbone
from tfft.config.train import AdamWOptimizer, GradientPhase, L2Sp, LastBlocks
from tfft.exports.saved_model import write_saved_model
from tfft.exports.tflite.build import float32_content, write_tflite
from tfft.images.spec import PixelSpec
from tfft.model.assemble import Classifier, build_classifier
from tfft.model.head_size import HeadSize
from tfft.runtime.info import HeadInfo, ModelInfo
from tfft.runtime.saved_model_predictor import SavedModelPredictor
from tfft.runtime.tflite.convert import operators
from tfft.runtime.tflite.predictor import TflitePredictor
from tfft.transfer.plan.unfreeze import unfrozen
from tfft.transfer.step.batch_norm import set_batch_norm
from tfft.transfer.step.optimizers import build_optimizer, inner_optimizer
from tfft.transfer.step.step import TrainStep
from tfft.transfer.step.update_rules import update_rules

CLASSES = ("a", "b", "c")
MODULES = {
    "training_argument": ("training_argument", True),
    "no_training": ("no_training", True),
    "signature": ("signature", True),
    "activations": ("training_argument", False),
}
# The reusable SavedModel of TensorFlow 2 stands for the others in the fast suite.
FIRST_FAST = [
    pytest.param(name, marks=() if name == "training_argument" else pytest.mark.slow)
    for name in MODULES
]
UNFREEZE = {"frozen": "none", "partly": LastBlocks(last_blocks=1), "whole": "all"}
INFO = ModelInfo(
    name="module",
    input=PixelSpec(24, 24),
    heads={"label": HeadInfo("classification", CLASSES, "label")},
    backbone="module",
    licence=None,
    data=None,
    tfft_version="0",
    created="2026-01-01T00:00:00+00:00",
)


@pytest.fixture(scope="module")
def modules(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("modules")
    return {
        name: save_module(small_network(pooled=pooled), root / name, layout)
        for name, (layout, pooled) in MODULES.items()
    }


def built(path: Path, **section) -> Backbone:
    return build_backbone(HubBackbone(kind="hub", handle=str(path), **section))


def classifier_on(backbone: Backbone) -> Classifier:
    heads, sizes = {"label": ClassificationHead()}, {"label": HeadSize(len(CLASSES))}
    return build_classifier(backbone, heads, sizes, ImageConfig(), 0)


def images(count: int = 6) -> np.ndarray:
    return np.random.default_rng(1).uniform(0, 255, (count, 24, 24, 3)).astype(np.float32)


def train_step(classifier: Classifier, unfreeze, batch_norm: str = "frozen", **phase) -> set[str]:
    """Takes a step as a phase does, and returns the paths of the variables that it changed."""
    phase = GradientPhase(
        unfreeze=unfreeze, steps=1, learning_rate=1e-2, batch_norm=batch_norm, **phase
    )
    trained = unfrozen(classifier, unfreeze)
    set_batch_norm(classifier, trained, batch_norm)
    rules = update_rules(classifier, phase, trained)
    optimizer = build_optimizer(AdamWOptimizer(name="adamw"), classifier.weights, keep_start=True)
    inner_optimizer(optimizer).begin_phase(rules)
    # The heads start at zero, where the backbone has no gradient yet.
    classifier.head_weights[0].assign(
        np.random.default_rng(2).normal(size=classifier.head_weights[0].shape)
    )
    before = {v.path: v.numpy() for v in classifier.model.variables}
    cut = classifier.cut(trained.frozen_blocks)
    step = TrainStep(cut, classifier.heads, optimizer, [variable for variable, _ in rules])
    labels = tf.constant(np.arange(6) % 3)
    step.on_batch(((tf.constant(images()),), {"label": labels}), tf.constant(1e-2))
    after = {v.path: v.numpy() for v in classifier.model.variables}
    return {path for path in before if not np.array_equal(before[path], after[path])}


def of_block(classifier: Classifier, *names: str) -> set[str]:
    return {v.path for b in classifier.backbone.blocks if b.name in names for v in b.weights} | {
        v.path for v in classifier.head_weights
    }


EXPECTED = {
    "frozen": (),
    "partly": ("block_2",),
    "whole": ("stem", "block_1", "block_2"),
}


@pytest.mark.parametrize("module", FIRST_FAST)
@pytest.mark.parametrize("unfreeze", UNFREEZE)
def test_a_step_changes_what_is_unfrozen_and_no_other_bit(modules, module, unfreeze):
    classifier = classifier_on(built(modules[module]))
    changed = train_step(classifier, UNFREEZE[unfreeze])
    assert changed == of_block(classifier, *EXPECTED[unfreeze])


@pytest.mark.parametrize(
    "module", ["training_argument", pytest.param("activations", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("unfreeze", ["partly", "whole"])
def test_batch_norm_adapts_in_unfrozen_blocks_and_only_there(modules, module, unfreeze):
    classifier = classifier_on(built(modules[module]))
    changed = train_step(classifier, UNFREEZE[unfreeze], "adapt")
    statistics = {path for path in changed if "moving" in path}
    assert statistics == {
        f"net/{block}_bn/{name}"
        for block in EXPECTED[unfreeze]
        for name in ("moving_mean", "moving_variance")
    }
    assert changed - statistics == of_block(classifier, *EXPECTED[unfreeze])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "unfreeze"),
    [
        pytest.param(
            *(module, unfreeze),
            marks=() if unfreeze == "whole" or module == "training_argument" else pytest.mark.full,
        )
        for module in MODULES
        for unfreeze in UNFREEZE
    ],
)
def test_every_saved_form_answers_like_the_trained_model(modules, module, unfreeze, tmp_path):
    classifier = classifier_on(built(modules[module]))
    mode = "adapt" if unfreeze == "whole" and module == "training_argument" else "frozen"
    train_step(classifier, UNFREEZE[unfreeze], mode)
    expected = classifier.model(images(), training=False)["label"].numpy()
    assert np.ptp(expected, axis=0).min() > 1e-2
    classifier.model.save(tmp_path / "model.keras")
    loaded = load_keras_file(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(images(), training=False)["label"], expected)
    write_saved_model(loaded, INFO, tmp_path / "saved")
    served = SavedModelPredictor(tmp_path / "saved", INFO, "serving_default")
    np.testing.assert_allclose(served.logits(images())["label"], expected, rtol=1e-5, atol=1e-5)
    content = float32_content(loaded, INFO)
    write_tflite(content, INFO, tmp_path / "model.tflite", version="1", description="")
    phone = TflitePredictor(tmp_path / "model.tflite", INFO)
    np.testing.assert_allclose(phone.logits(images())["label"], expected, rtol=1e-4, atol=1e-4)
    content = (tmp_path / "model.tflite").read_bytes()
    assert not [name for name in operators(content) if name.startswith("Flex")]


def test_a_saved_model_loads_without_the_module_that_it_came_from(tmp_path):
    network = small_network()
    path = save_module(network, tmp_path / "module", "training_argument")
    model = built(path).model
    model.save(tmp_path / "model.keras")
    for file in sorted(path.rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    loaded = load_keras_file(tmp_path / "model.keras")
    pixels = images() / 255
    np.testing.assert_array_equal(loaded(pixels), network(pixels))
    loaded.save(tmp_path / "again.keras")
    np.testing.assert_array_equal(
        load_keras_file(tmp_path / "again.keras")(pixels), network(pixels)
    )


def test_weights_are_saved_by_the_names_of_the_module(modules, tmp_path):
    first, second = built(modules["training_argument"]), built(modules["training_argument"])
    train_step(classifier_on(first), "all")
    first.model.save_weights(tmp_path / "w.weights.h5")
    second.model.load_weights(tmp_path / "w.weights.h5")
    for one, other in zip(first.model.variables, second.model.variables, strict=True):
        assert one.path == other.path
        np.testing.assert_array_equal(one, other)


def test_the_penalties_that_a_module_brings_are_part_of_what_is_minimised(tmp_path):
    """With the head's gradient at zero they alone move the kernels, towards zero."""
    path = save_module(small_network(), tmp_path / "m", "training_argument", regularization=0.1)
    classifier = classifier_on(built(path))
    kernels = [v for v in classifier.weights if v.name == "kernel" and len(v.shape) == 4]
    optimizer = keras.optimizers.SGD(0.5)
    optimizer.build(classifier.weights)
    before = [kernel.numpy() for kernel in kernels]
    step = TrainStep(classifier.cut(0), classifier.heads, optimizer, list(classifier.weights))
    batch = ((tf.constant(images()),), {"label": tf.constant(np.arange(6) % 3)})
    step.on_batch(batch, tf.constant(0.5))
    for kernel, value in zip(kernels, before, strict=True):
        np.testing.assert_allclose(kernel, value * (1 - 0.5 * 2 * 0.1), rtol=1e-5, atol=1e-7)


def test_learning_rates_by_depth_and_l2sp_reach_its_variables(modules):
    classifier = classifier_on(built(modules["no_training"]))
    phase = GradientPhase(
        unfreeze="all", steps=1, learning_rate=1.0, layer_decay=0.5, l2sp=L2Sp(alpha=0.3)
    )
    rules = update_rules(classifier, phase, unfrozen(classifier, "all"))
    found = {variable.path: (rule.factor, rule.pull) for variable, rule in rules}
    assert found["net/stem_conv/kernel"] == (0.125, 0.3)
    assert found["net/block_2_bn/gamma"] == (0.5, 0.3)
    assert found["label_logits/kernel"] == (1.0, 0.0)


@pytest.mark.slow
def test_it_computes_in_float32_under_a_policy_of_half_precision(modules):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        classifier = classifier_on(built(modules["activations"]))
    finally:
        keras.config.set_dtype_policy("float32")
    assert {v.dtype for v in classifier.weights} == {"float32"}
    changed = train_step(classifier, "all")
    assert changed == of_block(classifier, "stem", "block_1", "block_2")
