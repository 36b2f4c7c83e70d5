"""tfft: from a pretrained backbone to a deployed image classifier, with proof at every step."""

# Importing a package sets it as an attribute of its parent, once. These two come first, so that
# `tfft.evaluate` and `tfft.export` are the functions ever after.
import tfft.evaluate
import tfft.export  # noqa: F401 - imported for the attribute it sets
from tfft.api import (
    advise,
    check_data,
    compare,
    evaluate,
    export,
    find_learning_rate,
    load_predictor,
    plan,
    prepare_data,
    resume,
    train,
    tune,
)
from tfft.version import __version__

__all__ = [
    "__version__",
    "advise",
    "check_data",
    "compare",
    "evaluate",
    "export",
    "find_learning_rate",
    "load_predictor",
    "plan",
    "prepare_data",
    "resume",
    "train",
    "tune",
]
