"""tfft: from a pretrained backbone to a deployed image classifier, with proof at every step."""

from tfft.api import (
    check_data,
    evaluate,
    export,
    load_predictor,
    plan,
    prepare_data,
    resume,
    train,
)
from tfft.version import __version__

__all__ = [
    "__version__",
    "check_data",
    "evaluate",
    "export",
    "load_predictor",
    "plan",
    "prepare_data",
    "resume",
    "train",
]
