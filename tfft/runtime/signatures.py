"""The signatures of a SavedModel that answer for images, loaded here or on a server."""

from collections.abc import Mapping, Sequence

import numpy as np

from tfft.errors import DataError, UnreadableImagesError, UsageError, nearest
from tfft.images.inspect import inspect_image
from tfft.images.portable import portable
from tfft.runtime.info import ModelInfo

# Every SavedModel of tfft has these.
SIGNATURES = ("serving_default", "serve_uint8", "serve_bytes")
# What takes float32 pixels where `serving_default` does not; as a name for them it is always known.
FLOAT32 = "serve_float32"
_KNOWN = (*SIGNATURES, FLOAT32)


def taken_by(signature: str, info: ModelInfo) -> str:
    """Returns what a signature takes: ``serve_float32``, ``serve_uint8`` or ``serve_bytes``."""
    return info.default_signature or FLOAT32 if signature == "serving_default" else signature


def name_in_model(signature: str, info: ModelInfo) -> str:
    """Returns the name under which a model has a signature."""
    is_default = signature == FLOAT32 and info.default_signature is None
    return "serving_default" if is_default else signature


def check_signature(name: str | None) -> None:
    """Checks that a name is None or one that a SavedModel of tfft has.

    Raises:
        UsageError: There is no such signature.
    """
    if name is not None and name not in _KNOWN:
        raise UsageError(
            f"no signature {name!r}. Allowed: {', '.join(_KNOWN)}."
            f"{nearest(name, _KNOWN)} Received: {name}"
        )


def rounded_pixels(images: np.ndarray) -> np.ndarray:
    """Returns pixels as ``serve_uint8`` takes them, uint8 [n, height, width, channels]."""
    return np.clip(np.rint(images), 0, 255).astype(np.uint8)


def cannot_crop() -> DataError:
    """Returns the error of image files that the model decodes, which should be cut to boxes."""
    return DataError(
        "image files that a model decodes cannot be cropped to boxes (data.crop_to_box); "
        f"use --signature {FLOAT32}"
    )


def sendable(encoded: Sequence[bytes]) -> list[bytes]:
    """Returns image files as ``serve_bytes`` reads them: what only Pillow decodes becomes PNG.

    Raises:
        UnreadableImagesError: Some of these cannot be read.
    """
    sent, reasons = [], {}
    for position, image in enumerate(encoded):
        try:
            sent.append(portable(image))
        except DataError as error:
            reasons[position] = str(error)
    if reasons:
        raise UnreadableImagesError(reasons)
    return sent


def refuse_unreadable(answers: Mapping[str, np.ndarray], encoded: Sequence[bytes]) -> None:
    """Raises an error if a row of the answers is NaN: ``serve_bytes`` could not read its image.

    Args:
        answers: Answers by head, float32 [n, ...].
        encoded: The n image files that were sent.

    Raises:
        UnreadableImagesError: Images cannot be read; with the reasons that are found here.
    """
    is_unreadable = np.zeros(len(encoded), bool)
    for answer in answers.values():
        is_unreadable |= np.isnan(answer).any(axis=1)
    reasons = {}
    for position in np.flatnonzero(is_unreadable).tolist():
        reasons[position] = "the model cannot decode this image"
        try:
            inspect_image(encoded[position])
        except DataError as error:
            reasons[position] = str(error)
    if reasons:
        raise UnreadableImagesError(reasons)
