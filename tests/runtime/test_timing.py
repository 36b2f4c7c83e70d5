"""Models timed in processes of their own."""

import pytest

from tfft.errors import UsageError
from tfft.runtime.timing import time_model


@pytest.mark.parametrize(
    "kind", ["tflite", "keras", pytest.param("savedmodel", marks=pytest.mark.slow)]
)
def test_a_model_has_its_figures(exported, small_run, kind):
    models = {"tflite": exported.tflite["float32"], "savedmodel": exported.savedmodel}
    model = models.get(kind, small_run)
    timing = time_model(model, batch_sizes=(1, 3), threads=1, seconds=0.02)
    assert (timing.kind, timing.threads) == (kind, 1)
    assert 0 < timing.load_s < timing.cold_s
    assert 0 < timing.first_answer_s < timing.cold_s
    for batch, size in zip(timing.batches, (1, 3), strict=True):
        assert batch.batch_size == size
        assert batch.calls >= 10
        assert 0 < batch.p50_ms <= batch.p90_ms <= batch.p99_ms
        # Throughput is that of the mean call, which lies near the median and above the fastest.
        assert batch.images_per_second * batch.p50_ms / 1e3 < 3 * size


def test_only_pixels_are_measured(exported):
    with pytest.raises(UsageError, match="takes pixels"):
        time_model(exported.savedmodel, signature="serve_bytes")


def test_what_cannot_be_loaded_is_the_users_error(tmp_path):
    with pytest.raises(UsageError, match="does not exist"):
        time_model(tmp_path / "no.tflite")
