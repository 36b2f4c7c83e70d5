"""How long-running work reports its progress, without knowing who shows it.

A function that runs for long takes ``progress: Progress = SILENT``. The command line passes an
object that draws bars; the default, for use from Python, shows nothing.
"""

from typing import Protocol


class Task(Protocol):
    """One piece of long work in progress."""

    def advance(self, steps: int = 1, **values: float | str) -> None:
        """Reports `steps` more as done; `values`, such as a loss, are shown beside the bar."""
        ...

    def close(self) -> None:
        """Ends the piece of work, whether finished or not."""
        ...


class Progress(Protocol):
    """Where progress and messages go."""

    def start(self, description: str, total: int | None, unit: str = "images") -> Task:
        """Starts a piece of work of `total` steps, None if the number is not known."""
        ...

    def message(self, text: str) -> None:
        """Shows a message that a person should read; it stays on the screen."""
        ...


class _SilentTask:
    def advance(self, steps: int = 1, **values: float | str) -> None:
        pass

    def close(self) -> None:
        pass


class _Silent:
    def start(self, description: str, total: int | None, unit: str = "images") -> Task:
        return _SilentTask()

    def message(self, text: str) -> None:
        pass


SILENT: Progress = _Silent()
