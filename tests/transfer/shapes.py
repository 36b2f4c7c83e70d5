"""Runs on images of three shapes with a small application: what several tests train."""

from pathlib import Path

import keras
import numpy as np
from PIL import Image, ImageDraw

from tfft.config.recipe import Recipe

SIZE_PX = 32
HEADS = {"unfreeze": "none", "epochs": 2, "learning_rate": 0.01}
LAST = {"unfreeze": {"last_blocks": 2}, "epochs": 2, "learning_rate": 1e-3, "augment": "flip"}
AVERAGED = {**LAST, "ema_decay": 0.8, "l2sp": {"alpha": 0.1, "beta": 0.01}, "layer_decay": 0.5}
ALL = {"unfreeze": "all", "epochs": 2, "learning_rate": 1e-3, "batch_norm": "adapt"}
LINEAR = {"solver": "linear"}
THREE_PHASES = (HEADS, AVERAGED, ALL)


def write_photos(root: Path) -> Path:
    """Writes 90 pictures: a disc, a square or a cross, somewhere on a coloured ground."""
    generator = np.random.default_rng(0)
    for number in range(90):
        kind = ("disc", "square", "cross")[number % 3]
        image = Image.new("RGB", (40, 40), tuple(generator.integers(0, 120, 3)))
        draw = ImageDraw.Draw(image)
        x, y = generator.integers(2, 18, 2)
        box, colour = [x, y, x + 18, y + 18], tuple(generator.integers(150, 255, 3))
        if kind == "disc":
            draw.ellipse(box, colour)
        elif kind == "square":
            draw.rectangle(box, colour)
        else:
            draw.line(box, colour, 5)
            draw.line([x, y + 18, x + 18, y], colour, 5)
        (root / kind).mkdir(exist_ok=True)
        image.save(root / kind / f"{number:03d}.png")
    return root


def write_weights(photos: Path) -> Path:
    """Writes weights of a MobileNet whose BatchNormalization knows what it normalises."""
    path = photos.with_name("mobilenet.weights.h5")
    keras.utils.set_random_seed(0)
    model = keras.applications.MobileNet(
        alpha=0.25, include_top=False, weights=None, input_shape=(SIZE_PX, SIZE_PX, 3)
    )
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.5
    files = sorted(photos.glob("*/*.png"))
    images = np.stack([np.asarray(Image.open(f).resize((SIZE_PX,) * 2)) for f in files])
    for _ in range(20):
        model(images / 127.5 - 1.0, training=True)
    model.save_weights(path)
    return path


def shapes_recipe(photos: Path, *phases: dict, **train_section: object) -> Recipe:
    """A recipe on what `write_photos` and `write_weights` wrote."""
    return Recipe.model_validate(
        {
            "name": "shapes",
            "data": {
                "kind": "image_folder",
                "path": str(photos),
                "validation_fraction": 0.25,
            },
            "image": {"size_px": SIZE_PX},
            "backbone": {
                "kind": "application",
                "name": "MobileNet",
                "weights": str(photos.with_name("mobilenet.weights.h5")),
                "arguments": {"alpha": 0.25},
            },
            "heads": {"label": {"dropout": 0.2}},
            "train": {"phases": phases, "batch_size": 16, **train_section},
        }
    )


def weights_of(run: Path) -> dict[str, np.ndarray]:
    """The weights of a run's model by path, and its seeds."""
    model = keras.saving.load_model(run / "model.keras", compile=False)
    weights = {v.path: v.numpy() for v in model.variables if "seed" not in v.path}
    seeds = [v.numpy() for v in model.variables if "seed" in v.path]
    return {**weights, "seeds": np.stack(seeds)}
