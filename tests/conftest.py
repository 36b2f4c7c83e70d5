"""What all tests share: where the real data are, and a cache that is the test run's own."""

import ctypes
import errno
import gc
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A busy machine is no fault of the code.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

# What is imported and collected stays: looking for garbage there takes a tenth of the time.
gc.disable()
# Before a test imports TensorFlow on its own.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# oneDNN keeps what it once allocated for the process; the system's allocator gives it back.
os.environ.setdefault("TF_ONEDNN_USE_SYSTEM_ALLOCATOR", "1")

if sys.platform == "linux":
    # glibc's M_ARENA_MAX, M_MMAP_THRESHOLD and M_TRIM_THRESHOLD: what large tensors took goes back
    # when they are freed, and what small ones took is used again without new pages.
    for parameter, value in ((-8, 2), (-3, 1 << 25), (-1, 1 << 27)):
        ctypes.CDLL(None).mallopt(parameter, value)

_TESTS = Path(__file__).resolve().parent
_DEFAULT_SHARED_DATA = _TESTS.parents[1] / "shared" / "data"
# They come first, so that no process is left with minutes of work when the others have ended:
# pytest-xdist, told by `--no-loadscope-reorder`, hands out files in the order of collection.
_LONGEST = (
    "transfer/test_cached_equals_uncached.py",
    "backbones/test_every_application.py",
    "backbones/test_applications_train.py",
    "transfer/test_train.py",
    "cli/test_walkthrough.py",
    "transfer/test_kill.py",
    "test_same_answers_everywhere.py",
    "backbones/test_own_models.py",
    "studies/test_tune.py",
    "backbones/test_keras_hub.py",
    "test_on_dogs.py",
    "studies/test_compare.py",
    "transfer/test_hub_run.py",
    "exports/test_export.py",
    "transfer/test_multi_task.py",
    "transfer/test_adapter_run.py",
    "transfer/test_cached_runs.py",
    "data/test_pipeline.py",
    "exports/test_tflite_family.py",
)
# Growth of resident memory since the last full collection that is worth the second of another.
_MUCH_MEMORY_BYTES = 0.4e9
_MEMORY_THEN = pytest.StashKey[int]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the files that take longest first; the others stay in their order."""
    places = {str(_TESTS / name): place for place, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: places.get(str(item.path), len(places)))


def pytest_collection_finish() -> None:
    """Spares each garbage collection to come what was imported, which stays to the end."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """After tests that took much memory, gives it back: models are circles, which stay long."""
    if sys.platform != "linux":
        return
    stash, now = item.config.stash, _resident_bytes()
    before = min(stash.get(_MEMORY_THEN, now), now)
    if now > before + _MUCH_MEMORY_BYTES:
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        before = _resident_bytes()
    stash[_MEMORY_THEN] = before


def _resident_bytes() -> int:
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The directory of real photos and weights; skips where it is absent."""
    path = Path(os.environ.get("TFFT_SHARED_DATA", _DEFAULT_SHARED_DATA))
    if not path.is_dir():
        pytest.skip(f"real photos and weights are not here: {path} (set TFFT_SHARED_DATA)")
    return path


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Points tfft's caches at a directory of this test run."""
    path = tmp_path_factory.mktemp("tfft-cache")
    before = os.environ.get("TFFT_CACHE_DIR")
    os.environ["TFFT_CACHE_DIR"] = str(path)
    # Each small model would be converted at the end of its training; tests of that take this back.
    os.environ.setdefault("TFFT_ENGINE", "keras")
    yield path
    if before is None:
        del os.environ["TFFT_CACHE_DIR"]
    else:
        os.environ["TFFT_CACHE_DIR"] = before


@pytest.fixture
def unlistable(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], Path]:
    """Returns a function that makes a folder nobody may list, root included."""
    closed: set[str] = set()
    scandir = os.scandir

    def scan(path: str = ".") -> object:
        if os.path.realpath(path) in closed:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    def close(folder: Path) -> Path:
        folder.mkdir(exist_ok=True)
        closed.add(os.path.realpath(folder))
        return folder

    monkeypatch.setattr(os, "scandir", scan)
    return close


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 24 pictures of three classes, in every kind of file."""
    from small_run import write_pictures

    return write_pictures(tmp_path_factory.mktemp("pictures") / "colours")


@pytest.fixture(scope="session")
def small_run(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory over `pictures`."""
    from small_run import write_run

    return write_run(tmp_path_factory.mktemp("small") / "run", pictures)


@pytest.fixture(scope="session")
def small_keras(small_run: Path):
    """The model of `small_run`, loaded once: what every other form of it is compared with."""
    from tfft.runtime.load import load_predictor

    return load_predictor(small_run)


@pytest.fixture(scope="session")
def exported(small_run: Path, tmp_path_factory: pytest.TempPathFactory):
    """The export of `small_run`, made once."""
    from tfft.exports.export import export

    place = tmp_path_factory.mktemp("small") / "saved_models"
    return export(small_run, output=place, tflite={"timed": False})
