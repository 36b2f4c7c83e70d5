"""Whether TensorFlow computes with oneDNN, which has to be decided before it starts.

On Linux, TensorFlow 2.21 turns oneDNN on by itself on x86 processors with instructions for neural
networks only (`DefaultOneDnnPolicy` in tensorflow/core/util/port.cc). On others with AVX2, its own
kernels take about 1.6 times the processor time of oneDNN's, forwards and backwards: there it is
turned on here, unless the user has set the variable.
"""

import os
import sys
from collections.abc import Set
from pathlib import Path

VARIABLE = "TF_ENABLE_ONEDNN_OPTS"
_BY_ITSELF = {"avx512_vnni", "avx512_bf16", "avx_vnni", "amx_tile", "amx_int8", "amx_bf16"}
_NEEDED = {"avx2", "fma"}


def turn_on_where_faster() -> None:
    """Sets the variable before TensorFlow starts, unless it is set."""
    if sys.platform == "linux" and is_faster(processor_features()):
        os.environ.setdefault(VARIABLE, "1")


def keep(setting: str | None) -> None:
    """Sets the variable as a run was started, unless it is set or TensorFlow has started.

    Args:
        setting: ``on`` or ``off``; None: the run does not say.
    """
    if setting is not None and "tensorflow" not in sys.modules:
        os.environ.setdefault(VARIABLE, "1" if setting == "on" else "0")


def is_faster(features: Set[str]) -> bool:
    """Says whether TensorFlow leaves oneDNN off on a processor on which it is faster.

    Args:
        features: Names of the processor's features, as `processor_features` gives them.
    """
    return features >= _NEEDED and not features & _BY_ITSELF


def processor_features() -> frozenset[str]:
    """Returns the features of an x86 processor by the names of Linux; empty elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return frozenset()
    return frozenset(next((line for line in lines if line.startswith("flags")), "").split())
