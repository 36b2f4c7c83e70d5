"""Transfer learning as the Keras guide writes it: the whole model on every image in each epoch.

`crops.py` runs it for comparison, in its own process; it prints one JSON document. It uses
nothing of tfft: `tf.data` over files, augmentation layers in the model, a frozen base
called with ``training=False``, `compile` and `fit`.

Source: https://keras.io/guides/transfer_learning, with the data held as files.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
STARTED = time.perf_counter()

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402

SIZE_PX = 160


def images(files: list[str], labels: np.ndarray, batch_size: int, shuffle: bool) -> tf.data.Dataset:
    """Batches of decoded images and labels."""

    def decode(path: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        image = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
        return tf.image.resize(image, (SIZE_PX, SIZE_PX)), label

    dataset = tf.data.Dataset.from_tensor_slices((files, labels))
    if shuffle:
        dataset = dataset.shuffle(len(files), seed=0)
    return (
        dataset.map(decode, num_parallel_calls=tf.data.AUTOTUNE)
        .batch(batch_size)
        .prefetch(tf.data.AUTOTUNE)
    )


def build(options: argparse.Namespace, classes: int) -> keras.Model:
    """The guide's model: augmentation, scaling, frozen base, pooling, dense."""
    base = keras.saving.load_model(options.base, compile=False)
    augmentation = [keras.layers.RandomFlip("horizontal"), keras.layers.RandomRotation(0.1)]
    inputs = x = keras.Input((SIZE_PX, SIZE_PX, 3))
    if options.augment:
        for layer in augmentation:
            x = layer(x)
    x = keras.layers.Rescaling(options.scale, offset=options.offset)(x)
    freeze(base, options.train_from)
    x = base(x, training=False)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(classes)(x))


def freeze(base: keras.Model, train_from: str) -> None:
    """Freezes the layers below `train_from` and every BatchNormalization; "" freezes all."""
    base.trainable = bool(train_from)
    reached = train_from == "all"
    for layer in base.layers:
        reached = reached or layer.name == train_from
        layer.trainable = reached and not isinstance(layer, keras.layers.BatchNormalization)
    if train_from and not reached:
        raise SystemExit(f"no layer {train_from} in {[layer.name for layer in base.layers]}")


def now() -> np.ndarray:
    """Seconds by the clock, and those of the processors that this process has had."""
    return np.array([time.perf_counter(), time.process_time()])


class Times(keras.callbacks.Callback):
    """Seconds of each epoch including its validation, without the very first batch.

    The graph is compiled with that batch; its time counts as set-up. Each is a pair, as `now`
    gives it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.first_batch: np.ndarray | None = None
        self.seconds: list[np.ndarray] = []

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._started = now()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        if self.first_batch is None:
            after = now()
            self.first_batch, self._started = after - self._started, after

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self.seconds.append(now() - self._started)


def main() -> None:
    """Trains, evaluates and prints the times."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base", type=Path, required=True, help="backbone as a .keras file")
    parser.add_argument("--splits", type=Path, required=True, help="JSON: files and labels")
    parser.add_argument("--train-from", default="", help="first trained layer; all; none if empty")
    parser.add_argument("--augment", action="store_true")
    parser.add_argument("--scale", type=float, required=True)
    parser.add_argument("--offset", type=float, required=True)
    parser.add_argument("--learning-rate", type=float, required=True)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--evaluate", action="store_true", help="measure test accuracy too")
    options = parser.parse_args()
    splits = json.loads(options.splits.read_text())
    data = {
        name: images(split["files"], np.array(split["labels"]), options.batch_size, name == "train")
        for name, split in splits.items()
    }
    classes = 1 + max(label for split in splits.values() for label in split["labels"])
    model = build(options, classes)
    model.compile(
        keras.optimizers.Adam(options.learning_rate),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    times = Times()
    setup = now() - np.array([STARTED, 0.0])
    validation = data.get("validation")
    model.fit(
        data["train"],
        epochs=options.epochs,
        validation_data=validation,
        callbacks=[times],
        verbose=0,
    )
    if times.first_batch is not None:
        setup += times.first_batch
    report = {
        "setup_seconds": float(setup[0]),
        "setup_cpu_seconds": float(setup[1]),
        "epoch_seconds": [float(each[0]) for each in times.seconds],
        "epoch_cpu_seconds": [float(each[1]) for each in times.seconds],
    }
    if options.evaluate:
        report["top1"] = float(model.evaluate(data["test"], verbose=0)[1])
    json.dump(report, sys.stdout)


if __name__ == "__main__":
    main()
