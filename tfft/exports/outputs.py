"""The outputs of an exported model, as Keras operations on those of the Keras model."""

from collections.abc import Mapping
from typing import Any

from tfft.system.tensorflow import keras

from tfft.runtime.info import ModelInfo
from tfft.runtime.predictor import answer_name, logits_name
from tfft.system.names import UNLIKENESS


def answers_and_logits(outputs: Mapping[str, Any], info: ModelInfo) -> dict[str, Any]:
    """Returns the outputs of an exported model by name: what each head says, and its logits.

    Probabilities of a classification are at the head's temperature; its logits are as trained.
    ``unlikeness`` is the distance of the Keras model as a share of its threshold.

    Args:
        outputs: Outputs of the Keras model by name, tensors or Keras tensors.
        info: Description of the model.
    """
    found, heads = {}, info.heads
    for name, head in heads.items():
        logits, answer = logits_name(name, heads), outputs[name]
        if logits is not None:
            found[logits] = outputs[name]
        if head.kind == "classification":
            calibrated = head.temperature != 1.0
            answer = keras.ops.softmax(answer / head.temperature if calibrated else answer)
        elif head.kind == "multi_label":
            answer = keras.ops.sigmoid(answer)
        found[answer_name(name, heads)] = answer
    if info.unsure is not None:
        found[UNLIKENESS] = outputs[UNLIKENESS] / info.unsure.threshold
    return found


def labels_file(head: str) -> str:
    """Returns the name of the file with the class names of a head, a line each."""
    return f"{head}_labels.txt"
