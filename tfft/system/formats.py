"""The numbers of the formats of what tfft writes, and the one reader of each older number.

Each file says ``"format": N``; one that says nothing is of format 0, from before there were
numbers. Whoever reads it gets the values as the current format has them. Where a format changes,
its number grows by one: add a reader of the number before it here, and files of that number to
``tests/old_formats``.

A key that is not known is passed over where a file only describes, so that it may be added without
a new number. Nor does one change for a value that no older file has (`fit: letterbox`, sides that
differ): an older version refuses such a file and names the value, and reads all others. What
decides how a training goes on, recipes and checkpoints, stays strict.

A JSON file ends with the checksum of its values, so that no damage is read as a value. A file
without one, of an older version or by hand, is checked by what is read of it: the types of its
values are those below, and a value that is missing is an error that names the file.
"""

import json
import operator
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tfft.errors import ModelFileError, NewerFormatError
from tfft.system.files import read_json, write_json
from tfft.system.typed import typed
from tfft.version import __version__

KEY = "format"
CHECKSUM_KEY = "crc32"
Reader = Callable[[dict[str, Any]], dict[str, Any]]
Described = TypeVar("Described")


@dataclass(frozen=True)
class Format:
    """The format of one kind of file.

    Attributes:
        what: What such a file is, for messages: ``"the record of a run"``.
        readers: By number, the reader that turns the values of that format into those of the next.
        values: Dataclass with the types of the values that are read; others may be of any type.
    """

    what: str
    readers: tuple[Reader, ...]
    values: type = dict[str, Any]

    @property
    def number(self) -> int:
        """The number of the format in which files are written."""
        return len(self.readers)

    def stamped(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Returns values as they are written, with the number of the format first."""
        return {KEY: self.number, **values}

    def upgraded(self, values: Any, source: str | Path) -> dict[str, Any]:
        """Returns the values of any known format as the current one has them, without the number.

        Args:
            values: As read from `source`: JSON values, or arrays by name.
            source: The file or address that they are from, for messages.

        Raises:
            NewerFormatError: A newer version of tfft wrote them.
            ModelFileError: They are not of this kind.
        """
        if not isinstance(values, Mapping):
            raise ModelFileError(f"{source} is not {self.what}: it has no names for its values")
        current = dict(values)
        # A head of a model may have this name, where heads are not below a name of their own.
        named_so = getattr(current.get(KEY), "ndim", 0)
        try:
            number = 0 if named_so else operator.index(current.pop(KEY, 0))
            if number < 0:
                raise ValueError(number)
        except (TypeError, ValueError) as error:
            raise ModelFileError(f"{source} is not {self.what}: its format is no number") from error
        if number > self.number:
            raise NewerFormatError(
                f"{source} is {self.what} in format {number}; tfft {__version__} reads formats up "
                f"to {self.number}. Upgrade tfft: pip install --upgrade tfft"
            )
        _require_checksum(values, source)
        if isinstance(current.get(CHECKSUM_KEY), str):  # an array: a head of this name
            del current[CHECKSUM_KEY]
        for reader in self.readers[number:]:
            current = reader(current)
        return current

    def read(self, path: Path) -> dict[str, Any]:
        """Reads a JSON file; see `upgraded`.

        Returns:
            The values; a missing key, at any depth, raises a `ModelFileError` in place of a
            `KeyError`.

        Raises:
            NewerFormatError: A newer version of tfft wrote it.
            TfftError: It is missing, unreadable, not JSON, not of this kind, or damaged.
        """
        return self.checked(read_json(path), path)

    def checked(self, values: Any, source: str | Path) -> dict[str, Any]:
        """Does what `read` does, for JSON values that were read already."""
        current = self.upgraded(values, source)
        described(self.values, current, source, self.what)
        return _complete(current, source)

    def read_if_there(self, path: Path) -> dict[str, Any]:
        """Reads a JSON file as `read` does; no values where there is no file."""
        return self.read(path) if path.is_file() else {}

    def write(self, path: Path, values: Mapping[str, Any]) -> None:
        """Writes values with number and checksum as a JSON file, whole or not at all."""
        rest = {key: value for key, value in values.items() if key != CHECKSUM_KEY}
        stamped = json.loads(json.dumps(self.stamped(rest)))
        write_json(path, {**stamped, CHECKSUM_KEY: _checksum(stamped)})


def described(kind: type[Described], values: Any, source: str | Path, what: str) -> Described:
    """Makes a dataclass of JSON values; keys that it has no fields for are passed over.

    Args:
        kind: The dataclass; see `tfft.system.typed.typed`.
        values: JSON values.
        source: The file that they are from, for messages.
        what: What the file should be, for messages: ``"the record of a run"``.

    Raises:
        ModelFileError: A value is missing, or is of another type than its field.
    """
    try:
        return typed(kind, values)
    except ValueError as error:
        raise ModelFileError(f"{source} is damaged, or is not {what}: {error}") from error


class _Values(dict[str, Any]):
    """Values of a file, which names the file where one is missing."""

    source: str | Path = ""

    def __missing__(self, key: str) -> Any:
        raise ModelFileError(f"{self.source} is damaged: it has no {key!r}")


def _complete(value: Any, source: str | Path) -> Any:
    if isinstance(value, dict):
        values = _Values({key: _complete(part, source) for key, part in value.items()})
        values.source = source
        return values
    return [_complete(part, source) for part in value] if isinstance(value, list) else value


def _checksum(values: Mapping[str, Any]) -> str:
    return f"{zlib.crc32(json.dumps(values, sort_keys=True).encode()):08x}"


def _require_checksum(values: Mapping[str, Any], source: str | Path) -> None:
    """Requires of values with a checksum that it is theirs."""
    recorded = values.get(CHECKSUM_KEY)
    rest = {key: value for key, value in values.items() if key != CHECKSUM_KEY}
    if isinstance(recorded, str) and recorded != _checksum(rest):
        raise ModelFileError(
            f"{source} is damaged: its {CHECKSUM_KEY} is that of other values. Put back a copy or "
            f"make it again; if you changed it by hand, remove {CHECKSUM_KEY}"
        )


def _same(values: dict[str, Any]) -> dict[str, Any]:
    """Reads format 0 where it differs from format 1 by the number only."""
    return values


def _model_of_input(values: dict[str, Any]) -> dict[str, Any]:
    """Reads format 0 of a model's description: there were images only, below `pixels`."""
    if isinstance(values.get("pixels"), Mapping):
        values["input"] = {"kind": "image", **values.pop("pixels")}
    return values


def _below_outputs(values: dict[str, Any]) -> dict[str, Any]:
    """Reads format 0 of answers before a refit: arrays had the bare names of their heads."""
    return {f"outputs/{head}": answers for head, answers in values.items()}


# The types of the values that are read; a default stands for a value that may be missing.
@dataclass
class _Data:
    fingerprint: str
    images: dict[str, int]
    notes: list[str] = field(default_factory=list)


@dataclass
class _Run:
    status: str = ""
    data: _Data = field(default_factory=lambda: _Data("", {}))
    exports: list[dict[str, str]] = field(default_factory=list)
    command: str = ""
    started: str = ""
    finished: str = ""
    seed: int = 0
    splits_sha256: str = ""
    tfft: str = ""
    python: str = ""
    packages: dict[str, str | None] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=dict)
    engines: dict[str, str] = field(default_factory=dict)
    engine_differences: dict[str, dict[str, float]] = field(default_factory=dict)
    onednn: str = ""


@dataclass
class _Part:
    name: str
    parameters: int
    learning_rate_factor: float = 0.0


@dataclass
class _PhaseConfig:
    solver: str = ""
    epochs: int | None = None
    steps: int | None = None
    learning_rate: float | None = None
    refit: bool = False


@dataclass
class _Phase:
    number: int = 0
    config: _PhaseConfig = field(default_factory=_PhaseConfig)
    frozen_blocks: int = 0
    trained_by_block: list[int] = field(default_factory=list)
    trained_parameters: int = 0
    block_factors: list[float] = field(default_factory=list)
    head_factor: float = 0.0
    steps: int = 0
    cached: bool = False


@dataclass
class _Plan:
    images: dict[str, int] = field(default_factory=dict)
    blocks: list[_Part] = field(default_factory=list)
    heads: list[_Part] = field(default_factory=list)
    phases: list[_Phase] = field(default_factory=list)

    def __post_init__(self) -> None:
        for phase in self.phases if self.blocks else ():
            if not len(phase.trained_by_block) == len(phase.block_factors) == len(self.blocks):
                raise ValueError(f"phase {phase.number} is one of other blocks")


@dataclass
class _Place:
    phase: int = 0
    epoch: int = 0


@dataclass
class _Metrics:
    validation: dict[str, dict[str, float]] = field(default_factory=dict)
    best: _Place = field(default_factory=_Place)
    diagnosis: list[dict[str, Any]] = field(default_factory=list)
    history_sha256: str = ""


@dataclass
class _Block:
    name: str
    end: str


@dataclass
class _Backbone:
    model: str = ""
    kind: str = ""
    name: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)
    default_size_px: int | tuple[int, int] = 0
    min_size_px: int = 0
    preprocessing: str = ""
    parameters: int = 0
    feature_size: int = 0
    licence: str = ""
    source: str = ""
    blocks: list[_Block] = field(default_factory=list)


@dataclass
class _Head:
    class_names: list[str] = field(default_factory=list)


@dataclass
class _Model:
    heads: dict[str, _Head] = field(default_factory=dict)


@dataclass
class _Check:
    heads: dict[str, dict[str, Any]] = field(default_factory=dict)
    images: int = 0
    largest_difference: float = 0.0


@dataclass
class _Cost:
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_memory_mb: int = 0
    finished: bool = False


@dataclass
class _CacheEntry:
    about: dict[str, Any] = field(default_factory=dict)
    examples: int | None = None
    replaces: list[str] = field(default_factory=list)


@dataclass
class _Converted:
    bytes: int
    sha256: str
    outputs: list[str]
    reason: str
    about: dict[str, Any] = field(default_factory=dict)


@dataclass
class _AppliedEntry:
    state: str
    labels: str
    time: str
    removed_to: str
    folders: list[str]
    moves: list[tuple[str, str]]


@dataclass
class _AppliedLabels:
    entries: list[_AppliedEntry]


@dataclass
class _File:
    size: int
    sha256: str


@dataclass
class _Template:
    files: dict[str, _File]
    values: dict[str, Any]
    about: dict[str, Any] = field(default_factory=dict)


# run.json; its recipe.yaml is a recipe, whose renamed keys `config.loading` reads. Runs of format 2
# keep the split of each image (`data.kept_splits`), which the recipe alone says of older ones.
RUN = Format("the record of a run", (_same, _same), _Run)
PLAN = Format("the freeze plan of a run", (_same,), _Plan)
METRICS = Format("the metrics of a run", (_same,), _Metrics)
BACKBONE = Format("the record of a run's backbone", (_same,), _Backbone)
# model.json, and tfft.json inside exports.
MODEL = Format("the description of a model", (_model_of_input,), _Model)
CHECKPOINT = Format("a checkpoint", (_same,))
BEFORE_REFIT = Format("the answers before a refit", (_below_outputs,))
ANSWERS = Format("the kept answers of a model", (_same,))
EVALUATION = Format("an evaluation", (_same,))
CALIBRATION = Format("a calibration", (_same,))
# checks.json of an export, by form of the model.
CHECKS = Format("the checks of an export", (_same,), dict[str, _Check])
# Entries of format 1, tensors of a list of images, are listed and removed, and not used any more.
CACHE_ENTRY = Format("an entry of the cache", (_same, _same), _CacheEntry)
CONVERTED = Format("a converted model of the cache", (_same,), _Converted)
TEMPLATE = Format("a kept model of the cache", (_same,), _Template)
# study.json, which says that a directory is a study, and what studies leave in it.
STUDY = Format("a study", (_same,))
COST = Format("the cost of a run", (_same,), _Cost)
# What labels moved in a folder of photos.
APPLIED_LABELS = Format("the journal of applied labels", (_same,), _AppliedLabels)
