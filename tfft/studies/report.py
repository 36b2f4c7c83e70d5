"""A comparison from start to finish: it runs, and its pages are written."""

from dataclasses import dataclass
from typing import Any

from tfft.errors import UsageError
from tfft.studies.compare import Study, run_study
from tfft.studies.curves import draw_learning_curves
from tfft.studies.pages import comparison_json, write_pages
from tfft.studies.results import Results, collect
from tfft.studies.verdict import Verdict, verdicts
from tfft.system.cells import cell, lines_html, table_html, text_html
from tfft.system.pictures import require_plots
from tfft.system.progress import SILENT, Progress
from tfft.system.readable import Readable, counted


@dataclass(frozen=True, repr=False)
class StudyReport(Readable):
    """A comparison that was run.

    Attributes:
        study: The study, with its directory and the runs that failed.
        results: What the comparison found.
    """

    study: Study
    results: Results

    @property
    def verdicts(self) -> list[Verdict]:
        """The conclusions in words, for each arm and part of the data."""
        return verdicts(self.results)

    def lines(self) -> list[str]:
        names = " against ".join(arm.name for arm in self.study.arms)
        images = counted(self.results.test_images, "test image")
        return [
            f"{self.study.path}: {names}, {images}",
            *(verdict.text for verdict in self.verdicts),
            f"page: {self.study.path}/comparison.html",
        ]

    def _repr_html_(self) -> str:
        first, *_, page = self.lines()
        rows = self.results.rows
        spans = [f"{row.over_images.low:.4f} to {row.over_images.high:.4f}" for row in rows]
        table = {
            "arm": [row.arm for row in rows],
            "part of the data": [f"{row.fraction:.0%}" for row in rows],
            "runs": [row.seeds for row in rows],
            "top-1": [row.top1 for row in rows],
            "95 % interval": spans,
            "seconds a run": [None if row.seconds is None else round(row.seconds) for row in rows],
        }
        verdicts = (f"<p>{text_html(verdict.text)}</p>" for verdict in self.verdicts)
        return cell(lines_html([first]), *verdicts, table_html(table), f"<p>{text_html(page)}</p>")

    def to_json(self) -> dict[str, Any]:
        """Returns what ``tfft compare --json`` prints."""
        return comparison_json(self.study, self.results)


def report_study(
    study: Study, *, target: float | None = None, progress: Progress = SILENT
) -> StudyReport:
    """Runs what is missing from a study and writes its pages and curves.

    Args:
        study: Study as planned.
        target: Validation top-1 for the seconds to reach it. Default: what every arm reaches.
        progress: Where the work is reported.

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
