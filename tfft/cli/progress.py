"""Shows progress on stderr: bars on a terminal, occasional lines elsewhere."""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from tfft.cli.output import say, wrapped
from tfft.system.printable import printable, printable_name
from tfft.system.progress import SILENT, Progress, Task, speed_text, values_text

if TYPE_CHECKING:
    from rich.progress import Progress as RichBars
    from rich.progress import TaskID

_SECONDS_BETWEEN_LINES = 10.0


@contextlib.contextmanager
def shown_progress(quiet: bool) -> Iterator[Progress]:
    """Yields the object that a command reports progress to; it shows nothing if `quiet`."""
    if quiet:
        yield SILENT
    elif sys.stderr.isatty():
        bars = BarProgress()
        try:
            yield bars
        finally:
            bars.stop()
    else:
        yield LineProgress()


class LineProgress:
    """A line every ten seconds and one at the end of each piece of work."""

    def start(self, description: str, total: int | None, unit: str = "images") -> Task:
        return _LineTask(description, total, unit)

    def message(self, text: str) -> None:
        say(text)


class _LineTask:
    def __init__(self, description: str, total: int | None, unit: str) -> None:
        self._description, self._total, self._unit = description, total, unit
        self._done = 0
        self._values: dict[str, float | str] = {}
        self._started = self._last_line = time.monotonic()
        self._shown: int | None = None

    def advance(self, steps: int = 1, **values: float | str) -> None:
        self._done += steps
        self._values.update(values)
        if time.monotonic() - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._show()

    def close(self) -> None:
        if self._shown != self._done:
            self._show()

    def _show(self) -> None:
        now = time.monotonic()
        self._last_line, self._shown = now, self._done
        seconds = now - self._started
        done = f"{self._done}" if self._total is None else f"{self._done}/{self._total}"
        fast = self._done and seconds > 0.1
        speed = f", {speed_text(self._done / seconds, self._unit)}" if fast else ""
        values = f", {values_text(self._values)}" if self._values else ""
        say(f"{self._description}: {done} {self._unit} in {seconds:.0f} s{speed}{values}")


class BarProgress:
    """A bar for each piece of work; it stays on the screen when the work is done."""

    def __init__(self) -> None:
        self._bars: RichBars | None = None
        self._lock = threading.Lock()

    def start(self, description: str, total: int | None, unit: str = "images") -> Task:
        with self._lock:
            if self._bars is None:
                self._bars = _new_bars()
                self._bars.start()
        shown = printable_name(description)
        task = self._bars.add_task(shown, total=total, unit=unit, values="")
        return _BarTask(self._bars, task, total)

    def message(self, text: str) -> None:
        if self._bars is None:
            say(text)
        else:
            console = self._bars.console
            console.print(wrapped(printable(text), console.width), soft_wrap=True)

    def stop(self) -> None:
        """Stops drawing the bars; they stay on the screen as they are, above a blank line."""
        if self._bars is not None:
            self._bars.stop()
            self._bars.console.print()


class _BarTask:
    def __init__(self, bars: "RichBars", task: "TaskID", total: int | None) -> None:
        self._bars, self._task, self._total = bars, task, total
        self._values: dict[str, float | str] = {}

    def advance(self, steps: int = 1, **values: float | str) -> None:
        self._values.update(values)
        self._bars.update(self._task, advance=steps, values=values_text(self._values))

    def close(self) -> None:
        if self._total is None:
            done = self._bars.tasks[self._bars.task_ids.index(self._task)].completed
            self._bars.update(self._task, total=done)
        self._bars.stop_task(self._task)


def _new_bars() -> "RichBars":
    from rich import progress as rich_progress
    from rich.console import Console
    from rich.table import Column
    from rich.text import Text

    console = Console(stderr=True, markup=False, emoji=False, highlight=False)
    is_wide = console.width >= 100

    class Speed(rich_progress.ProgressColumn):
        """Speed of the work, such as images per second; values are worth more where room is."""

        def render(self, task: "rich_progress.Task") -> Text:
            if task.fields["values"] and not is_wide:
                return Text()
            speed = task.finished_speed or task.speed
            return Text(speed_text(speed, task.fields["unit"]) if speed else "")

    class OneLine(rich_progress.ProgressColumn):
        """A text of the task that is cut where the terminal is too narrow for the whole line."""

        def __init__(
            self, read: Callable[["rich_progress.Task"], str], column: Column | None = None
        ) -> None:
            super().__init__(column)
            self._read = read

        def render(self, task: "rich_progress.Task") -> Text:
            return Text(self._read(task), no_wrap=True, overflow="ellipsis")

    whole = Column(no_wrap=True)
    return rich_progress.Progress(
        OneLine(lambda task: task.description, whole),
        rich_progress.BarColumn(bar_width=20 if is_wide else 8, table_column=whole),
        rich_progress.MofNCompleteColumn(table_column=whole),
        Speed(table_column=whole),
        OneLine(lambda task: task.fields["values"]),
        rich_progress.TimeRemainingColumn(elapsed_when_finished=True, table_column=whole),
        console=console,
        redirect_stdout=False,
        redirect_stderr=True,
    )
