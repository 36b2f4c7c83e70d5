"""Which exports a run has: kept in its ``run.json``."""

from collections.abc import Mapping
from pathlib import Path

from tfft.system.files import read_json
from tfft.transfer.run import Run, record


def record_export(run: Path, files: Mapping[str, Path]) -> None:
    """Adds exported files to a run's record.

    Args:
        run: the run directory.
        files: ``savedmodel``, and the precisions of TFLite, to where they lie.
    """
    entry = {name: str(path.absolute()) for name, path in files.items()}
    opened = Run(run, {})
    before = read_json(opened.record_file).get("exports", [])
    record(opened, exports=[*before, entry])


def recorded_exports(run: Path) -> list[dict[str, Path]]:
    """Returns the exports of a run that are still there, newest first."""
    entries = read_json(Run(run, {}).record_file).get("exports", [])
    found = [
        {name: Path(path) for name, path in entry.items() if Path(path).exists()}
        for entry in reversed(entries)
    ]
    return [entry for entry in found if entry]
