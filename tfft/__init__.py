"""tfft: from a pretrained backbone to a deployed image classifier, with proof at every step."""

# Importing a package sets it as an attribute of its parent, once. These come first, so that
# `tfft.evaluate`, `tfft.export` and `tfft.report` are the functions ever after.
import tfft.evaluate
import tfft.export
import tfft.report  # noqa: F401 - imported for the attribute it sets
from tfft.api import (
    advise,
    benchmark,
    calibrate,
    check_data,
    compare,
    evaluate,
    export,
    find_learning_rate,
    load_predictor,
    plan,
    prepare_data,
    probe,
    publish,
    rank,
    report,
    resume,
    serve_check,
    train,
    tune,
)
from tfft.version import __version__

__all__ = [
    "__version__",
    "advise",
    "benchmark",
    "calibrate",
    "check_data",
    "compare",
    "evaluate",
    "export",
    "find_learning_rate",
    "load_predictor",
    "plan",
    "prepare_data",
    "probe",
    "publish",
    "rank",
    "report",
    "resume",
    "serve_check",
    "train",
    "tune",
]
