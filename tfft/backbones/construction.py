"""Building the same model twice: the same layer names and, with one seed, the same weights.

Two things outside a model decide what a Keras builder makes: the counters behind automatic layer
names (`conv2d_17`), which run through the whole process, and Python's `random`, from which each
initialiser without a seed draws its own. Both are set for the time of building and put back after.
"""

import collections
import contextlib
import random
from collections.abc import Iterator

from tfft.system.tensorflow import keras

# No public way to count layer names anew without clearing all of Keras's state (3.15.1).
_global_state = keras.src.backend.common.global_state


@contextlib.contextmanager
def reproducible_construction(seed: int) -> Iterator[None]:
    """Within it, layers are named from zero and initialised from `seed`.

    Neither TensorFlow's nor NumPy's nor Keras's seeds are touched, and Python's `random` goes on
    afterwards as if nothing had been drawn.
    """
    counters = _global_state.get_global_attribute("object_name_uids")
    state = random.getstate()
    _global_state.set_global_attribute("object_name_uids", collections.defaultdict(int))
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)
        _global_state.set_global_attribute("object_name_uids", counters)
