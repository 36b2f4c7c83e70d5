"""How many channels pixels have: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha."""

import numpy as np

CHANNELS = (1, 2, 3, 4)
# Luma of ITU-R BT.601, as JPEG has it; of pixels that are resized already, in float32.
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def has_alpha(channels: int) -> bool:
    """Returns whether the last channel says how opaque a pixel is, 0..255."""
    return channels in (2, 4)


def in_channels(pixels: np.ndarray, channels: int) -> np.ndarray:
    """Turns pixels [..., 3], or [..., 4] with alpha, into float32 [..., channels]."""
    if channels in (3, 4):
        return pixels
    grey = pixels[..., :3] @ LUMA[:, None]
    return np.concatenate([grey, pixels[..., 3:]], axis=-1)


def check_channels(channels: int) -> None:
    """Raises a ValueError unless pixels can have that many channels."""
    if channels not in CHANNELS:
        raise ValueError(
            f"images have 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGB, alpha) channels. "
            f"Received: channels={channels}"
        )
