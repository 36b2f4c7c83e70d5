"""kill -9 while a run is made: afterwards it is made again, or resumed, and nothing is left."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tally import tally

pytestmark = pytest.mark.slow
# Makes a run in forked processes, of which the nth is killed at its nth touch of the disk; prints
# for each whether a run can be made there or gone on with after it, and what is left over.
_PROGRAM = """
import itertools, os, signal, sys
from pathlib import Path
from tfft.config.loading.load import load_recipe
from tfft.errors import TfftError
from tfft.runs.hold import held
from tfft.runs.run import create_run, require_run
from tfft.system.files import remove_abandoned

TOUCHES = ("open", "os.mkdir", "os.rename", "os.chmod", "os.remove", "fcntl.flock")
recipe = load_recipe("quickstart")
for count in itertools.count():
    run = Path(sys.argv[1]) / f"run-{count}"
    child = os.fork()
    if child == 0:
        left = itertools.count(count, -1)
        def kill(event, arguments):
            if event in TOUCHES and next(left) == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(kill)
        create_run(recipe, run)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.waitstatus_to_exitcode(status) == 0:
        break
    try:
        require_run(run)
    except TfftError:
        create_run(recipe, run)
    with held(run):
        remove_abandoned(run)
    print(count, sorted(file.name for file in run.iterdir()))
"""


def test_a_run_that_is_killed_while_it_is_made_is_made_again_or_resumed(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, str(tmp_path)],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    held = sum(line.endswith("['lock', 'recipe.yaml', 'run.json']") for line in lines)
    assert held == len(lines) > 15
    promise = "A run that is killed while it is made is made again or resumed."
    tally("kills", promise, tried=len(lines), held=held)
