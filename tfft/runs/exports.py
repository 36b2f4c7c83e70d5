"""The exports of a run, kept in its ``run.json``."""

from collections.abc import Mapping
from pathlib import Path

from tfft.runs.run import Run, changed_record
from tfft.system.formats import RUN


def record_export(run: Path, files: Mapping[str, Path], beside: Path | None = None) -> None:
    """Adds exported files to a run's record.

    Args:
        run: Directory of the run.
        files: Path of each file, by ``savedmodel`` or the precision of the TFLite file.
        beside: SavedModel of the same export, if it is recorded already.
    """
    entry = {name: str(path.absolute()) for name, path in files.items()}
    with changed_record(Run(run)) as recorded:
        exports = recorded.setdefault("exports", [])
        place = None if beside is None else str(beside.absolute())
        same = [known for known in exports if place and known.get("savedmodel") == place]
        if same:
            same[-1].update(entry)
        elif entry:
            exports.append(entry)


def recorded_exports(run: Path) -> list[dict[str, Path]]:
    """Returns the exports of a run that still exist, newest first."""
    entries = RUN.read(Run(run).record_file).get("exports", [])
    found = [
        {name: Path(path) for name, path in entry.items() if Path(path).exists()}
        for entry in reversed(entries)
    ]
    return [entry for entry in found if entry]
