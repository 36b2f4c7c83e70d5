"""One bit changed, or the end cut off: a file is read right, or refused by a message that names it.

Each reader works in a process of its own, so that damage that ends it is seen.
"""

import os
import random
import shutil
import tarfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from forked import PROCESSES
from tally import tally

from tfft.errors import TfftError

pytestmark = pytest.mark.slow
_SAMPLE = 30
_LONGEST_MESSAGE = 1_500


@dataclass(frozen=True)
class Made:
    """What the test run has made once: a run, its SavedModel and its TFLite file."""

    run: Path
    savedmodel: Path
    tflite: Path


@dataclass(frozen=True)
class Reader:
    """A file that tfft reads.

    Attributes:
        kind: Kind of the row in the page about reliability.
        what: What the file is, for that page.
        make: Function that makes the file below an empty directory.
        file: Place of the file below it.
        read: Function that reads it.
        full: Number of damaged files in the full suite.
        is_exact: Whether what is read must be right: the file has a checksum.
        absent: Whether reading may answer None, as if there were no file.
    """

    kind: str
    what: str
    make: Callable[[Path, Made], object]
    file: str
    read: Callable[[Path], Any]
    full: int = 1_000
    is_exact: bool = True
    absent: bool = False


def _pixels() -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)


def _copy(what: str) -> Callable[[Path, Made], object]:
    def copy(place: Path, made: Made) -> None:
        source: Path = getattr(made, what)
        if source.is_dir():
            shutil.copytree(source, place / source.name)
        else:
            shutil.copyfile(source, place / source.name)

    return copy


def _answers(name: str) -> Callable[[Path], Any]:
    def answers(place: Path) -> Any:
        from tfft.runtime.load import load_predictor

        return load_predictor(place / name).answers(_pixels())

    return answers


def _info(name: str) -> Callable[[Path], Any]:
    def info(place: Path) -> Any:
        from tfft.runtime.load import read_model_info

        return read_model_info(place / name)

    return info


def _make_described(place: Path, made: Made) -> None:
    from tfft.system.files import read_json
    from tfft.system.formats import MODEL

    _copy("run")(place, made)
    MODEL.write(place / "run" / "model.json", read_json(place / "run" / "model.json"))


_PHASE = {"number": 1, "config": {"solver": "linear"}, "trained_parameters": 30, "cached": True}
_RECORDS: dict[str, dict[str, Any]] = {
    "RUN": {"status": "finished", "data": {"fingerprint": "5e", "images": {"train": 12}}},
    "PLAN": {"images": {"train": 12}, "blocks": [], "heads": [], "phases": [_PHASE]},
    "METRICS": {"validation": {"label": {"top1": 0.75}}, "best": {"phase": 1, "epoch": 3}},
    "CHECKS": {"TFLite float32": {"images": 12, "heads": {"label": {"top1": 0.75}}}},
    "COST": {"seconds": 30.5, "cpu_seconds": 50.0, "peak_memory_mb": 900, "finished": True},
    "STUDY": {"tfft": "0.1.0"},
}


def _make_records(place: Path, made: Made) -> None:
    from tfft.system import formats

    for name, values in _RECORDS.items():
        getattr(formats, name).write(place / f"{name}.json", values)


def _record(name: str) -> Callable[[Path], Any]:
    def read(place: Path) -> Any:
        from tfft.system import formats

        found = getattr(formats, name).read(place / f"{name}.json")
        # A key that is not known is passed over: the checksum's, where the damage is in its name.
        return {key: found[key] for key in _RECORDS[name]}

    return read


def _make_history(place: Path, made: Made) -> None:
    from tfft.runs.history import history_digest
    from tfft.system.formats import METRICS, RUN

    rows = ["phase,epoch,validation/label/top1,seconds", "1,1,0.5,2.25", "1,2,0.625,", "2,1,0.75,9"]
    (place / "history.csv").write_text("\n".join(rows) + "\n")
    RUN.write(place / "run.json", {"status": "finished"})
    METRICS.write(place / "metrics.json", {"history_sha256": history_digest(place)})


def _history(place: Path) -> Any:
    from tfft.runs.history import read_history

    return read_history(place)


def _checkpoints(place: Path) -> Any:
    import keras

    from tfft.transfer.checkpoints import Checkpoints

    weights = [keras.Variable(np.zeros((20, 3), np.float32)), keras.Variable(np.zeros(3))]
    return Checkpoints(place, weights[:1], weights[1:]), weights


def _make_checkpoint(place: Path, made: Made) -> None:
    from tfft.transfer.checkpoints import TrainingState

    checkpoints, weights = _checkpoints(place)
    weights[0].assign(np.random.default_rng(0).normal(size=(20, 3)))
    checkpoints.save(TrainingState(phase=1, epoch=2, history=[{"phase": 1, "loss": 0.5}]))


def _checkpoint(place: Path) -> Any:
    checkpoints, weights = _checkpoints(place)
    return checkpoints.restore(), [weight.numpy() for weight in weights]


def _make_answers(place: Path, made: Made) -> None:
    from tfft.evaluation.answers import Answers, save_answers

    numbers = np.random.default_rng(0).uniform(size=(12, 3)).astype(np.float32)
    ids = np.array([f"red/{number}.png" for number in range(12)])
    save_answers(place, "test", Answers(ids, {"label": np.arange(12)}, {"label": numbers}, "key"))


def _kept_answers(place: Path) -> Any:
    from tfft.evaluation.answers import load_answers

    return vars(load_answers(place, "test"))


def _content() -> Any:
    from tfft.cache.segment import Content

    return Content({"weights": "a"}, {"what": "a"}, [(6,), ()])


def _keys() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (40, 32), dtype=np.uint8)


def _make_entry(place: Path, made: Made) -> None:
    from tfft.cache.store import activation_directory, try_rows

    def fill(writers: Any) -> None:
        numbers = np.random.default_rng(0).normal(size=(40, 6))
        writers[0].append(numbers)
        writers[1].append(numbers[:, 0])

    assert try_rows(_content(), _keys(), fill, max_bytes=1e9)
    (entry,) = activation_directory().iterdir()
    entry.rename(place / "entry")


def _entry(place: Path) -> Any:
    """Opens the entry, which is removed where it is damaged, from a copy of it."""
    from tfft.cache.keys import comparable
    from tfft.cache.store import activation_directory, open_rows

    there = activation_directory() / _content().segment_name(comparable(_keys()))
    shutil.rmtree(there, ignore_errors=True)
    shutil.copytree(place / "entry", there)
    rows = open_rows(_content(), _keys())
    if len(rows.missing):
        assert len(rows.missing) == 40
        return None
    found = [tensor[:] for tensor in rows.tensors]
    rows.close()
    return found


def _make_converted(place: Path, made: Made) -> None:
    from tfft.cache.converted import Conversion, converted_directory, keep_conversion

    content = np.random.default_rng(0).bytes(20_000)
    keep_conversion("key", Conversion(content, ("label", "box")), {"what": "converted model"})
    (converted_directory() / "key").rename(place / "entry")


def _converted(place: Path) -> Any:
    """Reads the entry, which is removed where it is damaged, from a copy of it."""
    from tfft.cache.converted import converted_directory, kept_conversion

    there = converted_directory() / "key"
    shutil.rmtree(there, ignore_errors=True)
    shutil.copytree(place / "entry", there)
    found = kept_conversion("key")
    if found is None:
        assert not there.exists()
        return None
    return vars(found)


def _make_module(place: Path, made: Made) -> None:
    from hub_modules import save_module, small_network

    save_module(small_network(), place / "module", "signature")


def _make_archive(place: Path, made: Made) -> None:
    _make_module(place, made)
    with tarfile.open(place / "module.tar.gz", "w:gz") as archive:
        archive.add(place / "module", "module")


def _module(name: str) -> Callable[[Path], Any]:
    def read(place: Path) -> Any:
        from tfft.backbones.build import build_backbone
        from tfft.config.model import HubBackbone

        config = HubBackbone(kind="hub", handle=str(place / name))
        return build_backbone(config, 24, 0).model(_pixels()[:, :24, :24] / 255).numpy()

    return read


def _make_set(place: Path, made: Made) -> None:
    from tfft.data.sources.tfds_quiet import quiet_preparation, tensorflow_datasets

    tfds = tensorflow_datasets()

    class TfftDamagedSquares(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # pyright: ignore[reportGeneralTypeIssues, reportCallIssue]
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            features = {
                "image": tfds.features.Image(shape=(8, 8, 1)),
                "label": tfds.features.ClassLabel(names=["dark", "light"]),
            }
            return tfds.core.DatasetInfo(
                builder=self,
                features=tfds.features.FeaturesDict(features),
                supervised_keys=("image", "label"),
            )

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples()}

        def _generate_examples(self):
            for number in range(12):
                image = np.full((8, 8, 1), number * 20, np.uint8)
                yield number, {"image": image, "label": int(number > 5)}

    with quiet_preparation():
        TfftDamagedSquares(data_dir=str(place)).download_and_prepare()
    (prepared,) = place.glob("tfft_damaged_squares/1.0.0")
    prepared.rename(place / "set")
    (place / "set" / "records").symlink_to(next((place / "set").glob("*.tfrecord*")))


def _set(place: Path) -> Any:
    from tfft.config.data import TfdsData
    from tfft.data.sources import tfds_source
    from tfft.data.sources.tfds_quiet import tensorflow_datasets
    from tfft.system.progress import SILENT

    tfds = tensorflow_datasets()
    config = TfdsData(kind="tfds", name="tfft_damaged_squares", test_split=None)
    with tfds_source._reading_set(config.name, place):
        builder = tfds.builder_from_directory(place / "set")
    source = tfds_source._listed(builder, config, SILENT)
    images = [source.index.read(number) for number in range(len(source.index))]
    return images, source.index.targets["label"], source.class_names


def _make_search(place: Path, made: Made) -> None:
    study = _open_search(place)
    for rate in (0.1, 0.2, 0.3):
        trial = study.ask()
        trial.suggest_float("rate", rate, 1.0)
        trial.set_user_attr("values", {"rate": rate})
        study.tell(trial, rate)


def _open_search(place: Path) -> Any:
    import optuna

    from tfft.config.tune import TuneConfig
    from tfft.studies.tune import _open_study

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return _open_study(optuna, place, TuneConfig())


def _search(place: Path) -> Any:
    return [trial.value for trial in _open_search(place).get_trials()]


def _make_weights(name: str) -> Callable[[Path, Made], object]:
    def make(place: Path, made: Made) -> None:
        from backbones.test_weights_loading import small_model, values_of, write_keras2

        model = small_model()
        if name == "keras2.h5":
            write_keras2(place / name, values_of(model))
        elif name.endswith(".npz"):
            np.savez(place / name, **{weight.path: weight.numpy() for weight in model.weights})
        else:
            model.save_weights(place / name)

    return make


def _weights(name: str) -> Callable[[Path], Any]:
    def read(place: Path) -> Any:
        from backbones.test_weights_loading import small_model

        from tfft.backbones.weights_loading import load_weights_file

        model = small_model()
        load_weights_file(model, place / name)
        return model.get_weights()

    return read


def _make_torch(place: Path, made: Made) -> None:
    from backbones.test_torch_file import Storage, tensor, torch_file

    storage = Storage("0", 12)
    tensors = {"whole": tensor(storage, 0, (3, 4), (4, 1)), "row": tensor(storage, 4, (4,), (1,))}
    content = torch_file(tensors, {"0": np.arange(12, dtype="<f4")})
    (place / "weights.pth").write_bytes(content)


def _torch(place: Path) -> Any:
    from tfft.backbones.lite.torch_file import read_torch_arrays

    try:
        return read_torch_arrays((place / "weights.pth").read_bytes())
    except TfftError as error:  # whoever reads a file names it
        raise TfftError(f"{place}: {error}") from error


def _make_recipe(place: Path, made: Made) -> None:
    shutil.copyfile(made.run / "recipe.yaml", place / "recipe.yaml")


def _recipe(place: Path) -> Any:
    from tfft.config.loading.load import load_recipe

    return load_recipe(place / "recipe.yaml")


_MODULE_GRAPH = "module/saved_model.pb"
_VARIABLES = "variables/variables"
READERS = {
    "model.keras": Reader(
        "models", "a run's `model.keras`", _copy("run"), "run/model.keras", _answers("run")
    ),
    "model.json": Reader("runs", "`model.json`", _make_described, "run/model.json", _info("run")),
    "graph": Reader(
        "models", "`saved_model.pb`", _copy("savedmodel"), "1/saved_model.pb", _answers("1")
    ),
    "index": Reader(
        "models",
        "`variables.index`",
        _copy("savedmodel"),
        f"1/{_VARIABLES}.index",
        _answers("1"),
        full=200,
    ),
    "values": Reader(
        "models",
        "`variables.data`",
        _copy("savedmodel"),
        f"1/{_VARIABLES}.data-00000-of-00001",
        _answers("1"),
        full=200,
    ),
    "tfft.json": Reader(
        "models",
        "`tfft.json` of a SavedModel",
        _copy("savedmodel"),
        "1/assets.extra/tfft.json",
        _info("1"),
    ),
    "tflite": Reader(
        "models",
        "a `.tflite` file",
        _copy("tflite"),
        "colours_float32.tflite",
        _answers("colours_float32.tflite"),
    ),
    "history": Reader("runs", "`history.csv`", _make_history, "history.csv", _history),
    "checkpoint": Reader("runs", "a checkpoint", _make_checkpoint, "state-000001.npz", _checkpoint),
    "answers": Reader("runs", "kept answers", _make_answers, "evaluation/test.npz", _kept_answers),
    **{
        name: Reader(
            "weights",
            f"a weights file ({ending})",
            _make_weights(name),
            name,
            _weights(name),
            is_exact=name.endswith(".npz"),
        )
        for name, ending in {
            "keras2.h5": "`.h5`",
            "keras3.weights.h5": "`.weights.h5`",
            "keras3.npz": "`.npz`",
        }.items()
    },
    "torch": Reader("weights", "a torch file", _make_torch, "weights.pth", _torch, is_exact=False),
    "recipe": Reader(
        "recipes", "a run's `recipe.yaml`", _make_recipe, "recipe.yaml", _recipe, is_exact=False
    ),
    "cache record": Reader(
        "caches",
        "the record of a cache entry",
        _make_entry,
        "entry/entry.json",
        _entry,
        absent=True,
    ),
    "cache rows": Reader(
        "caches",
        "the list of rows of a cache entry",
        _make_entry,
        "entry/rows.npz",
        _entry,
        absent=True,
    ),
    "cache tensor": Reader(
        "caches", "a tensor of a cache entry", _make_entry, "entry/0.npy", _entry, absent=True
    ),
    **{
        f"converted {name}": Reader(
            "caches", what, _make_converted, f"entry/{file}", _converted, absent=True
        )
        for name, what, file in (
            ("model", "a converted model of the cache", "model.tflite"),
            ("record", "the record of a converted model", "entry.json"),
        )
    },
    "module": Reader(
        "models",
        "a module of TF Hub",
        _make_module,
        _MODULE_GRAPH,
        _module("module"),
        full=200,
        is_exact=False,
    ),
    "archive": Reader(
        "models", "an archive of a module", _make_archive, "module.tar.gz", _module("module.tar.gz")
    ),
    "records": Reader("data", "TFRecords of a prepared set", _make_set, "set/records", _set),
    "set": Reader(
        "data",
        "`dataset_info.json` of a prepared set",
        _make_set,
        "set/dataset_info.json",
        _set,
        is_exact=False,
    ),
    "features": Reader(
        "data",
        "`features.json` of a prepared set",
        _make_set,
        "set/features.json",
        _set,
        is_exact=False,
    ),
    "search": Reader(
        "runs",
        "the record of a search",
        _make_search,
        "trials.db",
        _search,
        full=300,
        is_exact=False,
    ),
    **{
        f"{name}.json": Reader(
            "runs", f"`{name.lower()}.json`", _make_records, f"{name}.json", _record(name)
        )
        for name in ("RUN", "PLAN", "METRICS", "CHECKS", "COST", "STUDY")
    },
}


def damaged(content: bytes, seed: int) -> bytes:
    """The content with one bit changed, or a part of it."""
    draw = random.Random(seed)
    place = draw.randrange(len(content))
    if seed % 2:
        return content[:place]
    return content[:place] + bytes([content[place] ^ 1 << draw.randrange(8)]) + content[place + 1 :]


def same(found: Any, right: Any) -> bool:
    if isinstance(right, dict):
        return found.keys() == right.keys() and all(same(found[k], right[k]) for k in right)
    if isinstance(right, list | tuple):
        return len(found) == len(right) and all(map(same, found, right))
    return np.array_equal(found, right) if isinstance(right, np.ndarray) else found == right


def try_damages(name: str, place: Path, made: Made, count: int) -> int:
    """Damages the file again and again, and returns how often the promise held.

    Raises:
        AssertionError: It did not; the message says with which damage.
    """
    os.environ["TFFT_CACHE_DIR"] = str(place)
    reader = READERS[name]
    reader.make(place, made)
    file = (place / reader.file).resolve()
    content, right = file.read_bytes(), reader.read(place)
    for seed in range(count):
        file.write_bytes(damaged(content, seed))
        try:
            found = reader.read(place)
        except TfftError as error:
            named = str(place) in str(error) or "module@" in str(error)
            assert named, f"{name}, damage {seed}: {error}"
            assert len(str(error)) < _LONGEST_MESSAGE, f"{name}, damage {seed}: {error}"
        except Exception as error:
            raise AssertionError(f"{name}, damage {seed}: {error!r}") from error
        else:
            is_right = same(found, right) if found is not None else reader.absent
            assert is_right or not reader.is_exact, f"{name}, damage {seed}: read {found}"
    return count


@pytest.mark.parametrize("size", ["sample", pytest.param("full", marks=pytest.mark.full)])
@pytest.mark.parametrize("name", READERS)
def test_damage_is_a_message_with_the_name_of_the_file(name, size, small_run, exported, tmp_path):
    if name == "search":
        pytest.importorskip("optuna")
    reader = READERS[name]
    made = Made(small_run, exported.savedmodel, exported.tflite["float32"])
    count = _SAMPLE if size == "sample" else reader.full
    with ProcessPoolExecutor(1, PROCESSES) as pool:
        held = pool.submit(try_damages, name, tmp_path, made, count).result()
    answer = "read right, or refused by name" if reader.is_exact else "read, or refused by name"
    promise = f"With one bit changed or its end cut off, {reader.what} is {answer}."
    tally(reader.kind, promise, tried=count, held=held)
