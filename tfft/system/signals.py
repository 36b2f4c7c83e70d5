"""SIGTERM and SIGHUP end the work as Ctrl-C does: docker, Slurm, systemd, a closed terminal."""

import _thread
import contextlib
import os
import signal
import sys
import termios
import threading
from collections.abc import Iterator
from typing import Any

# Seconds until an interrupt that Python dropped comes again: by then the object is deleted.
_AGAIN_S = 0.05


class Terminated(KeyboardInterrupt):
    """A signal asked the process to end.

    Args:
        number: Number of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.name = signal.Signals(number).name
        self.exit_code = 128 + number


@contextlib.contextmanager
def signals_interrupt() -> Iterator[None]:
    """Lets SIGTERM and SIGHUP raise `Terminated` in the main thread until the context ends.

    Only the first of them does: who ends a process often sends both, or one twice, and what it
    writes at its end is then to be whole. A signal that is ignored, as SIGHUP is under ``nohup``,
    stays so. Python drops what is raised while an object is deleted; such an interrupt comes again.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    taken = [n for n in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) == signal.SIG_DFL]
    terminals = [descriptor for descriptor in (0, 1, 2) if _is_terminal(descriptor)]
    hook, stopping = sys.unraisablehook, False

    def stop(number: int, frame: object) -> None:
        nonlocal stopping
        if stopping:
            return
        stopping = True
        _leave_lost(terminals)
        raise Terminated(number)

    def again(dropped: Any) -> None:
        nonlocal stopping
        if not isinstance(dropped.exc_value, KeyboardInterrupt):
            hook(dropped)
            return
        stopping = False
        code = getattr(dropped.exc_value, "exit_code", 128 + signal.SIGINT)
        later = threading.Timer(_AGAIN_S, _thread.interrupt_main, [code - 128])
        later.daemon = True
        later.start()

    sys.unraisablehook = again
    try:
        for number in taken:
            signal.signal(number, stop)
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)
        sys.unraisablehook = hook


def _is_terminal(descriptor: int) -> bool:
    try:
        termios.tcgetattr(descriptor)
    except (OSError, termios.error):
        return False
    return True


def _leave_lost(terminals: list[int]) -> None:
    """Sends what is printed to a terminal that was closed nowhere, where it cannot fail."""
    for descriptor in terminals:
        if not _is_terminal(descriptor):
            nowhere = os.open(os.devnull, os.O_RDWR)
            os.dup2(nowhere, descriptor)
            os.close(nowhere)
