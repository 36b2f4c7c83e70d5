"""Made the files of format 0 in this directory; run with the code of that time, and kept to read.

    python tests/old_formats/make.py PLACE

With commit 66682e7 as the code, in an empty directory PLACE: a run that was interrupted in its
second phase, a finished run with its evaluation, calibration, exports and cache entries, a
`.keras` file with a module in it, and a study of two finished runs. All weights are random, or
were trained for some seconds. They are packed into `0.zip`, where `@PLACE@` stands for `PLACE`,
without what is made again: TensorBoard's logs, pictures, pages, requests to warm up a server.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from pictures import SIZE_PX, write_pictures

place = Path(sys.argv[1]).absolute()
os.environ["TFFT_CACHE_DIR"] = str(place / "cache")
_LEFT_OUT = (
    *("photos", "*.yaml", "cache/scans", "runs/*/tensorboard", "runs/finished/checkpoints"),
    *("runs/other/checkpoints", "runs/interrupted/model.keras", "runs/interrupted/checkpoints/.*"),
    *("saved_models/*/*/assets.extra/tf_serving_warmup_requests", "saved_models/*/serving"),
    *("studies/*/*.html", "studies/*/*.md", "studies/*/*.png", "studies/*/lock", "**/.*.lock"),
)
TFFT = [sys.executable, "-m", "tfft"]
RECIPE = f"""\
name: tiny
data: {{kind: image_folder, path: {place}/photos, validation_fraction: 0.25, test_fraction: 0.25}}
image: {{size_px: {SIZE_PX}}}
backbone: {{kind: keras, path: {place}/backbone.keras, input_range: [0.0, 1.0]}}
train:
  batch_size: 4
  monitor: figure
  checkpoint_seconds: 0.01
  phases:
    - {{unfreeze: none, epochs: 6, learning_rate: 0.1}}
    - {{unfreeze: all, epochs: EPOCHS, learning_rate: 0.02}}
"""


def make_backbone(path: Path) -> None:
    """Saves a convolution and its normalization."""
    import keras

    keras.utils.set_random_seed(1)
    images = keras.Input((SIZE_PX, SIZE_PX, 3))
    x = keras.layers.Conv2D(4, 3, strides=4, name="below_conv")(images)
    x = keras.layers.BatchNormalization(name="below_norm")(x)
    x = keras.layers.ReLU(name="below_relu")(x)
    x = keras.layers.Conv2D(4, 3, name="above_conv")(x)
    keras.Model(images, keras.layers.ReLU(name="above_relu")(x), name="tiny").save(path)


def tfft(*arguments: str) -> None:
    """Runs a command in `place`."""
    subprocess.run([*TFFT, *arguments], cwd=place, check=True)


def train_interrupted(recipe: Path, run: Path) -> None:
    """Sends Ctrl-C when the second phase has a checkpoint."""
    process = subprocess.Popen([*TFFT, "train", str(recipe), "--run", str(run)], cwd=place)
    while not (history := run / "history.csv").is_file() or "\n2," not in history.read_text():
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    process.wait()


def answers_when_resumed(run: Path) -> list[list[float]]:
    """Goes on with a copy of a run and returns its probabilities on the test images."""
    copy = place / "resumed"
    shutil.copytree(run, copy)
    tfft("train", "--resume", "resumed")
    tfft("evaluate", "resumed")
    with np.load(copy / "evaluation" / "test.npz") as answers:
        found = answers["outputs/label"].tolist()
    shutil.rmtree(copy)
    return found


def make_module(path: Path) -> list[list[float]]:
    """Saves a Keras model with a SavedModel in it; returns what it answers to fixed images."""
    import keras
    import tensorflow as tf

    from tfft.backbones.build import build_backbone
    from tfft.config.model import HubBackbone

    kernel = tf.Variable(tf.constant(np.linspace(-1, 1, 12).reshape(3, 4).astype(np.float32)))
    module = tf.train.Checkpoint()
    module.variables = module.trainable_variables = [kernel]
    spec = tf.TensorSpec((None, SIZE_PX, SIZE_PX, 3), tf.float32, name="inputs")
    module.__call__ = tf.function(
        lambda inputs: tf.nn.relu(tf.reduce_mean(inputs, (1, 2)) @ kernel), input_signature=[spec]
    )
    tf.saved_model.save(module, str(path / "module"))
    config = HubBackbone(kind="hub", handle=str(path / "module"), input_range=(0.0, 1.0))
    backbone = build_backbone(config, SIZE_PX)
    model: keras.Model = backbone.model
    model.save(path / "with_module.keras")
    images = np.linspace(0, 1, 2 * SIZE_PX * SIZE_PX * 3, dtype=np.float32)
    shutil.rmtree(path / "module")
    return model(images.reshape(2, SIZE_PX, SIZE_PX, 3)).numpy().tolist()


def pack(archive: Path) -> None:
    """Packs what is needed, without the place where it was made."""
    for left_out in _LEFT_OUT:
        for path in place.glob(left_out):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        for path in sorted(p for p in place.rglob("*") if p.is_file()):
            content = path.read_bytes()
            if path.suffix in (".json", ".yaml"):
                content = content.replace(str(place).encode(), b"@PLACE@")
                content = re.sub(rb"[^\s\"]+/tfft/__main__.py", b"tfft", content)
                content = re.sub(rb'"system": "[^"]+"', b'"system": "Linux"', content)
            packed.writestr(str(path.relative_to(place)), content)


def main() -> None:
    """Makes everything."""
    place.mkdir()
    write_pictures(place / "photos")
    make_backbone(place / "backbone.keras")
    for name, epochs in (("short", 4), ("long", 30)):
        (place / f"{name}.yaml").write_text(RECIPE.replace("EPOCHS", str(epochs)))
    tfft("train", "short.yaml", "--run", "runs/finished")
    tfft(
        "train", "short.yaml", "--run", "runs/other", "--set", "train.phases.1.learning_rate=0.005"
    )
    train_interrupted(place / "long.yaml", place / "runs" / "interrupted")
    tfft("evaluate", "runs/finished")
    tfft("calibrate", "runs/finished")
    tfft("export", "runs/finished")
    tfft("compare", "runs/finished", "runs/other", "--name", "pair")
    expected = {
        "resumed": answers_when_resumed(place / "runs" / "interrupted"),
        "with_module": make_module(place),
    }
    (place / "expected.json").write_text(json.dumps(expected) + "\n")
    pack(Path(__file__).parent / "0.zip")


if __name__ == "__main__":
    main()
