"""How long work reports how far it is, without knowing who shows it.

A function that works for long takes ``progress: Progress = SILENT``. The command line passes one
that draws bars; from Python the default says nothing.
"""

from typing import Protocol


class Task(Protocol):
    """One piece of long work in progress."""

    def advance(self, steps: int = 1, **figures: float | str) -> None:
        """Says that `steps` more are done; `figures` are shown beside the bar."""
        ...

    def close(self) -> None:
        """Ends the piece of work, whether finished or not."""
        ...


class Progress(Protocol):
    """Where progress and messages go."""

    def start(self, description: str, total: int | None, unit: str = "images") -> Task:
        """Starts a piece of work of `total` steps (None: not known)."""
        ...

    def message(self, text: str) -> None:
        """Says something that a person should read; it stays on the screen."""
        ...


class _SilentTask:
    def advance(self, steps: int = 1, **figures: float | str) -> None:
        pass

    def close(self) -> None:
        pass


class _Silent:
    def start(self, description: str, total: int | None, unit: str = "images") -> Task:
        return _SilentTask()

    def message(self, text: str) -> None:
        pass


SILENT: Progress = _Silent()
