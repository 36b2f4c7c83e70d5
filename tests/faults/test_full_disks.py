"""Disks that fill up while a run is trained or exported: one message, nothing half-written."""

import os
import sys
from pathlib import Path

import pytest
from small_disk import beside_small_disk
from tally import tally
from transfer.shapes import HEADS, shapes_recipe, write_backbone, write_photos

from tfft.config.loading.load import dump_recipe

pytestmark = pytest.mark.slow
# On a small disk of its own: each size of what is left free is tried, then all of it is freed.
_PROGRAM = """
import contextlib, io, os, sys
from pathlib import Path
from tfft.cli.main import run as tfft
from tfft.runs.run import Run

recipe, disk, *sizes = sys.argv[1:]
fill, run, models = Path(disk, "fill"), Path(disk, "run"), Path(disk, "models")

def leave(free):
    Path(disk).mkdir(exist_ok=True)
    handle = os.open(fill, os.O_CREAT | os.O_WRONLY)
    with contextlib.suppress(OSError):
        while os.write(handle, bytes(4096)):
            pass
    os.ftruncate(handle, max(0, os.fstat(handle).st_size - free * 1024))
    os.close(handle)

def said(*words):
    errors = io.StringIO()
    with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
        code = tfft([*map(str, words), "-q"])
    return code, errors.getvalue()

def held(code, text, done):
    lines = [line for line in text.splitlines() if not line.startswith("WARNING:absl")]
    return code == 0 if done else code == 1 and len(lines) == 1 and "disk is full" in lines[0]

for free in sizes:
    leave(int(free))
    words = ("train", "--resume", run) if (run / "recipe.yaml").exists() else ("train", recipe)
    words = words if words[1] == "--resume" else (*words, "--run", run)
    code, text = said(*words)
    told = code == 0 or not (run / "run.json").exists() or f"--resume {run}" in text
    whole = told and not list(run.rglob(".*.tfft-*"))
    print("train", free, held(code, text, code == 0) and whole, text)
    fill.unlink()
print("resume", 0, said("train", "--resume", run)[0] == 0 and Run(run).status == "finished")
for free in sizes:
    leave(int(free))
    code, text = said("export", run, "--output", models, "--format", "savedmodel")
    whole = all(map(str.isdecimal, os.listdir(models / "shapes"))) if code and (
        models / "shapes").exists() else True
    print("export", free, held(code, text, code == 0) and whole, text)
    fill.unlink()
"""


@pytest.mark.parametrize(
    "sizes",
    [
        (4, 40, 120, 400),
        pytest.param(tuple(range(4, 600, 20)), marks=pytest.mark.full, id="many"),
    ],
)
def test_a_disk_that_fills_up_is_one_message_and_the_run_goes_on_when_it_has_room(
    tmp_path: Path, sizes: tuple[int, ...]
):
    photos = tmp_path / "photos"
    photos.mkdir()
    write_backbone(write_photos(photos))
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(dump_recipe(shapes_recipe(photos, HEADS, checkpoint_seconds=1e-9)))
    (tmp_path / "program.py").write_text(_PROGRAM)
    disk = tmp_path / "disk"
    done = beside_small_disk(
        disk,
        f"{sys.executable} {tmp_path}/program.py {recipe} {disk} {' '.join(map(str, sizes))}",
        PYTHONPATH=os.pathsep.join(sys.path),
        TF_CPP_MIN_LOG_LEVEL="3",
    )
    lines = [
        line for line in done.stdout.splitlines() if line.startswith(("train", "export", "res"))
    ]
    outcomes = [line.split()[2] for line in lines]
    assert outcomes.count("True") == len(outcomes) == 2 * len(sizes) + 1, done.stdout + done.stderr
    promise = "A disk that fills up is one message; nothing is half written, and the run goes on."
    tally("full disks", promise, tried=len(outcomes), held=len(outcomes))
