"""A Keras model as TFLite files that carry their labels, their pixels and their metadata."""

import hashlib
import json
import zipfile
from pathlib import Path

from tfft.system.tensorflow import keras

from tfft.exports.outputs import answers_and_logits, labels_file
from tfft.exports.tflite.file import model_bytes, order_outputs, read_model, take_uint8
from tfft.exports.tflite.metadata import add_metadata, output_names
from tfft.runtime.info import DIGEST_KEY, FILE_NAME, ModelInfo
from tfft.runtime.tflite.convert import convert_to_tflite


def float32_content(model: keras.Model, info: ModelInfo, batch_size: int = 1) -> bytes:
    """Returns the model as a float32 TFLite file without any description.

    Raises:
        TfftError: The model needs operators that TFLite does not have.
    """
    images = keras.Input(model.input_shape[1:], name="images")
    outputs = answers_and_logits(model(images), info)
    return convert_to_tflite(keras.Model(images, outputs), batch_size)


def write_tflite(
    content: bytes,
    info: ModelInfo,
    path: Path,
    *,
    version: str,
    description: str,
    uint8_input: bool = False,
) -> None:
    """Writes a TFLite file that describes itself to its clients.

    Its input ``images`` is [batch, height, width, 3], RGB, 0..255, float32 or uint8; its outputs
    are those of the SavedModel in float32, the answers before the logits. It has TFLite metadata;
    the zip archive at its end, which holds the files associated with these, has ``tfft.json`` and
    the class names of each head.

    Args:
        content: Content of a file, from `float32_content` or made smaller from it.
        info: Description of the model; the places in it are left out.
        path: File to write.
        version: Version of the export.
        description: Description of the file, a sentence.
        uint8_input: Whether the input is uint8 instead of float32.
    """
    info = info.without_places()
    model = read_model(content)
    order_outputs(model, output_names(info))
    if uint8_input:
        take_uint8(model)
    add_metadata(model, info, version, description)
    whole = model_bytes(model)
    path.write_bytes(whole)
    described = {**info.to_export_json(), DIGEST_KEY: hashlib.sha256(whole).hexdigest()}
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(FILE_NAME, json.dumps(described, ensure_ascii=False))
        for name, head in ((n, h) for n, h in info.heads.items() if h.class_names):
            labels = "".join(f"{label}\n" for label in head.class_names)
            archive.writestr(labels_file(name), labels)


def read_labels(path: Path, head: str) -> tuple[str, ...]:
    """Returns the class names of a head as clients read them, from the file's label file."""
    with zipfile.ZipFile(path) as archive:
        return tuple(archive.read(labels_file(head)).decode("utf-8").splitlines())
