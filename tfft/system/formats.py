"""The numbers of the formats of what tfft writes, and the one reader of each older number.

Each file says ``"format": N``; one that says nothing is of format 0, from before there were
numbers. Whoever reads it gets the values as the current format has them. Where a format changes,
its number grows by one: add a reader of the number before it here, and files of that number to
``tests/old_formats``.

A key that is not known is passed over where a file only describes, so that it may be added without
a new number. What decides how a training goes on, recipes and checkpoints, stays strict.
"""

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from tfft.errors import ModelFileError, NewerFormatError
from tfft.system.files import read_json, write_json
from tfft.version import __version__

KEY = "format"
Reader = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class Format:
    """The format of one kind of file.

    Attributes:
        what: What such a file is, for messages: ``"the record of a run"``.
        readers: By number, the reader that turns the values of that format into those of the next.
    """

    what: str
    readers: tuple[Reader, ...]

    @property
    def number(self) -> int:
        """The current number: that of what is written."""
        return len(self.readers)

    def stamped(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Returns values with the number, which comes first, as they are written."""
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
        for reader in self.readers[number:]:
            current = reader(current)
        return current

    def read(self, path: Path) -> dict[str, Any]:
        """Reads a JSON file; see `upgraded`.

        Raises:
            NewerFormatError: A newer version of tfft wrote it.
            TfftError: It is missing, unreadable, not JSON or not of this kind.
        """
        return self.upgraded(read_json(path), path)

    def read_if_there(self, path: Path) -> dict[str, Any]:
        """Reads a JSON file as `read` does; no values where there is no file."""
        return self.read(path) if path.is_file() else {}

    def write(self, path: Path, values: Mapping[str, Any]) -> None:
        """Writes values with the number as a JSON file, whole or not at all."""
        write_json(path, self.stamped(values))


def known(described: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns those of `values` that a dataclass has fields for."""
    names = {field.name for field in fields(described)}
    return {name: value for name, value in values.items() if name in names}


def _same(values: dict[str, Any]) -> dict[str, Any]:
    """Reads format 0 where it differs from format 1 by the number only."""
    return values


def _model_of_input(values: dict[str, Any]) -> dict[str, Any]:
    """Reads format 0 of a model's description: there were images only, below `pixels`."""
    if "pixels" in values:
        values["input"] = {"kind": "image", **values.pop("pixels")}
    return values


def _below_outputs(values: dict[str, Any]) -> dict[str, Any]:
    """Reads format 0 of answers before a refit: arrays had the bare names of their heads."""
    return {f"outputs/{head}": answers for head, answers in values.items()}


# run.json; its recipe.yaml is a recipe, whose renamed keys `config.loading` reads.
RUN = Format("the record of a run", (_same,))
PLAN = Format("the freeze plan of a run", (_same,))
METRICS = Format("the metrics of a run", (_same,))
BACKBONE = Format("the record of a run's backbone", (_same,))
# model.json, and tfft.json inside exports.
MODEL = Format("the description of a model", (_model_of_input,))
CHECKPOINT = Format("a checkpoint", (_same,))
BEFORE_REFIT = Format("the answers before a refit", (_below_outputs,))
ANSWERS = Format("the kept answers of a model", (_same,))
EVALUATION = Format("an evaluation", (_same,))
CALIBRATION = Format("a calibration", (_same,))
CACHE_ENTRY = Format("an entry of the cache", (_same,))
# study.json, which says that a directory is a study, and what studies leave in it.
STUDY = Format("a study", (_same,))
COST = Format("the cost of a run", (_same,))
