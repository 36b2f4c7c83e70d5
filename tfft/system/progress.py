"""How long-running work reports its progress, without knowing who shows it.

A function that runs for long takes ``progress: Progress = SILENT``. The command line passes an
object that draws bars; the default, for use from Python, shows nothing.
"""

from typing import Protocol

from tfft.system.printable import printable_name


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


def values_text(values: dict[str, float | str]) -> str:
    """Returns values as a bar shows them: ``loss 0.6931  accuracy 0.500``."""
    return "  ".join(f"{name} {_value_text(value)}" for name, value in values.items())


def _value_text(value: float | str) -> str:
    if isinstance(value, str):
        return printable_name(value)
    return f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"


def speed_text(per_second: float, unit: str) -> str:
    """Returns a speed (above 0) in its unit: bytes as megabytes, slow work as seconds each."""
    if unit == "bytes":
        return f"{per_second / 1e6:.1f} MB/s"
    return f"{per_second:.0f} {unit}/s" if per_second >= 1 else f"{1 / per_second:.1f} s each"
