"""Models timed in processes of their own."""

import time

import pytest

from tfft.errors import UsageError
from tfft.runtime.timing import time_model


@pytest.mark.parametrize(
    "kind",
    [
        "tflite",
        pytest.param("keras", marks=pytest.mark.slow),
        pytest.param("savedmodel", marks=pytest.mark.slow),
    ],
)
def test_a_model_has_its_figures(exported, small_run, kind):
    models = {"tflite": exported.tflite["float32"], "savedmodel": exported.savedmodel}
    model = models.get(kind, small_run)
    started = time.perf_counter()
    timing = time_model(model, batch_sizes=(1, 3), threads=1, seconds=0.02)
    elapsed = time.perf_counter() - started
    assert (timing.kind, timing.threads) == (kind, 1)
    assert 0 < timing.load_s < timing.cold_s
    assert 0 < timing.first_answer_s < timing.cold_s
    for batch, size in zip(timing.batches, (1, 3), strict=True):
        assert batch.batch_size == size
        assert batch.calls >= 10
        assert 0 < batch.p50_ms <= batch.p90_ms <= batch.p99_ms
        # Calls are added up until they take the time that was asked for, within that of the whole.
        assert 0.02 <= batch.calls * size / batch.images_per_second < elapsed
        # Half of the calls take the median or more, and so the mean at least half of it.
        assert batch.images_per_second * batch.p50_ms / 1e3 <= 2 * size


def test_only_pixels_are_measured(exported):
    with pytest.raises(UsageError, match="takes pixels"):
        time_model(exported.savedmodel, signature="serve_bytes")


def test_what_cannot_be_loaded_is_the_users_error(tmp_path):
    with pytest.raises(UsageError, match="does not exist"):
        time_model(tmp_path / "no.tflite")
