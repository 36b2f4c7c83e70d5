"""tfft: from a pretrained backbone to a deployed image classifier, with proof at every step.

The functions below are what the command line does, without it; `docs/python.md` has them all.
"""

from tfft.interface.backbones import check_backbone, describe_backbone, probe, rank
from tfft.interface.caches import cache_entries, cache_path, clean_cache
from tfft.interface.desk import open_desk
from tfft.interface.features import embed
from tfft.interface.images import (
    apply_labels,
    audit_data,
    check_data,
    prepare_data,
    split_data,
    undo_labels,
)
from tfft.interface.models import benchmark, calibrate, evaluate, export, load_predictor, report
from tfft.interface.serving import publish, roll_back, serve_check
from tfft.interface.sheet import show_data
from tfft.interface.studies import advise, compare, compare_models, tune
from tfft.interface.training import find_learning_rate, plan, resume, train
from tfft.version import __version__

__all__ = [
    "__version__",
    "advise",
    "apply_labels",
    "audit_data",
    "benchmark",
    "cache_entries",
    "cache_path",
    "calibrate",
    "check_backbone",
    "check_data",
    "clean_cache",
    "compare",
    "compare_models",
    "describe_backbone",
    "embed",
    "evaluate",
    "export",
    "find_learning_rate",
    "load_predictor",
    "open_desk",
    "plan",
    "prepare_data",
    "probe",
    "publish",
    "rank",
    "report",
    "resume",
    "roll_back",
    "serve_check",
    "show_data",
    "split_data",
    "train",
    "tune",
    "undo_labels",
]
