"""The stages of tfft, and that a stage imports only from those before it."""

import ast
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "tfft"

# In the order of imports: each may use those above it.
STAGES = (
    "version",
    "errors",
    "system",
    "untrusted",
    "catalog",
    "images",
    "cache",
    "config",
    "data",
    "runs",
    "backbones",
    "model",
    "runtime",
    "metrics",
    "transfer",
    "evaluation",
    "exports",
    "reports",
    "audit",
    "studies",
    "desk",
    "interface",
    "cli",
)
# The front of the package re-exports the interface; `python -m tfft` calls the command line.
FACADES = {"__init__": "interface", "__main__": "cli"}

MODULES = sorted(PACKAGE.rglob("*.py"))
SOURCES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): path.read_text("utf-8")
    for path in MODULES
    if path.name != "__init__.py"
}


def stage_of(module: Path) -> str:
    first = module.relative_to(PACKAGE).with_suffix("").parts[0]
    return FACADES.get(first, first)


def imported_stages(source: str) -> set[str]:
    """The stages named by any import in the source, also inside functions and type checks."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative imports hide the stage"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        found |= {name.split(".")[1] for name in names if name.startswith("tfft.")}
    return found & set(STAGES)


def arrows_back(stage: str, source: str) -> list[str]:
    later = STAGES[STAGES.index(stage) + 1 :]
    return [f"{stage} → {target}" for target in sorted(imported_stages(source)) if target in later]


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_of_the_design_is_there(stage):
    assert (PACKAGE / stage / "__init__.py").is_file() or (PACKAGE / f"{stage}.py").is_file()


def test_there_is_no_stage_outside_the_design():
    here = {path.stem for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()}
    assert here <= set(STAGES)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_to_earlier_stages_only(module):
    assert arrows_back(stage_of(module), module.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "import tfft.cli.main",
        "from tfft.transfer import train",
        "from tfft import exports",
        "def f():\n    from tfft.evaluation.evaluate import evaluate",
        "if TYPE_CHECKING:\n    from tfft.runtime.info import ModelInfo",
    ],
)
def test_an_arrow_back_is_seen_wherever_it_stands(source):
    assert arrows_back("images", source)


def arrows_of(modules: Mapping[str, str]) -> dict[str, set[str]]:
    """From each module to the modules that it imports, by dotted name; sources by name."""
    arrows: dict[str, set[str]] = {name: set() for name in modules}
    for name, source in modules.items():
        for node in ast.walk(ast.parse(source)):
            named = []
            if isinstance(node, ast.Import):
                named = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                inside = [f"{node.module}.{alias.name}" for alias in node.names]
                named = [one if one in modules else str(node.module) for one in inside]
            arrows[name] |= {one for one in named if one in modules and one != name}
    return arrows


def circles(arrows: Mapping[str, set[str]]) -> list[str]:
    """The names that lead back to themselves."""

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        pending = [start]
        while pending:
            new = arrows[pending.pop()] - seen
            seen |= new
            pending += new
        return seen

    return sorted(name for name in arrows if name in reached(name))


def test_no_module_imports_itself_by_way_of_others():
    assert circles(arrows_of(SOURCES)) == []


def test_no_package_within_a_stage_imports_itself_by_way_of_others():
    inner: dict[str, set[str]] = defaultdict(set)
    for name, targets in arrows_of(SOURCES).items():
        package = name.rpartition(".")[0]
        inner[package] |= {target.rpartition(".")[0] for target in targets} - {package}
    inner = {package: targets for package, targets in inner.items() if package.count(".") > 1}
    assert circles({package: targets & set(inner) for package, targets in inner.items()}) == []


def test_a_circle_is_seen():
    sources = {
        "tfft.a": "from tfft.b import x",
        "tfft.b": "def f():\n    import tfft.c",
        "tfft.c": "from tfft import a",
        "tfft.d": "from tfft.a import y",
    }
    assert circles(arrows_of(sources)) == ["tfft.a", "tfft.b", "tfft.c"]


def test_packages_hold_nothing_but_a_docstring():
    for init in PACKAGE.rglob("*/__init__.py"):
        body = ast.parse(init.read_text(encoding="utf-8")).body
        assert [type(node) for node in body] == [ast.Expr], init


def test_no_module_needs_a_second_idea():
    long = {
        str(module.relative_to(PACKAGE)): lines
        for module in MODULES
        if (lines := len(module.read_text(encoding="utf-8").splitlines())) > 400
    }
    assert long == {}


def test_no_two_files_of_tests_have_one_name() -> None:
    """pytest imports them by name alone, and collects only the first of two."""
    names = Counter(path.name for path in Path(__file__).parent.rglob("test_*.py"))
    assert [name for name, count in names.items() if count > 1] == []
