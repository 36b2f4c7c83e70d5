"""The model card of an export: what the model is for, how good it is, and where it ends.

Source: Mitchell et al. 2019, "Model Cards for Model Reporting".
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tfft.exports.outputs import labels_file
from tfft.metrics.heads import METRIC_NAMES
from tfft.runtime.info import HeadInfo, ModelInfo
from tfft.system.printable import printable_name

FILE_NAME = "MODEL_CARD.md"
LICENCE_FILE = "LICENSE-weights.txt"
# What Markdown, also GitHub's, takes for markup anywhere in a line, bare links included.
_MARKUP = re.compile(r"[\\`*_\[\]<>|#~&$!@]|:(?=//)|(?<=www)\.", re.IGNORECASE)
# More classes than these are in the file of labels alone.
_CLASSES_SHOWN = 100
_WEAKEST_SHOWN = 3
_PREDICTS = {
    "classification": "one of {} classes",
    "multi_label": "any of {} labels",
    "regression": "a number",
    "box": "a box, as (ymin, xmin, ymax, xmax) in shares of the image",
}


@dataclass(frozen=True)
class Measured:
    """What a model was measured on, and how good it is there.

    Attributes:
        split: ``test``, ``validation`` or ``train``.
        images: Number of images that it was measured on.
        of: Number of images of the split.
        metrics: Metrics by head, as `tfft.metrics.heads.head_metrics` gives them.
    """

    split: str
    images: int
    of: int
    metrics: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Facts:
    """What the card of every form of an export says.

    Attributes:
        info: Description of the export.
        data: Name of the set of images.
        data_licence: What its source says about its licence; None if nothing.
        images: Number of images by split.
        weights: What the backbone's weights were before: ``imagenet``, ``random`` or
            ``of a file``; None where its kind has no such choice.
        weights_source: Address where the weights and their licence are found; None if not known.
        licence_text: Text of the licence of the weights; None where it is not at hand.
        phases: Phases of the plan, as ``plan.json`` has them; empty if there is none.
        seed: Seed of the run.
        measured: How good the Keras model is.
        calibration: Calibration of each head, as ``calibration.json`` has it; empty if there is
            none.
    """

    info: ModelInfo
    data: str
    data_licence: str | None
    images: Mapping[str, int]
    weights: str | None
    weights_source: str | None
    licence_text: str | None
    phases: Sequence[Mapping[str, Any]]
    seed: int
    measured: Measured
    calibration: Mapping[str, Mapping[str, Any]]


def markdown(text: str) -> str:
    """Returns a name or a text from elsewhere, on one line, so that Markdown shows it as it is."""
    return _MARKUP.sub(lambda found: f"\\{found[0]}", printable_name(text))


def card(facts: Facts, checks: Mapping[str, Mapping[str, Any]], use: str) -> str:
    """Returns the card of one form of an export, as Markdown.

    Args:
        facts: What is the same for every form.
        checks: How each file or signature of this form compares with the Keras model, as
            `tfft.exports.parity.ParityCheck.to_json` has it.
        use: How it is called, as Markdown.
    """
    info = facts.info
    sections = {
        "What it answers": _answers(info),
        "Data": _data(facts),
        "Training": _training(facts),
        "How good it is": [*_measured(facts.measured, info.heads), "", *_checks(checks)],
        "Calibration": _calibration(facts),
        "Limits": [f"- {limit}" for limit in _limits(facts)],
        "Licences": _licences(facts),
        "How to call it": [use],
        "Whole?": [
            "`sha256sum -c SHA256SUMS` says whether all files are as they were exported. It does "
            "not say who exported them."
        ],
    }
    lines = [f"# {markdown(info.name)}, export {info.export_version}", "", *_identity(info)]
    for title, content in sections.items():
        lines += ["", f"## {title}", "", *content]
    return "\n".join(lines) + "\n"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    ruled = [header, ["---"] * len(header), *rows]
    return [f"| {' | '.join(cells)} |" for cells in ruled]


def _identity(info: ModelInfo) -> list[str]:
    rows = [
        ("export", str(info.export_version)),
        ("run", markdown(info.run or "not known")),
        ("SHA-256 of the weights", f"`{info.weights_sha256}`"),
        ("made", markdown(info.created)),
        ("backbone", markdown(info.backbone)),
        ("written by", f"tfft {markdown(info.tfft_version)}"),
    ]
    return _table(("this model", ""), rows)


def _answers(info: ModelInfo) -> list[str]:
    pixels = info.pixels
    lines = [
        f"It takes images of {pixels.height} by {pixels.width} pixels with {pixels.channels} "
        "channels, values 0 to 255; scaling and normalisation are part of it. `input` in "
        "`tfft.json` says how photos are cut and resized to that."
    ]
    for name, head in info.heads.items():
        what = _PREDICTS[head.kind].format(f"{len(head.class_names):,}")
        lines += ["", f"Head {markdown(name)}: {what}."]
        if head.class_names:
            rows = [(str(k), markdown(c)) for k, c in enumerate(head.class_names[:_CLASSES_SHOWN])]
            lines += ["", *_table(("number", "class"), rows)]
        if len(head.class_names) > _CLASSES_SHOWN:
            lines += [
                "",
                f"All {len(head.class_names):,} are in `{labels_name(name, info.heads)}`.",
            ]
    return lines


def _data(facts: Facts) -> list[str]:
    counts = ", ".join(f"{count:,} {split}" for split, count in facts.images.items())
    licence = facts.data_licence
    said = f"Licence: {markdown(licence)}." if licence else "Their source states no licence."
    return [f"Images of {markdown(facts.data)}: {counts}. {said}"]


def _training(facts: Facts) -> list[str]:
    weights = {
        "imagenet": "Its backbone came with ImageNet weights.",
        "random": "Its backbone began with random weights.",
        "of a file": "Its backbone began with weights from a file.",
    }.get(facts.weights or "", "Its backbone came from elsewhere, trained.")
    rows = []
    for phase in facts.phases:
        config = phase["config"]
        solved = config.get("solver") == "linear"
        rate = config.get("learning_rate")
        epochs, steps = config.get("epochs"), phase.get("steps", 0)
        length = f"{epochs} epochs" if epochs else f"{steps} steps"
        rows.append(
            (
                str(phase["number"]),
                f"{phase.get('trained_parameters', 0):,}",
                "solved" if solved else length,
                "" if solved or rate is None else f"{rate:g}",
            )
        )
    table = _table(("phase", "trained parameters", "length", "learning rate"), rows) if rows else []
    return [f"{weights} Seed {facts.seed}.", *([""] if table else []), *table]


def _measured(measured: Measured, heads: Mapping[str, HeadInfo]) -> list[str]:
    on = f"all {measured.of:,}"
    if measured.images < measured.of:
        on = f"{measured.images:,} of {measured.of:,}, spread over the classes,"
    lines = [f"On {on} {measured.split} images, with 95 % intervals where there are any:", ""]
    rows = []
    for head in heads:
        found = measured.metrics[head]
        for name, title in METRIC_NAMES.items():
            value = found.get(name)
            if isinstance(value, int | float):
                interval = found.get(f"{name}_interval")
                between = f"{interval[0]:.3f} … {interval[1]:.3f}" if interval else ""
                rows.append((markdown(head), title, f"{value:.3f}", between))
    weakest = [line for head in heads for line in _weakest(head, measured.metrics[head])]
    return [*lines, *_table(("head", "metric", "value", "interval"), rows), *weakest]


def _weakest(head: str, metrics: Mapping[str, Any]) -> list[str]:
    """Returns the classes of which the fewest images are found, where there are more of them."""
    found = [each for each in metrics.get("per_class", ()) if each.get("recall") is not None]
    found = sorted(found, key=lambda each: each["recall"])[: min(_WEAKEST_SHOWN, len(found) // 2)]
    if not found:
        return []
    shown = [f"{markdown(c['label'])} {c['recall']:.3f} of {c['examples']}" for c in found]
    return ["", f"Least often found, head {markdown(head)}: {', '.join(shown)} images."]


def _checks(checks: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Returns how the files of this form compare with the Keras model."""
    rows = []
    for what, check in checks.items():
        heads = check.get("heads") or {"": check}
        for head, found in heads.items():
            difference = found.get("largest_difference")
            rows.append(
                (
                    f"{what}{f', {markdown(head)}' if head else ''}",
                    str(check["images"]),
                    "no number" if difference is None else f"{difference:.2g}",
                    _metric(found, ""),
                    _metric(found, "keras_"),
                )
            )
    header = ("file", "images", "largest difference", "metric", "of the Keras model")
    return ["Each file was compared with the Keras model:", "", *_table(header, rows)]


def _metric(found: Mapping[str, Any], prefix: str) -> str:
    for name in ("accuracy", "f1", "mean_iou", "mae"):
        value = found.get(f"{prefix}{name}")
        if value is not None:
            return f"{name.replace('_', ' ')} {value:.3f}"
    return ""


def _calibration(facts: Facts) -> list[str]:
    lines = []
    for name, head in facts.info.heads.items():
        found = facts.calibration.get(name)
        if head.kind != "classification":
            continue
        if head.temperature == 1.0:
            text = "probabilities are as trained: they may be too sure, or not sure enough"
        else:
            text = f"logits are divided by {head.temperature:.3f}, fitted on validation images"
            if found:
                before, after = found["ece_before"], found["ece_after"]
                text += f"; expected calibration error there {before:.3f} before, {after:.3f} after"
        lines.append(f"- {markdown(name)}: {text}.")
    for name, head in facts.info.heads.items():
        for point in head.operating_points:
            lines.append(
                f"- {markdown(name)}: {markdown(point.label)} applies above "
                f"{point.threshold:.4g}, chosen for a {point.goal} of at least {point.at_least:g}."
            )
        if head.thresholds:
            lines.append(
                f"- {markdown(name)}: each label has a threshold of its own, in `tfft.json`."
            )
    return lines or ["It answers no probabilities of classes that exclude each other."]


def _limits(facts: Facts) -> Iterator[str]:
    if any(head.kind == "classification" for head in facts.info.heads.values()):
        yield (
            "It knows the classes above and no others: an image of anything else is answered with "
            "one of them, maybe with a high probability."
        )
    if facts.info.unsure is not None:
        yield (
            "Where its output `unlikeness` is above 1, an image is unlike those that it was "
            "trained on, and the answer is not to be relied on. Below 1 it may be wrong, too."
        )
    measured = facts.measured
    yield (
        f"What is measured holds for images like the {measured.split} images. Other cameras, "
        "places or seasons were not measured, nor groups within the images."
    )
    if measured.split != "test":
        yield f"There were no test images: figures on {measured.split} images are too good."
    if measured.images < measured.of:
        yield (
            "The figures are those of a sample with as many images of each class as there are; "
            "`tfft evaluate RUN` before the export measures on all."
        )
    if facts.weights == "imagenet":
        yield (
            "Its backbone has seen ImageNet: figures on photos that are also there are too good."
        )
    yield "What it learned may show in what it answers, also about single training images."


def _licences(facts: Facts) -> list[str]:
    info = facts.info
    if facts.weights == "random":
        weights = "The weights were trained from random ones: no licence of others holds for them."
    else:
        weights = f"Pretrained weights of {markdown(info.backbone)}: "
        weights += markdown(info.licence) if info.licence else "no licence is known"
        if facts.licence_text:
            weights += f"; the text is in `{LICENCE_FILE}`"
        elif facts.weights_source:
            weights += f"; the text is where they come from: <{facts.weights_source}>"
        weights += "."
    return [
        f"- {weights}",
        "- Code: tfft is under Apache-2.0, and so are Keras, TensorFlow and LiteRT, which run it; "
        "no code of theirs is in these files.",
        "- What the licence of the training images allows is not judged here.",
    ]


def labels_name(head: str, heads: Mapping[str, HeadInfo]) -> str:
    """Returns the name of the file of a head's labels beside the card: ``labels.txt`` if it is the
    only head that has any."""
    with_labels = [name for name, each in heads.items() if each.class_names]
    return "labels.txt" if with_labels == [head] else labels_file(head)
