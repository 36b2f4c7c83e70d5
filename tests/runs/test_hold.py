"""One process at a time holds a run; the others are told who, and a kill frees it."""

import errno
import fcntl
import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tfft.config.loading.load import dump_recipe, load_recipe
from tfft.errors import DataError, TfftWarning, UsageError
from tfft.runs import hold
from tfft.runs.exports import record_export, recorded_exports
from tfft.runs.hold import held, holder
from tfft.runs.run import Run, create_run, new_run, record, require_run
from tfft.system.formats import RUN
from tfft.transfer.resume import resume


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return create_run(load_recipe("quickstart"), tmp_path / "run")


def test_who_holds_a_run_is_named_to_those_who_want_it_too(run: Run):
    who = rf"process {os.getpid()} on {socket.gethostname()}, since 20\d\d-.* UTC"
    with held(run.path):
        with pytest.raises(UsageError, match=f"is held by {who}"):
            resume(run.path)
        with pytest.raises(UsageError, match=f"is held by {who}"):
            create_run(load_recipe("quickstart"), run.path)
        assert run.status == "running"
    assert holder(run.path) == ""


_HOLDING = """
import sys
from pathlib import Path
from tfft.runs.hold import held
with held(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_process_that_is_killed_holds_a_run_no_longer(run: Run):
    command = [sys.executable, "-c", _HOLDING, str(run.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        assert holder(run.path).startswith(f"process {process.pid} on ")
        process.kill()
    assert holder(run.path) == ""
    assert run.status == "killed"
    with held(run.path):
        pass


def test_one_who_asks_who_holds_a_run_does_not_keep_others_from_it(run: Run, monkeypatch):
    with held(run.path):
        pass
    descriptor = os.open(run.path / "lock", os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)  # as `holder` does for a moment
    monkeypatch.setattr(hold.time, "sleep", lambda _: fcntl.flock(descriptor, fcntl.LOCK_UN))
    with held(run.path):
        pass
    os.close(descriptor)


def test_a_file_system_without_locks_is_no_obstacle_but_said(run: Run, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.warns(TfftWarning, match="has no locks"), held(run.path):
        record(run, status="running")
        assert holder(run.path) == ""
    assert RUN.read(run.record_file)["status"] == "running"


def test_runs_of_one_name_that_begin_at_once_get_directories_of_their_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe = load_recipe("quickstart")
    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(lambda _: create_run(recipe, None).path, range(8)))
    assert len(set(runs)) == 8
    assert all(require_run(path) for path in runs)


@pytest.mark.parametrize("left", [[], ["lock"], ["lock", "run.json"], [".run.json.tfft-a1.json"]])
def test_a_run_that_was_killed_while_it_was_made_is_made_again(run: Run, left: list[str]):
    (run.path / ".run.json.tfft-a1.json").touch()
    for file in run.path.iterdir():
        if file.name not in left:
            file.unlink()
    with new_run(load_recipe("quickstart"), run.path) as again:
        assert again.status == "running"
    assert require_run(run.path).status == "killed"  # begun, and not trained


def test_a_recipe_of_ones_own_is_not_taken_for_the_beginning_of_a_run(tmp_path: Path):
    (tmp_path / "recipe.yaml").write_text(dump_recipe(load_recipe("quickstart")))
    with pytest.raises(UsageError, match=r"exists already .*directory\.$"):
        create_run(load_recipe("quickstart"), tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["recipe.yaml"]


def test_what_several_processes_record_of_a_run_at_once_is_all_kept(run: Run, tmp_path: Path):
    files = [tmp_path / f"{number}.tflite" for number in range(12)]
    for file in files:
        file.touch()
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda file: record_export(run.path, {"int8": file}), files))
    assert {entry["int8"] for entry in recorded_exports(run.path)} == set(files)


def test_half_written_files_of_a_killed_process_go_and_those_of_a_running_one_stay(tmp_path: Path):
    run = create_run(load_recipe("classifier", data=tmp_path / "gone"), tmp_path / "run").path
    (run / "evaluation").mkdir()
    left = run / "evaluation" / ".test.json.tfft-ab12.json"
    written = run / ".calibration.json.tfft-cd34.json"
    for file in (left, written):
        file.touch()
    with written.open() as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        with pytest.raises(DataError, match="gone"):
            resume(run)
        assert (left.exists(), written.exists()) == (False, True)
