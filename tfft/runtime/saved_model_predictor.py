"""An exported SavedModel as a predictor."""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path

from tfft.system.tensorflow import tf

import numpy as np

from tfft.errors import ModelFileError
from tfft.runtime.info import ModelInfo
from tfft.runtime.predictor import (
    Outputs,
    ReadablePredictor,
    answer_names,
    logits_name,
    require_described,
)
from tfft.runtime.signatures import (
    FLOAT32,
    SIGNATURES,
    cannot_crop,
    check_signature,
    name_in_model,
    refuse_unreadable,
    rounded_pixels,
    sendable,
    taken_by,
)
from tfft.runtime.tensorflow_pixels import TensorflowPixels
from tfft.system.damage import reading
from tfft.system.files import json_value
from tfft.untrusted.saved_model import scan_saved_model


class SavedModelPredictor(ReadablePredictor):
    """Answers with the signatures of a SavedModel.

    Args:
        path: Directory with ``saved_model.pb``.
        info: The model's description.
        signature: Signature that answers. With ``serve_bytes`` (and None) the model itself decodes
            images; the others take pixels that TensorFlow decoded in this process.

    Raises:
        ModelFileError: The directory cannot be loaded, or has operations that are not allowed.
        UsageError: There is no such signature.
    """

    kind = "savedmodel"

    def __init__(self, path: Path, info: ModelInfo, signature: str | None = None) -> None:
        self.path = str(path)
        self.info = info
        self._answer_by(signature)
        scan_saved_model(path, str(path))
        with reading(path, "a SavedModel", error=ModelFileError):
            # The loaded object owns the variables that its signatures use.
            self._loaded = tf.saved_model.load(str(path))
        self._signatures = self._loaded.signatures
        wanted = (*SIGNATURES, name_in_model(FLOAT32, info))
        missing = [name for name in wanted if name not in self._signatures]
        if missing:
            raise ModelFileError(f"the SavedModel {path} has no signature {', '.join(missing)}")
        self._require_described()
        self._pixels = TensorflowPixels(info.pixels)

    def answering_by(self, signature: str | None) -> "SavedModelPredictor":
        """Returns the same loaded model, answering by another signature.

        Raises:
            UsageError: There is no such signature.
        """
        other = copy.copy(self)
        other._answer_by(signature)
        return other

    def described(self) -> ModelInfo:
        """Returns the description that the model gives to its clients.

        Raises:
            ModelFileError: The model has no signature ``describe``, or its answer is not a
                description.
        """
        signature = self._signatures.get("describe")
        if signature is None:
            raise ModelFileError(f"the SavedModel {self.path} has no signature describe")
        (text,) = signature(names=tf.constant([""]))["info"].numpy()
        with reading(self.path, "a SavedModel that describes itself", error=ModelFileError):
            values = json_value(text)
        return ModelInfo.from_json(values, self.path)

    def _require_described(self) -> None:
        signature = self._signatures[name_in_model(FLOAT32, self.info)]
        (images,) = signature.structured_input_signature[1].values()
        found = {
            name: spec.shape[-1] if spec.shape.rank else None
            for name, spec in signature.structured_outputs.items()
        }
        answers = answer_names(self.info)
        sizes = {answer: found[name] for answer, name in answers.items() if name in found}
        require_described(self.info, self.path, images.shape[1:].as_list(), sizes)

    def _answer_by(self, signature: str | None) -> None:
        check_signature(signature)
        self._signature = signature
        self._takes = taken_by(signature or "serve_bytes", self.info)
        self.decoder = "model" if self._takes == "serve_bytes" else "tensorflow"

    def pixels(self, encoded: Sequence[bytes], boxes: np.ndarray | None = None) -> np.ndarray:
        return self._pixels(encoded, boxes)

    def logits(self, images: np.ndarray) -> Outputs:
        heads, answer = self.info.heads, self._on_pixels(images)
        names = {head: logits_name(head, heads) for head in heads}
        return {head: answer[name].numpy() for head, name in names.items() if name}

    def answers(self, images: np.ndarray) -> Outputs:
        return self._answers(self._on_pixels(images))

    def answers_from_bytes(
        self, encoded: Sequence[bytes], boxes: np.ndarray | None = None
    ) -> Outputs:
        if self._takes != "serve_bytes":
            return self.answers(self.pixels(encoded, boxes))
        if boxes is not None:
            if self._signature is not None:
                raise cannot_crop()
            return self.answers(self.pixels(encoded, boxes))
        sent, name = sendable(encoded), self._signature or "serve_bytes"
        answer = self._signatures[name](image_bytes=tf.constant(sent))
        answers = self._answers(answer)
        refuse_unreadable(answers, sent)
        return answers

    def _on_pixels(self, images: np.ndarray) -> dict[str, tf.Tensor]:
        if self._takes == "serve_uint8":
            name, given = str(self._signature), tf.constant(rounded_pixels(images))
        else:
            name, given = name_in_model(FLOAT32, self.info), tf.constant(images, tf.float32)
        return self._signatures[name](images=given)

    def _answers(self, outputs: Mapping[str, tf.Tensor]) -> Outputs:
        return {name: outputs[output].numpy() for name, output in answer_names(self.info).items()}
