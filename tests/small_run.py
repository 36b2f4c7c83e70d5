"""A run directory that is made in a second: a small trained model over files of every kind."""

from pathlib import Path

import keras
import numpy as np
from PIL import Image, ImageDraw

from tfft.config.loading.load import dump_recipe, recipe_from_dict
from tfft.images.pixels import encoded_to_pixels
from tfft.images.spec import PixelSpec
from tfft.model.unlikeness import distance_of
from tfft.runtime.info import HeadInfo, ModelInfo, UnsureInfo
from tfft.system.files import write_json, write_text
from tfft.system.names import UNLIKENESS
from tfft.transfer.unlikeness import fit_unlikeness

SIZE_PX = 32
CLASSES = ("blue", "green", "red")
_COLOURS = {"blue": (40, 60, 230), "green": (60, 200, 50), "red": (220, 50, 40)}


def write_pictures(root: Path, each: int = 8) -> Path:
    """Writes `each` pictures of every class: JPEG, CMYK, 16-bit grey, EXIF-turned, WebP, PNG."""
    generator = np.random.default_rng(0)
    for label, colour in _COLOURS.items():
        (root / label).mkdir(parents=True)
        for number in range(each):
            image = Image.new("RGB", (60, 44), tuple(generator.integers(90, 160, 3).tolist()))
            draw = ImageDraw.Draw(image)
            x, y = generator.integers(4, 20, 2).tolist()
            draw.ellipse([x, y, x + 30, y + 20], colour)
            draw.line([0, y, 60, y + 9], (255, 255, 255), 2)
            _save(image, root / label / f"{number}", number % 6)
    return root


def _save(image: Image.Image, stem: Path, kind: int) -> None:
    if kind == 0:
        image.save(stem.with_suffix(".jpg"), quality=95)
    elif kind == 1:
        image.convert("CMYK").save(stem.with_suffix(".jpg"), quality=95)
    elif kind == 2:
        exif = Image.Exif()
        exif[0x0112] = 6
        turned = image.transpose(Image.Transpose.ROTATE_90)
        turned.save(stem.with_suffix(".jpg"), exif=exif, quality=95)
    elif kind == 3:
        image.save(stem.with_suffix(".webp"), quality=95)
    elif kind == 4:
        grey = np.asarray(image.convert("L"), np.uint16) * 257
        Image.fromarray(grey).save(stem.with_suffix(".png"))
    else:
        image.save(stem.with_suffix(".png"))


def small_model(heads: tuple[str, ...] = ("label",)) -> keras.Model:
    """A convolutional model with preprocessing inside; its weights are random and not zero."""
    keras.utils.set_random_seed(1)
    images = keras.Input((SIZE_PX, SIZE_PX, 3), name="images")
    x = keras.layers.Rescaling(1 / 127.5, -1.0)(images)
    x = keras.layers.Conv2D(8, 3, strides=2, activation="relu")(x)
    x = keras.layers.BatchNormalization(momentum=0.5)(x)
    x = keras.layers.GlobalAveragePooling2D(name="features")(x)
    return keras.Model(
        images, {h: keras.layers.Dense(len(CLASSES), name=f"{h}_logits")(x) for h in heads}
    )


def write_run(directory: Path, pictures: Path, heads: tuple[str, ...] = ("label",)) -> Path:
    """Writes a run whose model was fitted to the pictures, as training leaves it.

    It is unsure of what is less like the pictures than any of them.
    """
    recipe = recipe_from_dict(
        {
            "name": "colours",
            # By names, since another encoder writes other bytes: how many images are in a split
            # is the same on every machine.
            "data": {
                "kind": "image_folder",
                "path": str(pictures),
                "test_fraction": 0.5,
                "split_by": "name",
            },
            "image": {"size_px": SIZE_PX},
            "backbone": {"kind": "lite"},
            "heads": {head: {} for head in heads},
            "train": {"strategy": "feature_extraction"},
        }
    )
    pixels = PixelSpec(SIZE_PX, SIZE_PX)
    model = small_model(heads)
    files = [(f, i) for i, c in enumerate(CLASSES) for f in sorted((pictures / c).iterdir())]
    images = np.stack([encoded_to_pixels(f.read_bytes(), pixels) for f, _ in files])
    labels = np.array([label for _, label in files])
    model.compile(
        keras.optimizers.Adam(0.03),
        {head: keras.losses.SparseCategoricalCrossentropy(from_logits=True) for head in heads},
    )
    model.fit(images, dict.fromkeys(heads, labels), epochs=20, verbose=0)
    features = keras.Model(model.input, model.get_layer("features").output)
    known = np.asarray(features(images))
    unlikeness = fit_unlikeness(known, known, 0.95)
    outputs = {
        **model.output,
        UNLIKENESS: distance_of(features.output, unlikeness.mean, unlikeness.axes),
    }
    model = keras.Model(model.input, outputs)
    threshold = 1.2 * float(unlikeness.distances(known).max())
    info = ModelInfo(
        name="colours",
        input=pixels,
        heads={head: HeadInfo("classification", CLASSES, "label") for head in heads},
        backbone="EfficientNetLite0",
        licence="Apache-2.0",
        data=recipe.data.model_dump(mode="json"),
        tfft_version="0",
        created="2026-01-01T00:00:00+00:00",
        unsure=UnsureInfo(0.95, threshold, len(known)),
    )
    directory.mkdir(parents=True)
    model.save(directory / "model.keras")
    write_json(directory / "model.json", info.to_json())
    write_json(directory / "run.json", {"status": "finished"})
    write_text(directory / "recipe.yaml", dump_recipe(recipe))
    return directory
