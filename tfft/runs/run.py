"""A run: the directory that holds everything about one training."""

import platform
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from itertools import count
from pathlib import Path
from typing import Any

from tfft.config.loading.load import dump_recipe, load_recipe
from tfft.config.recipe import Recipe
from tfft.data.dataset import ImageData
from tfft.data.kept_splits import FILE_NAME, KeptSplits, read_kept_splits
from tfft.errors import DataError, ModelFileError, TfftError, UsageError
from tfft.runs.finding import Finding
from tfft.runs.hold import LOCK_FILE, held, holder
from tfft.system.cells import cell, lines_html, metrics_html, text_html
from tfft.system.files import TEMPORARY, explained_os_errors, locked, write_text
from tfft.system.formats import METRICS, PLAN, RUN
from tfft.system.machine import processors
from tfft.system.readable import Readable, command_text, main_metrics, metric_lines
from tfft.version import __version__

_RECORDED_PACKAGES = ("tensorflow", "keras", "ai-edge-litert", "numpy", "scikit-learn")


@dataclass(frozen=True, repr=False)
class Run(Readable):
    """A run directory.

    Attributes:
        path: Directory of the run.
        metrics: Metrics of the kept weights on validation images, ``{head: {name: value}}``; empty
            until there are any.
        diagnosis: What the epochs show, such as overfitting.
        notes: Remarks about the images it was trained on.
    """

    path: Path
    metrics: dict[str, dict[str, float]] = field(default_factory=dict)
    diagnosis: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        metrics = main_metrics(self.metrics)
        following = f"tfft.evaluate({str(self.path)!r})"
        if not self.model_file.is_file():
            following = f"tfft.resume({str(self.path)!r})"
        return [
            f"{self.path}: {self.status}{metrics and ', ' + metrics}",
            *metric_lines(self.metrics),
            *(finding.text for finding in self.diagnosis),
            f"next: {following}",
        ]

    def _repr_html_(self) -> str:
        first, *_, last = self.lines()
        return cell(
            lines_html([first]),
            *(metrics_html(values, title=head) for head, values in self.metrics.items()),
            *(f"<p>{text_html(finding.text)}</p>" for finding in self.diagnosis),
            *(f"<p>{text_html(note)}</p>" for note in self.notes),
            f"<p>{text_html(last)}</p>",
        )

    def to_json(self) -> dict[str, Any]:
        """Returns what ``tfft train --json`` prints."""
        diagnosis = [finding.to_json() for finding in self.diagnosis]
        return {
            "run": str(self.path),
            "status": self.status,
            "metrics": self.metrics,
            "diagnosis": diagnosis,
            "notes": list(self.notes),
        }

    @property
    def status(self) -> str:
        """How far the run has come: one of these words.

        ``not started``; ``running``: a process trains it; ``finished``; ``interrupted``: stopped by
        Ctrl-C, SIGTERM or SIGHUP; ``killed``: its process ended without recording why;
        ``not finite``: a loss or a weight was NaN or infinite; ``failed``: an error ended it;
        ``unreadable``.
        """
        try:
            recorded = RUN.read_if_there(self.record_file).get("status", "not started")
        except TfftError:  # a run must have a representation in a console
            return "unreadable"
        if holder(self.path):
            return "running"
        return "killed" if recorded in ("started", "running") else str(recorded)

    @property
    def onednn(self) -> str | None:
        """Whether the last process that trained it computed with oneDNN: ``on`` or ``off``.

        None where the run does not say.
        """
        try:
            said = RUN.read_if_there(self.record_file).get("onednn", "")
        except TfftError:
            return None
        return said.split()[-1] if said else None

    @property
    def recipe_file(self) -> Path:
        return self.path / "recipe.yaml"

    @property
    def record_file(self) -> Path:
        return self.path / "run.json"

    @property
    def splits_file(self) -> Path:
        """The split of each image, which runs of format 1 and older do not keep."""
        return self.path / FILE_NAME

    def kept_splits(self) -> KeptSplits | None:
        """Returns the split of each image; None in runs of format 1 and older.

        Raises:
            DataError: The file that keeps it is damaged.
        """
        return read_kept_splits(self.splits_file) if self.splits_file.is_file() else None

    @property
    def plan_file(self) -> Path:
        return self.path / "plan.json"

    @property
    def model_file(self) -> Path:
        return self.path / "model.keras"

    @property
    def model_info_file(self) -> Path:
        return self.path / "model.json"

    @property
    def metrics_file(self) -> Path:
        return self.path / "metrics.json"

    @property
    def before_refit_file(self) -> Path:
        """Probabilities by head on validation images, before heads were refitted on them too."""
        return self.path / "validation_before_refit.npz"

    @property
    def calibration_file(self) -> Path:
        return self.path / "calibration.json"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"


@contextmanager
def new_run(recipe: Recipe, path: Path | None) -> Iterator[Run]:
    """Makes the directory of a new run, with its resolved recipe, versions and machine.

    This process holds the run until the context ends. A run that was killed while it was made is
    made again.

    Args:
        recipe: Resolved recipe.
        path: Directory. Default: ``runs/<name>``, or the first free ``runs/<name>-<n>``.

    Raises:
        UsageError: `path` is a file or a directory that is not empty, or another process holds it.
        TfftError: It cannot be written to.
    """
    with ExitStack() as stack:
        if path is not None:
            stack.enter_context(_claimed(path))
        run = Run(path or _claim_next(stack, Path("runs"), recipe.name))
        # In this order: a recipe alone might be a user's own file.
        RUN.write(run.record_file, {"status": "started", **_circumstances()})
        write_text(run.recipe_file, dump_recipe(recipe))
        yield run


def create_run(recipe: Recipe, path: Path | None) -> Run:
    """Makes the directory of a new run as `new_run` does, and holds it no longer."""
    with new_run(recipe, path) as run:
        return run


def open_run(path: Path) -> tuple[Run, Recipe]:
    """Opens a run that was started before.

    Raises:
        ModelFileError: `path` is not a run directory.
        NewerFormatError: A newer version of tfft made it.
    """
    run = require_run(path)
    RUN.read(run.record_file)  # before the recipe, which may have keys of a newer format
    return run, load_recipe(run.recipe_file)


def require_run(path: Path) -> Run:
    """Returns the run in a directory, finished or not.

    Raises:
        ModelFileError: `path` is not a run directory.
    """
    run = Run(Path(path))
    for file in (run.record_file, run.recipe_file):
        if not file.is_file():
            raise no_run(path, file.name)
    return run


def no_run(path: str | Path, missing: str = "") -> ModelFileError:
    """Returns the error for a path that was given as a run and is not one.

    Args:
        path: What was given.
        missing: Name of a file that every run has and `path` lacks; "" where `path` is a model of
            another kind.
    """
    lacks = f": it has no {missing}" if missing else ""
    return ModelFileError(
        f"{path} is not a run{lacks}. Give the directory that `tfft train` made, such as runs/NAME."
    )


def record(run: Run, **entries: Any) -> None:
    """Adds entries to ``run.json``."""
    with changed_record(run) as recorded:
        recorded.update(entries)


@contextmanager
def changed_record(run: Run) -> Iterator[dict[str, Any]]:
    """Yields the content of ``run.json`` to be changed, and writes it; other processes wait."""
    with locked(run.record_file):
        recorded = RUN.read(run.record_file)
        yield recorded
        RUN.write(run.record_file, recorded)


def record_engine(
    run: Run, phase: int, engine: str, difference: Mapping[str, Any] | None = None
) -> None:
    """Notes in ``run.json`` what computed the frozen part of a phase.

    Args:
        run: The run.
        phase: Number of the phase, 1 for the first.
        engine: Name of what computed it; of several, with commas between them.
        difference: How far that is from Keras, if it is more than rounding, as JSON values.
    """
    with changed_record(run) as recorded:
        recorded.setdefault("engines", {})[str(phase)] = engine
        if difference is not None:
            recorded.setdefault("engine_differences", {})[str(phase)] = dict(difference)


def ends_with_refit(best: Mapping[str, Any], plan: Mapping[str, Any]) -> bool:
    """Says whether the kept weights are of a phase that refits heads on the validation images.

    Args:
        best: Entry ``best`` of ``metrics.json``: phase and epoch of the kept weights, phase 0 being
            before all phases of the plan.
        plan: Content of ``plan.json``; empty if there is none.
    """
    number, phases = best.get("phase", 0), plan.get("phases", [])
    return 1 <= number <= len(phases) and bool(phases[number - 1]["config"].get("refit"))


def refits_validation(run: Run) -> bool:
    """Says whether the kept weights of a run were solved with its validation images too."""
    best = METRICS.read_if_there(run.metrics_file).get("best", {})
    return ends_with_refit(best, PLAN.read_if_there(run.plan_file))


def require_same_data(run: Run, data: ImageData) -> None:
    """Requires that the images are those that a run was started with.

    Raises:
        DataError: They are other images, or are split differently.
    """
    recorded = RUN.read(run.record_file).get("data")
    if recorded is not None and recorded["fingerprint"] != data.fingerprint():
        changes = data.changes.lines() if data.changes else []
        raise DataError(
            "\n".join(
                [
                    f"the images are not those that {run.path} was started with: they were "
                    f"{recorded['images']} and are {data.counts}, or their content or the names of "
                    "their classes changed. Put them back, or start a new run.",
                    *changes,
                ]
            )
        )


def require_free(path: Path, *, held: bool = False) -> None:
    """Requires that a new run can be made in a directory.

    Args:
        path: The directory; it need not exist.
        held: Whether this process holds it.

    Raises:
        UsageError: It is a file or a directory that is not empty, or another process holds it.
        TfftError: It cannot be listed.
    """
    with explained_os_errors(path):
        if not path.exists():
            return
        names = {file.name for file in path.iterdir()} if path.is_dir() else None
    if not held and (other := holder(path)):
        raise UsageError(
            f"{path} is held by {other}. Wait until it has ended, or choose another --run "
            "directory."
        )
    run = Run(path)
    if names is None or not _is_unmade(run, names):
        is_run = run.record_file.is_file() and run.recipe_file.is_file()
        resume = f", or go on with it: {command_text('train', '--resume', path)}" if is_run else ""
        raise UsageError(
            f"{path} exists already and is not replaced. Choose another --run directory"
            f"{resume or '.'}"
        )


def _is_unmade(run: Run, names: set[str]) -> bool:
    """Says whether a directory of these names is empty, or has only the beginning of a run."""
    left = {name for name in names if name != LOCK_FILE and TEMPORARY not in name}
    if left - {run.record_file.name}:
        return False
    try:
        return RUN.read_if_there(run.record_file).get("status", "started") == "started"
    except TfftError:
        return False


@contextmanager
def _claimed(path: Path) -> Iterator[None]:
    """Makes a directory for a new run, and holds it."""
    require_free(path)
    with explained_os_errors(path):
        path.mkdir(parents=True, exist_ok=True)
    with held(path):
        require_free(path, held=True)
        yield


def _claim_next(stack: ExitStack, parent: Path, name: str) -> Path:
    for number in count(1):
        path = parent / (name if number == 1 else f"{name}-{number}")
        try:
            stack.enter_context(_claimed(path))
        except UsageError:
            continue
        return path
    raise AssertionError("numbers do not end")


def _circumstances() -> dict[str, Any]:
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(sys.argv),
        "tfft": __version__,
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in _RECORDED_PACKAGES},
        "machine": {
            "system": platform.platform(),
            "processors": processors(),
        },
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
