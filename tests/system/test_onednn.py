"""oneDNN is on where it is faster, and stays as the user or a run has it."""

import os
import sys

import pytest

from tfft.system import onednn
from tfft.system.onednn import VARIABLE, is_faster, keep, turn_on_where_faster

_AVX2 = frozenset({"sse4_2", "avx", "avx2", "fma"})


@pytest.mark.parametrize(
    ("features", "turned_on"),
    [
        (_AVX2, True),
        (_AVX2 | {"avx512f"}, True),  # TensorFlow asks for VNNI or BF16
        (_AVX2 | {"avx512f", "avx512_vnni"}, False),  # it turns it on by itself
        (_AVX2 | {"avx_vnni"}, False),
        (frozenset({"sse4_2", "avx"}), False),
        (frozenset(), False),
    ],
)
def test_it_is_turned_on_where_tensorflow_leaves_it_off_and_it_is_faster(
    features: frozenset[str], turned_on: bool, monkeypatch: pytest.MonkeyPatch
):
    assert is_faster(features) == turned_on
    monkeypatch.setattr(onednn, "processor_features", lambda: features)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv(VARIABLE, raising=False)
    turn_on_where_faster()
    assert os.environ.get(VARIABLE) == ("1" if turned_on else None)
    monkeypatch.setenv(VARIABLE, "0")
    turn_on_where_faster()
    assert os.environ[VARIABLE] == "0"


def test_a_resumed_run_keeps_it_if_tensorflow_has_not_started_and_the_user_does_not_say(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setitem(sys.modules, "tensorflow", sys)
    keep("off")
    assert VARIABLE not in os.environ
    monkeypatch.delitem(sys.modules, "tensorflow")
    keep(None)
    assert VARIABLE not in os.environ
    keep("off")
    assert os.environ[VARIABLE] == "0"
    keep("on")
    assert os.environ[VARIABLE] == "0"
