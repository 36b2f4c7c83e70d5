"""What a model that decodes images itself says of those that it cannot read."""

from collections.abc import Mapping, Sequence

import numpy as np

from tfft.errors import DataError, UnreadableImagesError
from tfft.images.inspect import inspect_image


def refuse_unreadable(answers: Mapping[str, np.ndarray], encoded: Sequence[bytes]) -> None:
    """Raises if a row of the answers is NaN, which is how ``serve_bytes`` says it.

    Args:
        answers: by head, float32 [n, ...].
        encoded: the n images that were answered.

    Raises:
        UnreadableImagesError: Images cannot be read; with the reasons that this client finds.
    """
    is_unreadable = np.zeros(len(encoded), bool)
    for answer in answers.values():
        is_unreadable |= np.isnan(answer).any(axis=1)
    if is_unreadable.any():
        positions = np.flatnonzero(is_unreadable).tolist()
        raise UnreadableImagesError({k: _reason(encoded[k]) for k in positions})


def _reason(encoded: bytes) -> str:
    try:
        inspect_image(encoded)
    except DataError as error:
        return str(error)
    return "the model cannot decode this image"
