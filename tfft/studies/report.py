"""Runs a comparison and writes what came out."""

from dataclasses import dataclass
from typing import Any

from tfft.errors import UsageError
from tfft.studies.compare import Study, run_study
from tfft.studies.curves import draw_learning_curves
from tfft.studies.pages import comparison_json, write_pages
from tfft.studies.results import Results, collect
from tfft.studies.verdict import Verdict, verdicts
from tfft.system.pictures import require_plots
from tfft.system.progress import SILENT, Progress
from tfft.system.readable import Readable, counted


@dataclass(frozen=True, repr=False)
class StudyReport(Readable):
    """A comparison that was run: what it found, and where it lies."""

    study: Study
    results: Results

    @property
    def verdicts(self) -> list[Verdict]:
        """In words: for each arm and part of the data."""
        return verdicts(self.results)

    def lines(self) -> list[str]:
        names = " against ".join(arm.name for arm in self.study.arms)
        images = counted(self.results.test_images, "test image")
        return [
            f"{self.study.path}: {names}, {images}",
            *(verdict.text for verdict in self.verdicts),
            f"page: {self.study.path}/comparison.html",
        ]

    def to_json(self) -> dict[str, Any]:
        """Returns what ``tfft compare --json`` prints."""
        return comparison_json(self.study, self.results)


def report_study(
    study: Study, *, target: float | None = None, progress: Progress = SILENT
) -> StudyReport:
    """Runs what is missing of a study and writes its pages and curves.

    Raises:
        UsageError: No run finished.
        DataError: The arms were not tested on the same images.
    """
    study = run_study(study, progress)
    results = collect(study, target)
    curves = study.path / "curves.png"
    try:
        require_plots()
    except UsageError as error:
        progress.message(f"no learning curves: {error}")
        curves.unlink(missing_ok=True)
        write_pages(study, results, None)
    else:
        draw_learning_curves(results, curves)
        write_pages(study, results, curves)
    return StudyReport(study, results)
