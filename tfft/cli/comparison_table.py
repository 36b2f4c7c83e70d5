"""A comparison of two models as tables and sentences."""

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from tfft.cli.output import new_table
from tfft.metrics.heads import METRIC_NAMES
from tfft.system.readable import size_text

if TYPE_CHECKING:
    from tfft.evaluation.compare_models import ComparedModel, ModelComparison
    from tfft.metrics.compared import ComparedHead

_ROWS = 5
_METRICS = ("top1", "mean_class_accuracy", "ece", "loss")


def comparison_parts(comparison: "ModelComparison") -> list[Table | Text | str]:
    """Returns the metrics of both models, what is gained and lost, and the verdict."""
    first, *_ = comparison.lines()
    parts: list[Table | Text | str] = []
    for name, head in comparison.heads.items():
        title = first if len(comparison.heads) == 1 else f"{first}: {name}"
        parts += [_metrics_table(title, comparison, head), _classes_table(head)]
        parts += _images(head)
    parts = [part for part in parts if not isinstance(part, Table) or part.row_count]
    return [*parts, *map(Text, comparison.notes), Text("\n".join(comparison.verdicts()))]


def _metrics_table(title: str, comparison: "ModelComparison", head: "ComparedHead") -> Table:
    table = new_table([""], ["old", "new"], title)
    for name in _METRICS:
        table.add_row(METRIC_NAMES[name], f"{head.old[name]:.4f}", f"{head.new[name]:.4f}")
    models = (comparison.old, comparison.new)
    table.add_row("ms an image, with decoding", *(f"{each.latency_ms:.3g}" for each in models))
    table.add_row("size", *(_size(each) for each in models))
    return table


def _size(model: "ComparedModel") -> str:
    return "on a server" if model.bytes is None else size_text(model.bytes)


def _classes_table(head: "ComparedHead") -> Table:
    """Returns the classes that change most, and those that only one model knows."""
    table = new_table(["class"], ["images", "old", "new", "lost", "gained", "p"], "by class")
    changed = [each for each in head.classes if each.only_old or each.only_new]
    changed.sort(key=lambda each: (each.p_value is not None, -abs(each.only_new - each.only_old)))
    for each in changed[:_ROWS]:
        table.add_row(
            each.label,
            f"{each.examples:,}",
            *("not known" if share is None else f"{share:.3f}" for share in (each.old, each.new)),
            f"{each.only_old:,}",
            f"{each.only_new:,}",
            "" if each.p_value is None else f"{each.p_value:.2g}",
        )
    if len(changed) > _ROWS:
        table.caption = f"{_ROWS} of {len(changed)} classes that differ, see --json"
        table.caption_justify = "left"
    return table


def _images(head: "ComparedHead") -> list[str]:
    """Returns names of images that only one model gets right, which can be copied."""
    named = {"only the old model is right": head.only_old, "only the new one": head.only_new}
    return [
        "\n".join([f"{title}, {len(ids):,} images:", *(f"  {name}" for name in ids[:_ROWS])])
        for title, ids in named.items()
        if ids
    ]
