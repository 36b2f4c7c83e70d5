"""The exports of a run, kept in its ``run.json``."""

from collections.abc import Mapping
from pathlib import Path

from tfft.runs.run import Run, record
from tfft.system.formats import RUN


def record_export(run: Path, files: Mapping[str, Path], beside: Path | None = None) -> None:
    """Adds exported files to a run's record.

    Args:
        run: Directory of the run.
        files: Path of each file, by ``savedmodel`` or the precision of the TFLite file.
        beside: SavedModel of the same export, if it is recorded already.
    """
    entry = {name: str(path.absolute()) for name, path in files.items()}
    opened = Run(run)
    *before, last = [{}, *RUN.read(opened.record_file).get("exports", [])]
    same = beside is not None and last.get("savedmodel") == str(beside.absolute())
    entries = [*before, {**last, **entry}] if same else [*before, last, entry]
    record(opened, exports=[known for known in entries if known])


def recorded_exports(run: Path) -> list[dict[str, Path]]:
    """Returns the exports of a run that still exist, newest first."""
    entries = RUN.read(Run(run).record_file).get("exports", [])
    found = [
        {name: Path(path) for name, path in entry.items() if Path(path).exists()}
        for entry in reversed(entries)
    ]
    return [entry for entry in found if entry]
