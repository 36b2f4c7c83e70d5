"""What an exported model gives out, as Keras operations on the outputs of the Keras model."""

from collections.abc import Mapping
from typing import Any

from tfft.system.tensorflow import keras

from tfft.runtime.info import HeadInfo
from tfft.runtime.predictor import answer_name, logits_name


def answers_and_logits(outputs: Mapping[str, Any], heads: Mapping[str, HeadInfo]) -> dict[str, Any]:
    """Returns the outputs of an exported model by name: what each head says, and its logits.

    Probabilities of a classification are at the head's temperature; its logits are as trained.

    Args:
        outputs: of the Keras model by head, tensors or Keras tensors.
        heads: what the model says of them.
    """
    found = {}
    for name, head in heads.items():
        logits = logits_name(name, heads)
        if logits is not None:
            found[logits] = outputs[name]
        found[answer_name(name, heads)] = _answer(head, outputs[name])
    return found


def _answer(head: HeadInfo, output: Any) -> Any:
    if head.kind == "classification":
        calibrated = head.temperature != 1.0
        return keras.ops.softmax(output / head.temperature if calibrated else output)
    return keras.ops.sigmoid(output) if head.kind == "multi_label" else output
