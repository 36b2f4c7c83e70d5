"""Publishing into a directory that a server polls: whole versions only, whatever happens."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from tfft.errors import ModelFileError, TfftError, UsageError
from tfft.exports.serving.publish import publish, roll_back
from tfft.exports.sums import write_sums
from tfft.runtime.load import load_predictor

# Reports each version that it sees first in a listing, with its files and their sizes, until told
# to stop, and once after that; as a server does, it passes over names that are no number.
_POLL = """
import json, os, sys
base, seen, polls, stopped = sys.argv[1], {}, 0, False
print("polling", flush=True)
while not stopped:
    stopped = os.path.exists(os.path.join(base, "stop"))
    polls += 1
    for name in os.listdir(base):
        if name.isdecimal() and name not in seen:
            root = os.path.join(base, name)
            seen[name] = {
                os.path.relpath(os.path.join(where, file), root):
                    os.path.getsize(os.path.join(where, file))
                for where, _, files in os.walk(root) for file in files
            }
print(json.dumps({"polls": polls, "seen": seen}))
"""
_PUBLISH = """
import sys
from tfft import publish
publish(sys.argv[1], sys.argv[2])
assert "tensorflow" not in sys.modules
"""
# Publishes again and again, each time another content, killed at its first touch of the file
# system, then at its second, and so on, until one gets to its end; prints how many were killed.
_KILLED_AT_EACH_STEP = """
import os, signal, sys
from pathlib import Path
from tfft.exports.serving.publish import publish
from tfft.exports.sums import write_sums
model, base = map(Path, sys.argv[1:])
TOUCHES = ("open", "os.mkdir", "os.rename", "os.chmod", "os.remove", "os.rmdir", "shutil.copyfile")
def killed_at(step):
    touched = 0
    (model / "assets.extra" / "checks.json").write_text(f"{step:06}")
    write_sums(model)
    def hook(event, _):
        nonlocal touched
        if event in TOUCHES:
            touched += 1
            if touched == step:
                os.kill(os.getpid(), signal.SIGKILL)
    child = os.fork()
    if child == 0:
        sys.addaudithook(hook)
        publish(model, base)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert status in (0, signal.SIGKILL), status
    return status != 0
steps = 1
while killed_at(steps):
    steps += 1
print(steps - 1)
"""


def _sizes(version: Path) -> dict[str, int]:
    files = [file for file in version.rglob("*") if file.is_file()]
    return {str(file.relative_to(version)): file.stat().st_size for file in files}


def _names(directory: Path) -> list[str]:
    return sorted(child.name for child in directory.iterdir())


def _with_other_content(saved_model: Path, content: str) -> Path:
    """Makes another export of a SavedModel: another file of the same size, and its sums."""
    (saved_model / "assets.extra" / "checks.json").write_text(content)
    write_sums(saved_model)
    return saved_model


@pytest.fixture
def saved_model(exported, tmp_path) -> Path:
    """A copy of an export that a test may change."""
    return Path(publish(exported.savedmodel, tmp_path / "saved_models" / "colours").path)


def _publish_in_a_process(model: Path, base: Path) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", _PUBLISH, str(model), str(base)])


def test_what_is_published_is_the_export(exported, small_keras, pictures, tmp_path):
    published = publish(exported.savedmodel, tmp_path / "colours")
    assert published.path == str(tmp_path / "colours" / "1")
    assert _sizes(Path(published.path)) == _sizes(exported.savedmodel)
    for name in _sizes(exported.savedmodel):
        copied = Path(published.path, name)
        assert copied.read_bytes() == (exported.savedmodel / name).read_bytes()
    images = [next(pictures.glob("red/*.jpg")).read_bytes()]
    answers = load_predictor(tmp_path / "colours").answers_from_bytes(images)["label"]
    np.testing.assert_allclose(answers, small_keras.answers_from_bytes(images)["label"], atol=1e-4)


def test_the_newest_export_becomes_the_newest_version(saved_model, tmp_path):
    base = tmp_path / "colours"
    assert publish(saved_model.parent, base).version == 1
    assert publish(_with_other_content(saved_model, "second").parent, base).version == 2
    third = saved_model.rename(saved_model.with_name("7"))
    assert publish(_with_other_content(third, "third"), base).version == 7
    assert publish(third, base, version=3).version == 3
    assert publish(_with_other_content(third, "fourth"), base).version == 8
    with pytest.raises(UsageError, match=r"never replaced.*Received: 3"):
        publish(third, base, version=3)


def test_the_base_path_may_be_on_another_file_system(exported, tmp_path):
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system here")
    with tempfile.TemporaryDirectory(dir=memory) as base:
        published = publish(exported.savedmodel, Path(base) / "colours")
        assert _sizes(Path(published.path)) == _sizes(exported.savedmodel)


def test_what_is_no_saved_model_is_refused(small_run, tmp_path):
    with pytest.raises(ModelFileError, match="only a SavedModel"):
        publish(small_run, tmp_path / "base")
    assert not (tmp_path / "base").exists()


def test_nothing_but_its_own_files_is_published(saved_model, tmp_path):
    (tmp_path / "secret").write_text("secret")
    (saved_model / "variables" / "same").symlink_to("variables.index")
    write_sums(saved_model)
    (saved_model / "odd").symlink_to(tmp_path / "secret")
    with pytest.raises(ModelFileError, match="has a link that leads outside of it: odd"):
        publish(saved_model, tmp_path / "base")
    (saved_model / "odd").unlink()
    (saved_model / "odd").symlink_to("nowhere")
    with pytest.raises(ModelFileError, match="odd cannot be published: a broken link"):
        publish(saved_model, tmp_path / "base")
    (saved_model / "odd").unlink()
    os.mkfifo(saved_model / "odd")
    with pytest.raises(ModelFileError, match="odd cannot be published: a named pipe, not a file"):
        publish(saved_model, tmp_path / "base")
    (saved_model / "odd").unlink()
    with pytest.raises(UsageError, match="cannot be published into itself"):
        publish(saved_model, saved_model / "versions")
    assert not (tmp_path / "base").exists() and not (saved_model / "versions").exists()


def test_a_publish_that_fails_leaves_nothing_behind(saved_model, tmp_path, monkeypatch):
    base = tmp_path / "colours"
    publish(saved_model, base)

    def fail(file, place):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("shutil.copyfile", fail)
    with pytest.raises(TfftError, match="cannot write"):
        publish(_with_other_content(saved_model, "other"), base)
    assert _names(base) == [".tfft-publish-lock", "1"]


@pytest.mark.slow
@pytest.mark.parametrize("publishes", [12, pytest.param(200, marks=pytest.mark.full)])
def test_a_polling_reader_never_sees_half_a_version(saved_model, tmp_path, publishes: int):
    base = tmp_path / "colours"
    base.mkdir()
    reader = subprocess.Popen(
        [sys.executable, "-c", _POLL, str(base)], stdout=subprocess.PIPE, text=True
    )
    assert reader.stdout is not None
    assert reader.stdout.readline() == "polling\n"
    first = Path(shutil.copytree(saved_model, tmp_path / "first"))
    second = _with_other_content(saved_model, "{}")
    for step in range(publishes):
        if step % 4 < 2:
            publish((first, second)[step % 4], base)
        else:
            roll_back(base, to=step - 1)
    (base / "stop").touch()
    report = json.loads(reader.communicate(timeout=60)[0])
    assert sorted(report["seen"], key=int) == [str(n) for n in range(1, publishes + 1)]
    assert report["polls"] > publishes
    whole = [_sizes(first), _sizes(second)]
    halves = {number for number, files in report["seen"].items() if files not in whole}
    assert halves == set()


@pytest.mark.slow
def test_killed_at_each_step_it_leaves_whole_versions_only(saved_model, tmp_path):
    base = tmp_path / "colours"
    publish(_with_other_content(saved_model, "000000"), base)
    done = subprocess.run(
        [sys.executable, "-c", _KILLED_AT_EACH_STEP, str(saved_model), str(base)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert int(done.stdout) > 3 * len(_sizes(saved_model))  # each is opened often, and synced
    versions = [name for name in _names(base) if name.isdecimal()]
    assert len(versions) > 2  # the last, and those that were killed after they were renamed
    for name in versions:
        assert _sizes(base / name) == _sizes(saved_model)
    assert _names(base) == [".tfft-publish-lock", *versions]


@pytest.mark.slow
def test_killed_while_it_copies_the_old_version_stays_whole_and_the_next_cleans_up(
    saved_model, tmp_path
):
    base = tmp_path / "colours"
    publish(saved_model, base)
    old = _sizes(base / "1")
    (saved_model / "assets.extra" / "large").write_bytes(bytes(64 << 20))
    write_sums(saved_model)
    publisher = _publish_in_a_process(saved_model, base)
    started = time.monotonic()
    while not list(base.glob(".tfft-publish-*/assets.extra/large")):
        assert publisher.poll() is None, "it ended before it could be killed"
        assert time.monotonic() - started < 60
    publisher.send_signal(signal.SIGKILL)
    assert publisher.wait(timeout=60) == -signal.SIGKILL
    left_over = list(base.glob(".tfft-publish-*/"))
    assert len(left_over) == 1
    assert [name for name in _names(base) if name.isdecimal()] == ["1"]
    assert _sizes(base / "1") == old
    assert publish(saved_model, base).version == 2
    assert _sizes(base / "2") == _sizes(saved_model)
    assert _names(base) == [".tfft-publish-lock", "1", "2"]


@pytest.mark.slow
def test_publishers_wait_for_each_other(saved_model, tmp_path):
    base = tmp_path / "colours"
    sources = [Path(shutil.copytree(saved_model, tmp_path / str(n) / "1")) for n in range(3)]
    publishers = [
        _publish_in_a_process(_with_other_content(source, str(number)), base)
        for number, source in enumerate(sources)
    ]
    assert [publisher.wait(timeout=60) for publisher in publishers] == [0, 0, 0]
    assert _names(base) == [".tfft-publish-lock", "1", "2", "3"]
