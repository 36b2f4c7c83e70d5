"""What the check passes, every form of a model reads to the same pixels; the rest, none reads."""

import random

import mutated_images
import numpy as np
import pytest
import tensorflow as tf
from tally import tally

from tfft.data.graph.tolerant import decode_tolerant
from tfft.errors import DataError
from tfft.images.inspect import inspect_image
from tfft.images.pixels import encoded_to_pixels
from tfft.images.spec import PixelSpec
from tfft.runtime.load import load_predictor

_TOGETHER = 100
# Names of what decodes, which are no business of a user's.
_INTERNALS = ("pillow", "tensorflow", "libpng", "libjpeg", "giflib", "decoder object", "error")


class _Forms:
    """One small model in all its forms, which answer for batches of image files."""

    def __init__(self, keras_predictor, exported) -> None:
        self.keras = keras_predictor
        self.pixels: PixelSpec = keras_predictor.info.pixels
        loaded = tf.saved_model.load(str(exported.savedmodel))
        self._loaded, self.saved_model = loaded, loaded.signatures["serve_bytes"]
        self.tflite = load_predictor(exported.tflite["float32"])
        shape = [self.pixels.height, self.pixels.width, self.pixels.channels]
        kinds = (tf.TensorSpec(shape, tf.float32), tf.TensorSpec([], tf.bool))
        self.graph = tf.function(
            lambda batch: tf.map_fn(
                lambda encoded: decode_tolerant(encoded, self.pixels),
                batch,
                fn_output_signature=kinds,
            ),
            input_signature=[tf.TensorSpec([None], tf.string)],
        )

    def disagreements(self, batch: list[bytes]) -> dict[int, str]:
        """Returns how the forms disagree, by the number of the file."""
        pixels, in_graph = (output.numpy() for output in self.graph(tf.constant(batch)))
        served = self.saved_model(image_bytes=tf.constant(batch))["probabilities"].numpy()
        found, read = {}, {}
        for number, file in enumerate(batch):
            reasons = {name: self._refusal(see, file) for name, see in self._seeing.items()}
            refused = [name for name, reason in reasons.items() if reason is not None]
            refused += ["graph"] * (not in_graph[number])
            refused += ["serve_bytes"] * bool(np.isnan(served[number]).any())
            if 0 < len(refused) < len(reasons) + 2:
                found[number] = f"refused by {refused}: {reasons}"
            elif any(word in f"{reasons}".lower() for word in _INTERNALS):
                found[number] = f"{reasons}"
            elif not refused:
                read[number] = encoded_to_pixels(file, self.pixels)
        for number, expected in read.items():
            if np.abs(pixels[number] - expected).max() > 0.01:
                found[number] = "other pixels"
        if read:
            answers = self.tflite.answers(np.stack(list(read.values())))["label"]
            for number, answer in zip(read, answers, strict=True):
                if np.abs(answer - served[number]).max() > 1e-3:
                    found.setdefault(number, "other answers")
        return found

    @property
    def _seeing(self):
        return {
            "check": inspect_image,
            "tflite": lambda file: self.tflite.pixels([file]),
            "keras": lambda file: self.keras.pixels([file]),
        }

    @staticmethod
    def _refusal(see, file: bytes) -> str | None:
        try:
            see(file)
        except DataError as error:
            return str(error)
        return None


@pytest.fixture(scope="module")
def forms(small_keras, exported):
    return _Forms(small_keras, exported)


@pytest.mark.slow
@pytest.mark.parametrize("files", [300, pytest.param(6000, marks=pytest.mark.full)])
def test_every_form_of_a_model_has_the_same_verdict_on_a_damaged_image(forms, files):
    chance = random.Random(files)
    seeds = list(mutated_images.seeds().values())
    failures = []
    assert not forms.disagreements(seeds)
    for _ in range(0, files, _TOGETHER):
        batch = [mutated_images.mutated(chance.choice(seeds), chance) for _ in range(_TOGETHER)]
        found = forms.disagreements(batch)
        failures += [(batch[number][:4], what, batch[number]) for number, what in found.items()]
    tally(
        "images",
        "An image that the check passes is read to the same pixels by every form of a model, and "
        "one that it refuses is refused by all",
        tried=files,
        held=files - len(failures),
    )
    assert not failures, [(start, what) for start, what, _ in failures]
