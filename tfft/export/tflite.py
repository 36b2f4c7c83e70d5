"""A Keras model as a TFLite file that carries its labels and its pixels."""

import json
import zipfile
from pathlib import Path

from tfft.export.outputs import answers_and_logits
from tfft.runtime.info import FILE_NAME, ModelInfo
from tfft.runtime.tflite_convert import convert_to_tflite
from tfft.system.tensorflow import start_tensorflow

start_tensorflow()
import keras  # noqa: E402


def write_tflite(model: keras.Model, info: ModelInfo, path: Path) -> None:
    """Writes a float32 TFLite file with a fixed batch of 1.

    Its input ``images`` is float32 [1, height, width, 3], RGB, 0..255; its outputs are those of the
    SavedModel. A zip archive at the end of the file, where TFLite's metadata keeps associated
    files, has ``tfft.json`` and the class names of each head.

    Raises:
        TfftError: The model needs operators that TFLite has not.
    """
    images = keras.Input(model.input_shape[1:], name="images")
    outputs = answers_and_logits(model(images), info.heads)
    path.write_bytes(convert_to_tflite(keras.Model(images, outputs)))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(FILE_NAME, json.dumps(info.to_json(), ensure_ascii=False))
        for name, head in ((n, h) for n, h in info.heads.items() if h.class_names):
            labels = "".join(f"{label}\n" for label in head.class_names)
            archive.writestr(f"{name}_labels.txt", labels)
