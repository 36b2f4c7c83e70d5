"""The sdist holds what it takes to set up and test, the wheel what it takes to run anywhere."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
# Beside the sources, what `make setup`, `make lint`, `make docs` and the tests read.
NEEDED = (
    "Makefile",
    "pyproject.toml",
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "LICENSE",
    "requirements/core.lock",
    "requirements/dev.lock",
    "requirements/install.sh",
    "requirements/lock.sh",
    "requirements/offline.lock",
    "saved_models/README.md",
    ".ci/run",
    ".pre-commit-config.yaml",
)
RUN_TFFT = "from tfft.cli.main import main; main()"


def build(kind: str, source: Path, place: Path) -> Path:
    """Builds a package of the sources by what `pip` builds it by, without a network."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(place)],
        cwd=source,
        check=True,
        capture_output=True,
    )
    (package,) = place.iterdir()
    return package


def files_below(*directories: str, suffixes: tuple[str, ...]) -> set[str]:
    """The files of some kinds in the checkout, by their path in it."""
    found = (file for name in directories for file in (ROOT / name).rglob("*"))
    return {str(file.relative_to(ROOT)) for file in found if file.suffix in suffixes}


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory) -> Path:
    """The sdist, unpacked."""
    package = build("sdist", ROOT, tmp_path_factory.mktemp("sdist"))
    place = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(package) as archive:
        archive.extractall(place, filter="data")
    (directory,) = place.iterdir()
    return directory


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel of the checkout."""
    return build("wheel", ROOT, tmp_path_factory.mktemp("wheel"))


def test_an_sdist_holds_all_that_is_needed_to_work_on_it(unpacked: Path):
    assert [name for name in NEEDED if not (unpacked / name).is_file()] == []
    sources = files_below(
        "tfft", "tests", "docs", "benchmarks", "configs", suffixes=(".py", ".yaml")
    )
    assert sources > {"tfft/__init__.py", "configs/classifier.yaml", "docs/generate_cli.py"}
    pages = files_below("docs", "examples", suffixes=(".md", ".png", ".svg", ".ipynb"))
    assert [name for name in sorted(sources | pages) if not (unpacked / name).is_file()] == []


def test_an_sdist_is_set_up_by_make(unpacked: Path):
    planned = subprocess.run(
        ["make", "-n", "setup"], cwd=unpacked, check=True, capture_output=True, text=True
    ).stdout
    for lock in ("core", "offline"):
        assert f"--no-deps --require-hashes -r requirements/{lock}.lock" in planned


def test_a_wheel_holds_recipes_templates_and_types(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    recipes = {f"tfft/{name}" for name in files_below("configs", suffixes=(".yaml",))}
    other = {
        str(file.relative_to(ROOT))
        for file in (ROOT / "tfft").rglob("*")
        if file.is_file() and file.suffix != ".pyc"
    }
    assert {"tfft/py.typed", "tfft/reports/templates/report.html"} < other
    assert recipes | other == {name for name in names if name.startswith("tfft/")}
    assert not [name for name in names if name.startswith(("tests", "docs", "benchmarks"))]


def test_the_wheel_of_an_sdist_is_that_of_the_checkout(unpacked: Path, wheel: Path, tmp_path: Path):
    with (
        zipfile.ZipFile(build("wheel", unpacked, tmp_path)) as again,
        zipfile.ZipFile(wheel) as one,
    ):
        assert sorted(again.namelist()) == sorted(one.namelist())


@pytest.mark.slow
def test_a_wheel_runs_away_from_the_repository(wheel: Path, tmp_path: Path):
    place, work = tmp_path / "site", tmp_path / "work"
    work.mkdir()
    pip = ["-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target", str(place)]
    subprocess.run([sys.executable, *pip, str(wheel)], check=True, cwd=work)
    environment = os.environ | {"PYTHONPATH": str(place)}

    def run(*command: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", *command],
            cwd=work,
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout

    assert run("import tfft; print(tfft.__file__)").strip() == str(place / "tfft" / "__init__.py")
    assert "EfficientNetLite0" in run(RUN_TFFT, "backbones")
    planned = run(RUN_TFFT, "train", "quickstart", "--dry-run", "--run", "dry")
    assert "EfficientNetLite0" in planned
    assert "phase 2" in planned
    assert not (work / "dry").exists()
