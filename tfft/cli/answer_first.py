"""What a prediction of classes says first: the answer."""

from collections.abc import Sequence
from typing import Any


def answer_first(labels: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Returns the labels of a prediction in the order in which a person reads them.

    That is the answer by the operating point, if the head has one, and then the others, the most
    probable first.

    Args:
        labels: Labels as `tfft.cli.predict.predict_files` yields them, the most probable first.
    """
    return sorted(labels, key=lambda label: not label.get("answer", False))
