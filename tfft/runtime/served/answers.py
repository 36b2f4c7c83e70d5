"""What a server may answer: numbers of the shape and the range that the model's heads have."""

import numpy as np

from tfft.runtime.info import HeadInfo

# Computed in float32, from logits in 16 bits at worst.
_RANGE_TOLERANCE = 1e-3
_SUM_TOLERANCE = 1e-2


def output_size(head: HeadInfo) -> int:
    """Returns how many numbers a head has for an image."""
    return {"box": 4, "regression": 1}.get(head.kind, len(head.class_names))


def fault_of_output(
    output: np.ndarray, head: HeadInfo, rows: int, *, is_answer: bool, may_be_unread: bool
) -> str | None:
    """Returns what is wrong with an output, in words that continue a sentence; None: nothing.

    Args:
        output: What a server answered with.
        head: Head that the output is of.
        rows: Number of images that were sent.
        is_answer: Whether it is the head's prediction rather than its logits.
        may_be_unread: Whether a row of NaN may stand for an image that could not be read.
    """
    shape = (rows, output_size(head))
    if output.dtype == object or output.shape != shape:
        found = "texts" if output.dtype == object else f"shape {output.shape}"
        return f"of {found} where shape {shape} is due: images and " + (
            "classes" if head.class_names else "numbers"
        )
    if may_be_unread:
        output = output[~np.isnan(output).all(axis=1)]
    if not np.isfinite(output).all():
        return "with values that are not finite"
    if not is_answer or head.kind == "regression" or not output.size:
        return None
    low, high = float(output.min()), float(output.max())
    if low < -_RANGE_TOLERANCE or high > 1 + _RANGE_TOLERANCE:
        return f"from {low:.3g} to {high:.3g} where 0..1 is due"
    if head.kind == "classification":
        sums = output.sum(axis=1)
        worst = float(sums[np.abs(sums - 1).argmax()])
        if abs(worst - 1) > _SUM_TOLERANCE:
            return f"with probabilities of an image that add up to {worst:.3g}"
    return None
