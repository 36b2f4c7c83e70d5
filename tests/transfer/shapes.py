"""Runs on images of three shapes with a small backbone: what several tests train."""

from pathlib import Path

import keras
import numpy as np
from PIL import Image, ImageDraw

from tfft.config.loading.load import dump_recipe
from tfft.config.recipe import Recipe

SIZE_PX = 32
FEATURES = 32
_BACKBONE = "small.keras"
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


def write_backbone(photos: Path) -> Path:
    """Writes a small network of four blocks whose BatchNormalization knows what it normalises.

    A stem and three blocks of a depthwise and a pointwise convolution, as a MobileNet has them.
    """
    path = photos.with_name(_BACKBONE)
    keras.utils.set_random_seed(0)
    x = images = keras.Input((SIZE_PX, SIZE_PX, 3))
    x = _normalised(keras.layers.Conv2D(8, 3, 2, "same", use_bias=False, name="stem")(x), "stem")
    for number, channels in enumerate((16, 24, FEATURES), start=1):
        name = f"block_{number}"
        depthwise = keras.layers.DepthwiseConv2D(
            3, 2, "same", use_bias=False, name=f"{name}_depthwise"
        )
        x = _normalised(depthwise(x), f"{name}_depthwise")
        pointwise = keras.layers.Conv2D(channels, 1, use_bias=False, name=f"{name}_pointwise")
        x = _normalised(pointwise(x), f"{name}_pointwise")
    model = keras.Model(images, x, name="small")
    pixels = [Image.open(file).resize((SIZE_PX,) * 2) for file in sorted(photos.glob("*/*.png"))]
    inputs = np.stack([np.asarray(each) for each in pixels]) / 127.5 - 1.0
    for _ in range(20):
        model(inputs, training=True)
    model.save(path)
    return path


def _normalised(x, name: str):
    x = keras.layers.BatchNormalization(momentum=0.5, name=f"{name}_bn")(x)
    return keras.layers.ReLU(name=f"{name}_relu")(x)


def small_backbone(path: Path) -> dict[str, object]:
    """What a recipe says of the file that `write_backbone` wrote."""
    return {"kind": "keras", "path": str(path), "input_range": (-1, 1)}


def shapes_recipe(photos: Path, *phases: dict, **train_section: object) -> Recipe:
    """A recipe on what `write_photos` and `write_backbone` wrote."""
    return Recipe.model_validate(
        {
            "name": "shapes",
            "data": {
                "kind": "image_folder",
                "path": str(photos),
                "validation_fraction": 0.25,
            },
            "image": {"size_px": SIZE_PX},
            "backbone": small_backbone(photos.with_name(_BACKBONE)),
            "heads": {"label": {"dropout": 0.2}},
            "train": {"phases": phases, "batch_size": 16, **train_section},
        }
    )


def write_recipe(root: Path, *phases: dict, **train_section: object) -> Path:
    """Writes the photos, the backbone and a recipe on both as a file."""
    photos = root / "photos"
    photos.mkdir()
    write_backbone(write_photos(photos))
    path = root / "recipe.yaml"
    path.write_text(dump_recipe(shapes_recipe(photos, *phases, **train_section)))
    return path


def weights_of(run: Path) -> dict[str, np.ndarray]:
    """The weights of a run's model by path, and its seeds."""
    model = keras.saving.load_model(run / "model.keras", compile=False)
    weights = {v.path: v.numpy() for v in model.variables if "seed" not in v.path}
    seeds = [v.numpy() for v in model.variables if "seed" in v.path]
    return {**weights, "seeds": np.stack(seeds)}
