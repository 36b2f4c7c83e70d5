"""SIGTERM and SIGHUP raise what Ctrl-C raises, once."""

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tfft.system.signals import Terminated, signals_interrupt


@pytest.fixture(params=[signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def number(request: pytest.FixtureRequest) -> Iterator[signal.Signals]:
    before = signal.signal(request.param, signal.SIG_DFL)
    yield request.param
    signal.signal(request.param, before)


def test_a_signal_is_an_interrupt_that_knows_its_name_and_exit_code(number: signal.Signals):
    with pytest.raises(KeyboardInterrupt) as caught, signals_interrupt():
        signal.raise_signal(number)
    assert isinstance(caught.value, Terminated)
    assert (caught.value.name, caught.value.exit_code) == (number.name, 128 + number)
    assert signal.getsignal(number) == signal.SIG_DFL


def test_what_is_written_at_the_end_is_not_interrupted_by_more_of_them(number: signal.Signals):
    finished = False
    with pytest.raises(Terminated), signals_interrupt():
        try:
            signal.raise_signal(number)
        finally:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGHUP)
            finished = True
    assert finished


def test_what_is_ignored_stays_ignored_as_nohup_wants_it(number: signal.Signals):
    signal.signal(number, signal.SIG_IGN)
    with signals_interrupt():
        signal.raise_signal(number)
        assert signal.getsignal(number) == signal.SIG_IGN


class _Deleted:
    """An object that is deleted while a signal arrives: Python drops what is raised then."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        signal.raise_signal(self.number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], indirect=True)
def test_an_interrupt_that_python_drops_comes_again(number: signal.Signals, monkeypatch):
    if number == signal.SIGINT:
        signal.signal(number, signal.default_int_handler)
    monkeypatch.setattr(sys, "unraisablehook", lambda dropped: pytest.fail(str(dropped)))
    with pytest.raises(KeyboardInterrupt), signals_interrupt():
        made = [_Deleted(number)]
        made.clear()
        for _ in range(100):
            time.sleep(0.01)


_IN_A_TERMINAL = """
import fcntl, sys, termios, time
from tfft.system.signals import Terminated, signals_interrupt
fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # from here on SIGHUP comes when the terminal is closed
try:
    with signals_interrupt():
        print("begun", flush=True)
        time.sleep(30)
except Terminated as interrupt:
    print("stopped", flush=True)
    sys.exit(interrupt.exit_code)
"""


def test_nothing_fails_for_want_of_a_terminal_that_was_closed():
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", _IN_A_TERMINAL]
    streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    with subprocess.Popen(command, start_new_session=True, **streams) as process:
        os.close(theirs)
        assert os.read(ours, 5) == b"begun"
        os.close(ours)
        assert process.wait(30) == 128 + signal.SIGHUP
