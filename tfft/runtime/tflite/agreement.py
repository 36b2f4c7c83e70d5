"""How far a converted model may be from the one that it was made of."""

from collections.abc import Sequence

import numpy as np

# Largest difference from Keras, relative to the largest output, that float rounding explains.
AGREEMENT = 1e-4


def outputs_agree(actual: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> bool:
    """Says whether outputs differ by float rounding only: by `AGREEMENT` of the largest of each."""
    return len(actual) == len(expected) and all(
        a.shape == e.shape and np.abs(a - e).max() <= AGREEMENT * max(np.abs(e).max(), 1e-6)
        for a, e in zip(actual, expected, strict=True)
    )
