"""Progress in a notebook: a bar for each piece of work, updated in place.

No widgets are needed: a bar is HTML that the notebook replaces, with a text beside it for front
ends that show no HTML.
"""

import sys
import threading
import time
from collections.abc import Mapping
from typing import Any

from tfft.system.cells import text_html
from tfft.system.progress import SILENT, Progress, Task, speed_text, values_text

_SECONDS_BETWEEN_UPDATES = 0.2


def in_notebook() -> bool:
    """Says whether this process is the kernel of a notebook."""
    python = sys.modules.get("IPython")  # only who has imported it can be one
    shell = python.get_ipython() if python is not None else None
    return getattr(shell, "kernel", None) is not None


class _NotebookProgress:
    """Bars in the notebook that is being run; nothing anywhere else."""

    def start(self, description: str, total: int | None, unit: str = "images") -> Task:
        if not in_notebook():
            return SILENT.start(description, total, unit)
        return _Bar(description, total, unit)

    def message(self, text: str) -> None:
        if in_notebook():
            _display({"text/plain": text, "text/html": f"<div>{text_html(text)}</div>"})


NOTEBOOK: Progress = _NotebookProgress()


class _Bar:
    def __init__(self, description: str, total: int | None, unit: str) -> None:
        self._description, self._total, self._unit = description, total, unit
        self._done = 0
        self._values: dict[str, float | str] = {}
        self._lock = threading.Lock()
        self._started = self._shown = time.monotonic()
        self._handle = _display(self._bundle(), display_id=True)

    def advance(self, steps: int = 1, **values: float | str) -> None:
        with self._lock:
            self._done += steps
            self._values.update(values)
            now = time.monotonic()
            if now - self._shown < _SECONDS_BETWEEN_UPDATES:
                return
            self._shown = now
            bundle = self._bundle()
        self._handle.update(bundle, raw=True)

    def close(self) -> None:
        if self._total is None:
            self._total = self._done
        self._handle.update(self._bundle(), raw=True)

    def _bundle(self) -> dict[str, str]:
        """Returns the bar as it is now, as HTML and as text."""
        seconds = time.monotonic() - self._started
        done = f"{self._done:,}" if self._total is None else f"{self._done:,}/{self._total:,}"
        fast = self._done and seconds > 0.1
        speed = [speed_text(self._done / seconds, self._unit)] if fast else []
        said = [f"{done} {self._unit}", *speed, f"{seconds:.0f} s", values_text(self._values)]
        text = ", ".join(part for part in said if part)
        # Without a value the bar shows that something is being done.
        value = "" if self._total is None else f' value="{self._done}" max="{self._total or 1}"'
        html = (
            f"<div>{text_html(self._description)} "
            f'<progress{value} style="vertical-align: middle"></progress> '
            f'<span style="font-variant-numeric: tabular-nums">{text_html(text)}</span></div>'
        )
        return {"text/plain": f"{self._description}: {text}", "text/html": html}


def _display(bundle: Mapping[str, str], *, display_id: bool = False) -> Any:
    """Shows a text in the cell that is being run, in the best of its forms.

    Returns:
        The handle that replaces it, if `display_id`.
    """
    from importlib import import_module

    return import_module("IPython.display").display(dict(bundle), raw=True, display_id=display_id)
