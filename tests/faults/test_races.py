"""Several processes want one run, or export it, at once: one holds it, and nothing is lost."""

import re
import shutil
from pathlib import Path

import pytest
from forked import Started
from tally import tally
from transfer.shapes import HEADS, write_recipe

from tfft.exports.versions import saved_versions
from tfft.runs.exports import recorded_exports
from tfft.runs.run import Run

pytestmark = pytest.mark.slow
_S = 300


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_recipe(tmp_path_factory.mktemp("recipe"), HEADS)


def _all_at_once(commands: list[list[object]], cwd: Path) -> list[tuple[int, str]]:
    """Exit codes and what was said on stderr."""
    started = [Started(words, cwd, f"process-{n}") for n, words in enumerate(commands)]
    done = [each.ended(_S) for each in started]
    return [(each.returncode, each.stderr) for each in done]


def _require_one(done: list[tuple[int, str]]) -> None:
    """Of several processes one did the work; the others were told who, or that it is done."""
    refused = [said for code, said in done if code == 2]
    assert [code for code, _ in done if code not in (0, 2)] == []
    assert len(refused) < len(done)
    for said in refused:
        assert re.search(r"is held by process \d+ on .*, since|exists already", said)
        assert "Traceback" not in said


@pytest.mark.parametrize(
    ("times", "processes"), [(1, 3), pytest.param(5, 4, marks=pytest.mark.full)]
)
def test_of_several_trainings_of_one_run_one_holds_it(
    recipe: Path, tmp_path: Path, times: int, processes: int
):
    cwd = tmp_path / "cwd"
    cwd.mkdir()
    for number in range(times):
        words = ["train", recipe, "--run", f"same-{number}", "-q"]
        done = _all_at_once([words] * processes, cwd)
        _require_one(done)
        assert sum(code == 0 for code, _ in done) == 1
        run = Run(cwd / f"same-{number}")
        assert run.status == "finished"
        (run.path / "model.keras").unlink()
        _require_one(_all_at_once([["train", "--resume", run.path, "-q"]] * 2, cwd))
        assert run.status == "finished"
        assert run.model_file.is_file()
    promise = "Of several processes that train or resume one run one does; the others are told who."
    tally("races", promise, tried=2 * times, held=2 * times)


@pytest.mark.parametrize(
    ("times", "processes"), [(1, 2), pytest.param(5, 3, marks=pytest.mark.full)]
)
def test_exports_at_once_have_versions_of_their_own(
    small_run: Path, tmp_path: Path, times: int, processes: int
):
    cwd = tmp_path / "cwd"
    cwd.mkdir()
    run = Path(shutil.copytree(small_run, cwd / "run"))
    before = len(recorded_exports(run))
    words = ["export", run, "--format", "tflite", "--set", "export.tflite.timed=false", "-q"]
    for number in range(1, times + 1):
        done = _all_at_once([words] * processes, cwd)
        assert [code for code, _ in done] == [0] * processes, done
        exported = cwd / "saved_models" / "colours" / "tflite"
        assert saved_versions(exported) == list(range(1, processes * number + 1))
        assert len(recorded_exports(run)) == before + processes * number
    promise = "Exports of one run at once get versions of their own, and the run knows them all."
    tally("races", promise, tried=times, held=times)
