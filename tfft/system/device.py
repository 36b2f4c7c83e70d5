"""What differs between processors and a GPU: all of it is here.

On a GPU a frozen part stays in the compiled Keras graph, which runs there, and computing is so much
cheaper beside reading that other cuts are worth a cache.
"""

from tfft.system.tensorflow import tf

# Multiply-adds a second of machines at the fast end of their kind: what is cached then pays on
# slower ones too.
_MULTIPLY_ADDS_PER_S = {"CPU": 50e9, "GPU": 5e12}


def on_gpu() -> bool:
    """Says whether TensorFlow computes on a GPU."""
    return bool(tf.config.list_physical_devices("GPU"))


def seconds_to_compute(multiply_adds: float) -> float:
    """Returns the seconds that so many multiply-adds take on a fast machine of this kind."""
    return multiply_adds / _MULTIPLY_ADDS_PER_S["GPU" if on_gpu() else "CPU"]
