"""A share of the test photos of Stanford Dogs, the same of each breed: all take minutes."""

from pathlib import Path
from typing import Any

import numpy as np

import tfft
from tfft.data.split import stratified_part
from tfft.evaluate.data import recorded_data, targets_of_model
from tfft.evaluate.predict import predict_index
from tfft.metrics.heads import head_metrics
from tfft.system.progress import SILENT


def metrics_on_a_thousand_dogs(run: Path) -> dict[str, Any]:
    """The figures of a run's only head on about 1,000 test photos, which are always the same."""
    predictor = tfft.load_predictor(run)
    data = recorded_data(predictor.info, SILENT)
    test = data.splits["test"]
    chosen = stratified_part(test.ids, test.targets["label"], 1000 / len(test), seed=0)
    index = test.take(np.flatnonzero(chosen))
    assert len(np.unique(index.targets["label"])) == 120
    answers = predict_index(predictor, index, 32, "evaluating", SILENT)
    targets = targets_of_model(predictor.info, index, data.class_names)
    ((name, head),) = predictor.info.heads.items()
    return head_metrics(head, answers[name], targets[name])
