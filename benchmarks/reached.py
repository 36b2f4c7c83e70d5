"""Notes which test reaches which planted fault; see `planted_faults.py`.

It is put into a marked copy of the code, as ``tfft/reached.py``, and called before each such line.
"""

import json
import os

_noted: set[tuple[int, int, str]] = set()


def reached(number: int) -> None:
    """Notes that the test of now reaches a fault, from any of its threads and processes.

    Args:
        number: The fault's.
    """
    # "path::test (call)", which pytest sets and processes inherit.
    test = os.environ.get("PYTEST_CURRENT_TEST", "")
    noting = os.getpid(), number, test
    if "REACHED_FILE" in os.environ and noting not in _noted:
        _noted.add(noting)
        append_line(os.environ["REACHED_FILE"], [number, test])


# What has this attribute is called as it is by AutoGraph, which converts what a graph calls.
reached.autograph_info__ = {}  # type: ignore[attr-defined]


def append_line(path: str, value: object) -> None:
    """Appends a line of JSON in one piece, whatever other processes append."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(file, (json.dumps(value) + "\n").encode())
    os.close(file)
