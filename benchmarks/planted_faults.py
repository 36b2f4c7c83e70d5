"""Does the suite notice faults? Plants random ones, one at a time, and runs the tests near it.

A fault is one changed line in a function of a package that decides results: an operator, a constant
or a condition changed, or a statement removed. Faults are drawn from one tree and are planted in
others by the text of their line, so that the same faults can be tried on two versions of the code::

    python benchmarks/planted_faults.py choose OLD NEW --count 48
    python benchmarks/planted_faults.py reach NEW --work DIR --suite fast
    python benchmarks/planted_faults.py run NEW --work DIR --name after --suite fast
    python benchmarks/planted_faults.py table

`reach` runs a suite once in a copy of the code that notes which test comes by the line of a fault,
also in the threads and processes of that test. `run` tries each fault on the tests that reach it,
the cheapest first, as many as fit into a number of processor seconds, up to the first failure. Each
outcome is stored at once, beside the faults in ``results/``; the same command goes on where it
stopped. It needs the extra `dev`.
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
from collections import defaultdict
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
from cells import RESULTS, Cells
from suite_costs import read_costs

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
    for name in ("reach", "run"):
        command = commands.add_parser(name)
        command.add_argument("tree", type=Path)
        command.add_argument("--work", type=Path, required=True)
        command.add_argument("--suite", choices=SUITES, required=True)
        command.add_argument("--python", default=sys.executable)
        if name == "run":
            command.add_argument("--name", required=True)
            command.add_argument("--limit", type=float, default=600, help="processor seconds")
    commands.add_parser("table")
    given = parser.parse_args()
    if given.command == "choose":
        choose(given.trees, given.count, given.seed)
    elif given.command == "reach":
        reach(given.tree.resolve(), given.work.resolve(), given.suite, given.python)
    elif given.command == "run":
        run(
            *(given.tree.resolve(), given.work.resolve(), given.suite, given.python),
            *(given.name, given.limit),
        )
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


def reach(tree: Path, work: Path, suite: str, python: str) -> None:
    """Runs a suite once in a marked copy; keeps what each test reaches, and what it costs."""
    where = work / suite
    shutil.rmtree(where, ignore_errors=True)
    where.mkdir(parents=True)
    copy = _copied(tree, where / "tree")
    mark(copy, json.loads(_file().read_text()))
    for name in ("reached.py", "suite_costs.py"):
        shutil.copy(Path(__file__).with_name(name), where)
    command = [
        *(python, "-m", "pytest", "-q", "-n", "2", "--dist", "loadfile"),
        *("--no-loadscope-reorder", "-p", "no:cacheprovider", "-p", "suite_costs"),
        *("-m", SUITES[suite]),
    ]
    environment = {
        **os.environ,
        "PYTHONPATH": f"{copy}:{where}",
        "REACHED_FILE": str(where / "reached.jsonl"),
        "SUITE_COSTS": str(where / "costs.jsonl"),
    }
    subprocess.run(command, cwd=copy, env=environment, check=False)
    shutil.rmtree(copy)


def _copied(tree: Path, copy: Path) -> Path:
    copy.mkdir()
    for part in tree.iterdir():
        if part.is_file() and part.name != ".git":
            shutil.copy(part, copy)
        elif part.is_dir() and part.name not in (".git", ".venv", "runs", "work"):
            shutil.copytree(part, copy / part.name)
    return copy


def mark(copy: Path, faults: list[dict[str, Any]]) -> None:
    """Has every test that reaches the statement of a fault note that, in a copy of the code."""
    shutil.copy(Path(__file__).with_name("reached.py"), copy / "tfft")
    marks: dict[Path, list[tuple[int, int]]] = defaultdict(list)
    for fault in faults:
        path, row = place(copy, fault["line"]) or (None, 0)
        if path is not None:
            marks[path].append(
                (statement_row(path.read_text(encoding="utf-8"), row), fault["number"])
            )
    for path, of_file in marks.items():
        lines = path.read_text(encoding="utf-8").splitlines()
        for row, number in sorted(of_file, reverse=True):
            text = lines[row - 1]
            indent = text[: len(text) - len(text.lstrip())]
            call = f"__import__('tfft.reached').reached.reached({number})"
            lines.insert(row - 1, indent + call)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def statement_row(source: str, row: int) -> int:
    """Returns the row (from 1) where the innermost statement around a row begins a line.

    Of a condition with ``elif`` it is that of its ``if``; of a function, that of its decorators.
    """
    lines = source.splitlines()
    best = 0
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.stmt) and node.lineno <= row <= (node.end_lineno or row):
            first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", ()))])
            begins = not lines[first - 1][: node.col_offset].strip()
            if begins and not lines[first - 1].lstrip().startswith("elif"):
                best = max(best, first)
    return best


def run(tree: Path, work: Path, suite: str, python: str, name: str, limit_s: float) -> None:
    """Tries every fault that was not tried yet under this name."""
    cells = Cells("planted-faults-outcomes")
    seconds = {
        cost["test"]: cost["cpu_seconds"]
        for cost in read_costs(work / suite / "costs.jsonl")
        if cost["passed"]
    }
    reached = reaching(work / suite / "reached.jsonl", seconds)
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
        tests = reached[fault["number"]]
        fitting = _fitting(tests, seconds, limit_s)
        started = _seconds_of_children()
        failed = attempt(tree, path, row, fault, fitting, seconds, python) if fitting else None
        took = round(_seconds_of_children() - started, 1)
        cells.put(
            {
                "noticed": None if failed == _TOO_LONG else failed is not None,
                "by": failed,
                "tests": len(fitting),
                "tests_that_reach_it": len(tests),
                "cpu_seconds": took,
            },
            **key,
        )
        print(
            f"{name} {suite} {fault['number']:2} {failed or 'not noticed'} "
            f"({len(fitting)} of {len(tests)} tests, {took} s)",
            flush=True,
        )


def reaching(noted: Path, seconds: dict[str, float]) -> dict[int, list[str]]:
    """Returns the tests that reach each fault, the cheapest first.

    What a fixture does once is noticed by any test of the same file, which then all count.
    """
    found: dict[int, set[str]] = defaultdict(set)
    for line in noted.read_text().splitlines():
        number, noting = json.loads(line)
        test, _, stage = noting.rpartition(" (")
        found[number].add(test)
        if stage == "setup)":
            file = test.partition("::")[0]
            found[number] |= {other for other in seconds if other.partition("::")[0] == file}
    return defaultdict(
        list,
        {
            number: sorted(tests & seconds.keys(), key=lambda test: seconds[test])
            for number, tests in found.items()
        },
    )


def _fitting(tests: list[str], seconds: dict[str, float], limit_s: float) -> list[str]:
    """Of tests in order of their cost, those that take no longer together than a limit."""
    spent = accumulate(seconds[test] for test in tests)
    return [test for test, until in zip(tests, spent, strict=True) if until <= limit_s]


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
        copy = _copied(tree, Path(directory) / "tree")
        target = copy / path.relative_to(tree)
        lines = target.read_text(encoding="utf-8").splitlines()
        indent = lines[row - 1][: len(lines[row - 1]) - len(lines[row - 1].lstrip())]
        lines[row - 1] = indent + fault["changed"].strip()
        target.write_text("\n".join(lines) + "\n", encoding="utf-8")
        cheap = _fitting(tests, seconds, _FIRST_S)
        for part in (cheap, tests[len(cheap) :]):
            if part:
                failed = _first_failure(copy, part, python)
                if failed is not None:
                    return failed
    return None


def _seconds_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _first_failure(copy: Path, tests: list[str], python: str) -> str | None:
    listed = copy / "tests-of-the-fault.txt"
    listed.write_text("\n".join(tests) + "\n")
    command = [python, "-m", "pytest", "-q", "-x", "-rfE", "-p", "no:cacheprovider", f"@{listed}"]
    done = subprocess.run(
        command,
        check=False,
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (_LIMIT_S, _LIMIT_S)),
    )
    if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        return _TOO_LONG
    if done.returncode == 0:
        return None
    for line in done.stdout.splitlines():
        if line.startswith(("FAILED", "ERROR")):
            return line.split(" ", 1)[1].partition(" - ")[0]
    if done.returncode in (pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.NO_TESTS_COLLECTED):
        raise RuntimeError(f"the tests are not those of this tree:\n{done.stdout}{done.stderr}")
    return f"pytest ended with {done.returncode}"


def table() -> str:
    """Returns the shares that each suite noticed, as Markdown."""
    cells = Cells("planted-faults-outcomes").cells
    names = dict.fromkeys(cell["key"]["name"] for cell in cells)
    rows = ["| suite | " + " | ".join(names) + " |", "| --- |" + " --- |" * len(names)]
    tried_in = {cell["key"]["suite"] for cell in cells}
    for suite in ("fast", "whole") if "slow" in tried_in else ("fast",):
        shares = []
        for name in names:
            own = [c for c in cells if c["key"]["name"] == name and c["noticed"] is not None]
            tried = {c["key"]["fault"] for c in own if c["key"]["suite"] == "fast"}
            suites = ("fast",) if suite == "fast" else ("fast", "slow")
            seen = {c["key"]["fault"] for c in own if c["noticed"] and c["key"]["suite"] in suites}
            missed_by_all = {c["key"]["fault"] for c in own if c["key"]["suite"] == suites[-1]}
            untried = tried - seen - missed_by_all
            shares.append(
                f"{len(seen & tried)} of {len(tried)}"
                + (f", {len(untried)} not tried" if untried else "")
            )
        rows.append(f"| {suite} | " + " | ".join(shares) + " |")
    return "\n".join(rows)


def _file() -> Path:
    return RESULTS / "planted-faults.json"


if __name__ == "__main__":
    main()
