"""The answers of `tfft predict` as a CSV file, a row an image."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfft.cli.answer_first import answer_first
from tfft.system.names import UNLIKENESS
from tfft.system.tables import written_table

if TYPE_CHECKING:
    from tfft.runtime.info import HeadInfo, ModelInfo

# Between several labels of an image, as in a manifest.
_BETWEEN = "|"


def kept_answers(
    answers: Iterator[dict[str, Any]], info: "ModelInfo", top: int, path: Path
) -> Iterator[dict[str, Any]]:
    """Yields answers as they come, each written as a row; the file is there after the last.

    Its columns are the path, those of each head, named after it where there are several,
    ``unlikeness`` if the model measures it, and the error of an image that could not be read.

    Args:
        answers: Answers as `tfft.cli.predict.predict_files` yields them.
        info: Description of the model.
        top: Number of labels of a classification.
        path: The file.
    """
    heads = info.heads
    columns = [f"{_prefix(name, heads)}{c}" for name, head in heads.items() for c in _of(head, top)]
    columns += [UNLIKENESS] if info.unsure is not None else []
    with written_table(path, ["path", *columns, "error"]) as write:
        for answer in answers:
            said = answer.get("predictions")
            cells: list[object] = [None] * len(columns)
            if said is not None:
                cells = [
                    cell for name, head in heads.items() for cell in _cells(head, said[name], top)
                ]
                cells += [f"{answer[UNLIKENESS]:.6f}"] if info.unsure is not None else []
            write([answer["path"], *cells, answer.get("error")])
            yield answer


def _prefix(name: str, heads: Mapping[str, object]) -> str:
    return "" if len(heads) == 1 else f"{name}_"


def _of(head: "HeadInfo", top: int) -> list[str]:
    """Returns the columns of a head."""
    if head.kind == "box":
        return ["ymin", "xmin", "ymax", "xmax"]
    if head.kind == "regression":
        return ["value"]
    if head.kind == "multi_label":
        return ["labels", "probabilities"]
    places = range(1, min(top, len(head.class_names)) + 1)
    return [
        f"{name}{'' if n == 1 else f'_{n}'}" for n in places for name in ("label", "probability")
    ]


def _cells(head: "HeadInfo", said: Any, top: int) -> list[object]:
    """Returns the cells of a head for one prediction."""
    if head.kind == "box":
        return [round(edge, 6) for edge in said["box"]]
    if head.kind == "regression":
        return [said["value"]]
    if head.kind == "multi_label":
        applying = [label for label in said if label["applies"]]
        return [
            _BETWEEN.join(label["label"] for label in applying),
            _BETWEEN.join(f"{label['probability']:.6f}" for label in applying),
        ]
    return [
        cell
        for label in answer_first(said)[:top]
        for cell in (label["label"], f"{label['probability']:.6f}")
    ]
