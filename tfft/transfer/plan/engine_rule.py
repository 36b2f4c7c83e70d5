"""The rule by which a frozen part is computed by XNNPACK or in the compiled Keras graph.

XNNPACK, through TFLite, takes about half of the processors' time and gives the same numbers to
rounding. The graph computes what only it can, and what is so little that it is done before the part
is converted. OpenVINO computes what a recipe names it for, and what only the graph can neither.
"""

from dataclasses import dataclass

from tfft.system.tensorflow import tf

from tfft.config.train import GradientPhase, Phase, TrainConfig
from tfft.runtime.tflite.openvino import openvino_precision
from tfft.system.device import on_gpu
from tfft.transfer.frozen.engine import Engine

# Images that pass through a frozen part in the time that it takes to convert it.
_WORTH_CONVERTING = 500
NO_BFLOAT16 = "in float32: this processor has no bfloat16"


@dataclass(frozen=True)
class EngineDecision:
    """What is to compute the frozen part of a phase.

    Attributes:
        engine: XNNPACK computes the part only if it converts and agrees with Keras.
        reason: Why it is not XNNPACK, or not OpenVINO in bfloat16 where that is named; "" if it is.
    """

    engine: Engine
    reason: str = ""


def engine_decision(
    train: TrainConfig, phase: Phase, *, cached: bool, passes: int
) -> EngineDecision:
    """Decides on one phase that has a frozen part.

    Args:
        train: The `train` section of the recipe.
        phase: A phase of it.
        cached: Whether the part is computed once, for the cache.
        passes: Number of images that pass through the part in the phase.

    Raises:
        UsageError: The engine that is named is not installed.
    """
    in_graph = ""
    if not cached and isinstance(phase, GradientPhase) and phase.mix is not None:
        in_graph = "behind the mixing of images"
    elif not cached and tf.distribute.get_strategy().num_replicas_in_sync > 1:
        in_graph = "on several devices"
    if train.cache.engine == "openvino" and not in_graph:
        has_bfloat16 = openvino_precision() == "bfloat16"
        return EngineDecision("openvino", "" if has_bfloat16 else NO_BFLOAT16)
    if on_gpu():
        in_graph = "on a GPU"
    elif train.mixed_precision != "float32":
        in_graph = "in mixed precision"
    elif not cached and not in_graph and passes < _WORTH_CONVERTING:
        in_graph = "too few images to convert it for"
    return EngineDecision("keras" if in_graph else "xnnpack", in_graph)
