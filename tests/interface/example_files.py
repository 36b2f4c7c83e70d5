"""What the examples of the Python interface find in their directory, made small.

The recipe `classifier` is the bundled one but for its backbone and size: two blocks with random
weights, so that an example takes a second.
"""

from pathlib import Path

import keras
import numpy as np
from PIL import Image

SIZE_PX = 32
PHOTOS_OF_A_CLASS = 20
COLOURS = {"blue": (40, 60, 230), "green": (60, 200, 50), "red": (220, 50, 40)}
RECIPE = """\
name: classifier
data: {{kind: image_folder}}
image: {{size_px: {size_px}}}
backbone: {{kind: keras, path: {backbone}, input_range: [-1, 1]}}
train: {{phases: [{{solver: linear, refit: true}}]}}
export: {{tflite: {{timed: false}}}}
"""


def write_example_files(directory: Path) -> Path:
    """Writes photos of three colours, a Keras model and the recipe on it, which is returned."""
    generator = np.random.default_rng(0)
    for label, colour in COLOURS.items():
        (directory / "photos" / label).mkdir(parents=True)
        for number in range(PHOTOS_OF_A_CLASS):
            pixels = np.array(colour) + generator.integers(-40, 40, (SIZE_PX, SIZE_PX, 3))
            image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
            # Not compressed, so that the bytes, which decide the splits, are the same anywhere.
            image.save(directory / "photos" / label / f"{number}.png", compress_level=0)
    model = directory / "models" / "own.keras"
    model.parent.mkdir()
    _backbone().save(model)
    recipe = directory / "classifier.yaml"
    recipe.write_text(RECIPE.format(size_px=SIZE_PX, backbone=model), encoding="utf-8")
    return recipe


def _backbone() -> keras.Model:
    keras.utils.set_random_seed(1)
    images = keras.Input((SIZE_PX, SIZE_PX, 3))
    x = keras.layers.Conv2D(8, 3, strides=2, activation="relu", name="edges")(images)
    x = keras.layers.Conv2D(16, 3, strides=2, activation="relu", name="shapes")(x)
    return keras.Model(images, x, name="own")
