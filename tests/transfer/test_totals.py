"""What an epoch's steps come to, also where images have no target of a head."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tfft.config.model import BoxHead, ClassificationHead
from tfft.model.head_size import HeadSize
from tfft.model.heads import build_head
from tfft.transfer.phases.session import Totals, quality

_HEADS = {
    "label": build_head("label", ClassificationHead(), HeadSize(3), seed=0),
    "where": build_head("where", BoxHead(kind="box"), HeadSize(4), seed=0),
}


def totals(*sums: float) -> Totals:
    """After one step that returned loss, metric and examples of each head."""
    found = Totals(_HEADS)
    found.add(tf.constant(np.array(sums, np.float32)))
    return found


def test_each_head_is_averaged_over_the_examples_that_have_its_target():
    metrics = totals(8.0, 3.0, 4.0, 1.0, 1.5, 2.0).metrics()
    assert metrics["label"] == pytest.approx({"loss": 2.0, "top1": 0.75})
    assert metrics["where"] == pytest.approx({"loss": 0.5, "mean_iou": 0.75})


def test_a_head_without_any_target_has_no_metrics_rather_than_zeros():
    assert totals(8.0, 3.0, 4.0, 0.0, 0.0, 0.0).metrics().keys() == {"label"}
    assert Totals(_HEADS).metrics() == {}


def test_totals_go_on_from_those_of_the_steps_before():
    before = totals(8.0, 3.0, 4.0, 1.0, 1.5, 2.0)
    again = Totals(_HEADS, before.values)
    assert again.metrics() == before.metrics()
    again.add(tf.constant([math.nan, 0.0, 1.0, 0.0, 0.0, 0.0]))
    assert not again.finite


@pytest.mark.parametrize(("monitor", "best"), [("metric", (0.75, -2.0)), ("loss", (-2.0, 0.75))])
def test_epochs_are_compared_by_the_heads_that_validation_has_targets_for(monitor, best):
    training: Any = SimpleNamespace(
        classifier=SimpleNamespace(heads=_HEADS),
        recipe=SimpleNamespace(train=SimpleNamespace(monitor=monitor)),
    )
    assert quality(training, {"label": {"loss": 2.0, "top1": 0.75}}) == best
