"""What a worker in a process of its own sends, and that it ends with who started it."""

import io
import json
import threading

import pytest

from tfft.system.workers import Events


def test_the_next_step_stops_when_the_parent_is_gone_if_the_interrupt_was_lost():
    stream, stop = io.StringIO(), threading.Event()
    task = Events(stream, stop).start("training", 3)
    task.advance(1, loss=0.5)
    stop.set()
    with pytest.raises(KeyboardInterrupt):
        task.advance(1)
    task.close()
    events = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [next(iter(event)) for event in events] == ["start", "advance", "close"]
