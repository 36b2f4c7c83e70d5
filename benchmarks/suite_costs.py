"""What each test costs: a plugin of pytest, and a summary by file of what it has noted.

    SUITE_COSTS=costs.jsonl PYTHONPATH=benchmarks python -m pytest -p suite_costs -m "not slow"
    python benchmarks/suite_costs.py costs.jsonl

Processor seconds are those of all threads of the process and of the processes that descend from it;
a fixture's count for the test that first needs it. What a process of xdist spends before its first
test, in imports and collection, stands as the test ``(start)``. It reads Linux's ``/proc``.
"""

import json
import os
import resource
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from reached import append_line

_OUTCOMES = pytest.StashKey[list[str]]()
_TICKS = os.sysconf("SC_CLK_TCK")


def pytest_collection_finish() -> None:
    _note("(start)", 0.0, True)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    before = _cpu_seconds()
    yield
    outcomes = item.stash.get(_OUTCOMES, [])
    _note(item.nodeid, before, all(outcome == "passed" for outcome in outcomes))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    outcome: Any = yield
    item.stash.setdefault(_OUTCOMES, []).append(outcome.get_result().outcome)


def _note(test: str, before: float, passed: bool) -> None:
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    append_line(
        os.environ["SUITE_COSTS"],
        {
            "test": test,
            "passed": passed,
            "cpu_seconds": round(_cpu_seconds() - before, 3),
            "resident_gb": round(resident / 1e9, 3),
            "peak_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 3),
            "process": os.environ.get("PYTEST_XDIST_WORKER", "main"),
        },
    )


def _cpu_seconds() -> float:
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    ended = sum(usage.ru_utime + usage.ru_stime for usage in usages)
    return ended + sum(map(_running_seconds, _children(os.getpid())))


def _running_seconds(process: int) -> float:
    """Seconds of a process that runs, of what it has waited for, and of all below it.

    A server that forks processes waits for them, and pytest never for the server.
    """
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        ticks = sum(map(int, fields[11:15]))
        return ticks / _TICKS + sum(map(_running_seconds, _children(process)))
    except OSError:  # it has ended
        return 0.0


def _children(process: int) -> list[int]:
    found: list[int] = []
    for thread in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):  # the thread has ended
            found += map(int, thread.read_text().split())
    return found


def read_costs(path: Path) -> list[dict[str, Any]]:
    """Returns what was noted of each test, in the order in which they ended."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def summary(costs: list[dict[str, Any]]) -> str:
    """Returns a table of the files: processor seconds, and by how much the memory's peak rose."""
    seconds, tests, risen = defaultdict(float), defaultdict(int), defaultdict(float)
    peaks: dict[str, float] = defaultdict(float)
    for cost in costs:
        file = cost["test"].partition("::")[0].removeprefix("tests/")
        seconds[file] += cost["cpu_seconds"]
        tests[file] += 1
        risen[file] += max(0.0, cost["peak_gb"] - peaks[cost["process"]])
        peaks[cost["process"]] = max(peaks[cost["process"]], cost["peak_gb"])
    rows = [f"{'CPU s':>7} {'tests':>5} {'+ GB':>5}  file"]
    for file in sorted(seconds, key=lambda file: -seconds[file]):
        rows.append(f"{seconds[file]:7.1f} {tests[file]:5} {risen[file]:5.2f}  {file}")
    whole = f"{sum(seconds.values()):.0f} CPU-seconds, {len(costs)} tests; peaks "
    rows.append(whole + ", ".join(f"{name} {gb:.1f} GB" for name, gb in sorted(peaks.items())))
    return "\n".join(rows)


if __name__ == "__main__":
    print(summary(read_costs(Path(sys.argv[1]))))
