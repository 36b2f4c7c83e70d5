"""Does the suite notice faults? Plants random ones, one at a time, and runs the tests near it.

A fault is one changed line in a function of a package that decides results: an operator, a constant
or a condition changed, or a statement removed. Faults are drawn from one tree and are planted in
others by the text of their line, so that the same faults can be tried on two versions of the code::

    python benchmarks/planted_faults.py choose OLD NEW --count 48
    python benchmarks/planted_faults.py cover NEW --work DIR --suite fast
    python benchmarks/planted_faults.py run NEW --work DIR --name after --suite fast
    python benchmarks/planted_faults.py table

`cover` runs a suite once under coverage with a context for each test, also in the processes that
tests start. `run` tries each fault on the tests whose contexts reach its line, the cheapest first,
up to the first failure or ten minutes of processor time. Each outcome is stored at once, beside the
faults in ``results/``; the same command goes on where it stopped. It needs the extra `dev`.
"""

import argparse
import ast
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cells import RESULTS, Cells

# Where results are decided, in any layout of the code.
PACKAGES = (
    *("transfer", "data", "metrics", "cache", "runs"),
    *("evaluate", "evaluation", "export", "exports"),
)
SUITES = {"fast": "not slow and not full", "slow": "slow and not full"}
_LIMIT_S = 600
_FIRST_S = 20.0
# Neither noticed nor not.
_TOO_LONG = "not decided in ten minutes"
_COVERAGE = """[run]
parallel = true
patch = subprocess
context = ${PYTEST_CURRENT_TEST-}
data_file = ${COVERAGE_PLACE}/.coverage
source = ${COVERAGE_TREE}/tfft
disable_warnings = no-data-collected, module-not-measured, no-sysmon
"""
_SWAPPED = {
    **{ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">", ast.Eq: "!=", ast.NotEq: "=="},
    **{ast.Add: "-", ast.Sub: "+", ast.Mult: "/", ast.Div: "*", ast.FloorDiv: "*", ast.Mod: "*"},
    **{ast.And: "or", ast.Or: "and", ast.In: "not in", ast.NotIn: "in", ast.Is: "is not"},
    ast.IsNot: "is",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    choosing = commands.add_parser("choose")
    choosing.add_argument("trees", nargs="+", type=Path)
    choosing.add_argument("--count", type=int, default=48)
    choosing.add_argument("--seed", type=int, default=0)
    for name in ("cover", "run"):
        command = commands.add_parser(name)
        command.add_argument("tree", type=Path)
        command.add_argument("--work", type=Path, required=True)
        command.add_argument("--suite", choices=SUITES, required=True)
        command.add_argument("--python", default=sys.executable)
        if name == "run":
            command.add_argument("--name", required=True)
    commands.add_parser("table")
    given = parser.parse_args()
    if given.command == "choose":
        choose(given.trees, given.count, given.seed)
    elif given.command == "cover":
        cover(given.tree.resolve(), given.work.resolve(), given.suite, given.python)
    elif given.command == "run":
        run(given.tree.resolve(), given.work.resolve(), given.suite, given.python, given.name)
    else:
        print(table())


def choose(trees: list[Path], count: int, seed: int) -> None:
    """Draws faults whose line stands exactly once in each tree, as many of each package's size."""
    found = list(candidates(trees[0]))
    random.Random(seed).shuffle(found)
    chosen: list[dict[str, str]] = []
    lines: set[str] = set()
    skipped = 0
    for fault in found:
        if len(chosen) == count:
            break
        if fault["line"] in lines:
            continue
        if all(place(tree, fault["line"]) for tree in trees):
            chosen.append(fault)
            lines.add(fault["line"])
        else:
            skipped += 1
    faults = [{"number": number, **fault} for number, fault in enumerate(chosen, start=1)]
    _file().write_text(json.dumps(faults, indent=1) + "\n")
    print(f"{len(faults)} faults; {skipped} left out, whose line is not once in each tree")


def candidates(tree: Path) -> Iterator[dict[str, str]]:
    """Yields every fault of the kinds above, on statements of one line inside functions."""
    for package in PACKAGES:
        for path in sorted((tree / "tfft" / package).rglob("*.py")):
            source = path.read_text(encoding="utf-8")
            lines = source.splitlines()
            for function in ast.walk(ast.parse(source)):
                if isinstance(function, ast.FunctionDef):
                    for node in ast.walk(function):
                        for kind, row, new in _changed(node, lines):
                            yield {
                                "package": package,
                                "file": str(path.relative_to(tree)),
                                "function": function.name,
                                "kind": kind,
                                "line": lines[row],
                                "changed": new,
                            }


def _changed(node: ast.AST, lines: list[str]) -> Iterator[tuple[str, int, str]]:
    """Yields (kind, row, new line) of the faults of a node."""
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        yield from _between(node.left, node.comparators[0], node.ops[0], lines)
    elif isinstance(node, ast.BinOp):
        yield from _between(node.left, node.right, node.op, lines)
    elif isinstance(node, ast.BoolOp) and len(node.values) == 2:
        yield from _between(*node.values, node.op, lines)
    elif isinstance(node, ast.Constant) and node.lineno == node.end_lineno:
        row, text = node.lineno - 1, lines[node.lineno - 1]
        if isinstance(node.value, bool):
            value = str(not node.value)
        elif isinstance(node.value, int):
            value = str(node.value + 1)
        elif isinstance(node.value, float):
            value = repr(node.value * 2 or 1.0)
        else:
            return
        yield "constant", row, text[: node.col_offset] + value + text[node.end_col_offset :]
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        row, text = node.lineno - 1, lines[node.lineno - 1]
        if node.end_lineno == node.lineno:
            rest = text[node.operand.col_offset :]
            yield "condition", row, text[: node.col_offset] + rest
    elif isinstance(node, ast.Expr | ast.AugAssign) and node.lineno == node.end_lineno:
        if isinstance(node, ast.Expr) and not isinstance(node.value, ast.Call):
            return
        text = lines[node.lineno - 1]
        if text.strip() == ast.get_source_segment("\n".join(lines), node):
            yield "removed", node.lineno - 1, text[: node.col_offset] + "pass"


def _between(
    left: ast.expr, right: ast.expr, operator: ast.AST, lines: list[str]
) -> Iterator[tuple[str, int, str]]:
    new = _SWAPPED.get(type(operator))
    if new is None or left.end_lineno != right.lineno:
        return
    row, text = right.lineno - 1, lines[right.lineno - 1]
    middle = text[left.end_col_offset : right.col_offset]
    if middle.strip(" ()") and not middle.strip(" ()").isspace():
        before = middle[: len(middle) - len(middle.lstrip(" )"))]
        after = middle[len(middle.rstrip(" (")) :]
        changed = text[: left.end_col_offset] + before + new + after + text[right.col_offset :]
        yield "operator", row, changed


def place(tree: Path, line: str) -> tuple[Path, int] | None:
    """Returns file and row (from 1) of the one place where a line stands, but for its indent."""
    found = [
        (path, row)
        for package in PACKAGES
        for path in sorted((tree / "tfft" / package).rglob("*.py"))
        for row, text in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if text.strip() == line.strip()
    ]
    return found[0] if len(found) == 1 else None


def cover(tree: Path, work: Path, suite: str, python: str) -> None:
    """Runs a suite under coverage; keeps the data and how long each test took."""
    where = work / suite
    where.mkdir(parents=True, exist_ok=True)
    (where / "coverage.ini").write_text(_COVERAGE)
    environment = {**os.environ, "PYTHONPATH": str(tree), "COVERAGE_PLACE": str(where)}
    environment["COVERAGE_TREE"] = str(tree)
    command = [
        *(python, "-m", "pytest", "-q", "-n", "2", "--dist", "loadfile"),
        *("--no-loadscope-reorder", "-p", "pytest_cov", f"--cov={tree}/tfft", "--cov-report="),
        *(f"--cov-config={where}/coverage.ini", "--cov-context=test"),
        *(f"--junitxml={where}/junit.xml", "-m", SUITES[suite]),
    ]
    subprocess.run(command, cwd=tree, env=environment, check=False)
    seconds: dict[str, float] = {}
    for case in ElementTree.parse(where / "junit.xml").iter("testcase"):
        file = f"{case.get('classname', '').replace('.', '/')}.py"
        if not len(case):  # neither failed nor skipped
            seconds[f"{file}::{case.get('name')}"] = float(case.get("time", 0))
    (where / "seconds.json").write_text(json.dumps(seconds))


def run(tree: Path, work: Path, suite: str, python: str, name: str) -> None:
    """Tries every fault that was not tried yet under this name."""
    cells = Cells("planted-faults-outcomes")
    seconds = json.loads((work / suite / "seconds.json").read_text())
    reached = reaching(work / suite / ".coverage")
    for fault in json.loads(_file().read_text()):
        key = {"name": name, "suite": suite, "fault": fault["number"]}
        if cells.get(**key) is not None:
            continue
        if suite == "slow":
            before = cells.get(**{**key, "suite": "fast"})
            if before is not None and before["noticed"]:
                continue
        path, row = place(tree, fault["line"]) or (None, 0)
        if path is None:
            cells.put({"noticed": None, "why": "its line is gone"}, **key)
            continue
        of_file = reached[str(path.relative_to(tree))]
        # A line that TensorFlow's own threads run is not measured: any test of its file may.
        contexts = of_file.get(row) or set().union(*of_file.values())
        tests = _tests_of(contexts, seconds)
        started = time.perf_counter()
        failed = attempt(tree, path, row, fault, tests, seconds, python) if tests else None
        took = round(time.perf_counter() - started, 1)
        cells.put(
            {
                "noticed": None if failed == _TOO_LONG else failed is not None,
                "by": failed,
                "tests": len(tests),
                "seconds": took,
            },
            **key,
        )
        print(
            f"{name} {suite} {fault['number']:2} {failed or 'not noticed'} ({took} s)", flush=True
        )


def reaching(data_file: Path) -> dict[str, dict[int, set[str]]]:
    """Returns the contexts by file (as ``tfft/…``) and row."""
    from coverage import CoverageData

    data = CoverageData(basename=str(data_file))
    data.read()
    found: dict[str, dict[int, set[str]]] = defaultdict(dict)
    for measured in data.measured_files():
        name = f"tfft/{measured.rpartition('/tfft/')[2]}"
        for row, contexts in data.contexts_by_lineno(measured).items():
            found[name].setdefault(row, set()).update(contexts)
    return found


def _tests_of(contexts: set[str], seconds: dict[str, float]) -> list[str]:
    """The tests that reach a line, the cheapest first.

    What a fixture does once is noticed by any test of the same file, which then all count.
    """
    named: set[str] = set()
    for context in contexts:
        for part in context.split("|"):
            test, _, stage = part.partition(" (")
            if test in seconds:
                named.add(test)
            if "setup" in (stage.rstrip(")"), context.rpartition("|")[2]):
                file = test.partition("::")[0]
                named |= {other for other in seconds if other.partition("::")[0] == file}
    return sorted(named, key=lambda test: seconds[test])


def attempt(
    tree: Path,
    path: Path,
    row: int,
    fault: dict[str, Any],
    tests: list[str],
    seconds: dict[str, float],
    python: str,
) -> str | None:
    """Plants a fault in a copy of the tree; returns the first test that fails, or None."""
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory) / "tree"
        copy.mkdir()
        for part in tree.iterdir():
            if part.is_file():
                shutil.copy(part, copy)
            elif part.name not in (".git", ".venv", "runs", "work"):
                shutil.copytree(part, copy / part.name)
        target = copy / path.relative_to(tree)
        lines = target.read_text(encoding="utf-8").splitlines()
        indent = lines[row - 1][: len(lines[row - 1]) - len(lines[row - 1].lstrip())]
        lines[row - 1] = indent + fault["changed"].strip()
        target.write_text("\n".join(lines) + "\n", encoding="utf-8")
        cheap: list[str] = []
        while len(cheap) < len(tests) and sum(seconds[t] for t in cheap) < _FIRST_S:
            cheap.append(tests[len(cheap)])
        spent = _seconds_of_children()
        for part in (cheap, tests[len(cheap) :]):
            if part:
                left = _LIMIT_S - (_seconds_of_children() - spent)
                failed = _first_failure(copy, part, python, max(1, int(left)))
                if failed is not None:
                    return failed
    return None


def _seconds_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _first_failure(copy: Path, tests: list[str], python: str, limit_s: int) -> str | None:
    listed = copy / "tests-of-the-fault.txt"
    listed.write_text("\n".join(tests) + "\n")
    shared = os.environ.get("TFFT_SHARED_DATA", "")
    environment = {**os.environ, "PYTHONPATH": str(copy), "TFFT_SHARED_DATA": shared}
    if not shared:
        del environment["TFFT_SHARED_DATA"]
    command = [python, "-m", "pytest", "-q", "-x", "-rfE", "-p", "no:cacheprovider", f"@{listed}"]
    done = subprocess.run(
        command,
        check=False,
        cwd=copy,
        env=environment,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (limit_s, limit_s)),
    )
    if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        return _TOO_LONG
    if done.returncode == 0:
        return None
    for line in done.stdout.splitlines():
        if line.startswith(("FAILED", "ERROR")):
            return line.split(" ", 1)[1].partition(" - ")[0]
    return f"pytest ended with {done.returncode}"


def table() -> str:
    """Returns the shares that each suite noticed, as Markdown."""
    cells = Cells("planted-faults-outcomes").cells
    names = dict.fromkeys(cell["key"]["name"] for cell in cells)
    rows = ["| suite | " + " | ".join(names) + " |", "| --- |" + " --- |" * len(names)]
    for suite in ("fast", "whole"):
        shares = []
        for name in names:
            own = [c for c in cells if c["key"]["name"] == name and c["noticed"] is not None]
            tried = {c["key"]["fault"] for c in own if c["key"]["suite"] == "fast"}
            suites = ("fast",) if suite == "fast" else ("fast", "slow")
            seen = {c["key"]["fault"] for c in own if c["noticed"] and c["key"]["suite"] in suites}
            shares.append(f"{len(seen & tried)} of {len(tried)}")
        rows.append(f"| {suite} | " + " | ".join(shares) + " |")
    return "\n".join(rows)


def _file() -> Path:
    return RESULTS / "planted-faults.json"


if __name__ == "__main__":
    main()
