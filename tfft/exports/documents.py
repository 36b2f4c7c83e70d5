"""What lies beside the files of each form of an export: card, labels, licence and sums."""

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import numpy as np

from tfft.catalog.backbones import backbone_specs
from tfft.config.recipe import Recipe
from tfft.data.dataset import ImageData
from tfft.evaluation.answers import answers_key, kept_answers
from tfft.evaluation.data import targets_of_model
from tfft.exports.card import FILE_NAME, LICENCE_FILE, Facts, Measured, card, labels_name
from tfft.exports.parity import Reference
from tfft.exports.sums import write_sums
from tfft.metrics.calibration import at_temperature
from tfft.metrics.heads import head_metrics
from tfft.runs.run import Run
from tfft.runtime.info import ModelInfo
from tfft.runtime.predictor import Outputs, Predictor
from tfft.system.formats import CALIBRATION, PLAN


def gather_facts(
    run: Path, recipe: Recipe, data: ImageData, split: str, reference: Reference
) -> Facts:
    """Returns what the cards of an export say, from the run and its images.

    Args:
        run: Directory of the run.
        recipe: Recipe of the run.
        data: Its images.
        split: Split that the files are compared on.
        reference: Images that the files are compared on, with the answers of the Keras model, whose
            description is that of the export.
    """
    info = reference.original.info
    spec = next((spec for spec in backbone_specs() if spec.name == info.backbone), None)
    weights = getattr(recipe.backbone, "weights", None)
    if weights not in (None, "imagenet", "random"):
        weights = "of a file"
    is_published = weights == "imagenet" and spec is not None
    calibration = CALIBRATION.read_if_there(Run(run).calibration_file)
    return Facts(
        info=info,
        data=data.name,
        data_licence=data.licence,
        images={name: len(index) for name, index in data.splits.items()},
        weights=weights,
        weights_source=spec.source if is_published and spec else None,
        licence_text=_licence_text(spec.licence_package) if is_published and spec else None,
        phases=PLAN.read_if_there(Run(run).plan_file).get("phases", []),
        seed=recipe.seed,
        measured=_measured(run, data, split, reference),
        calibration=calibration.get("heads", {}),
    )


def write_documents(
    directory: Path, facts: Facts, checks: Mapping[str, Mapping[str, Any]], use: str
) -> None:
    """Writes the documents beside the files of one form of an export, the sums of all files last.

    Args:
        directory: Directory of the form, not in its place yet.
        facts: What the card says; its description with the number of the export.
        checks: How the files compare with the Keras model, by name.
        use: How they are called, as Markdown.
    """
    (directory / FILE_NAME).write_text(card(facts, checks, use), encoding="utf-8")
    heads = facts.info.heads
    for name, head in heads.items():
        if head.class_names:
            text = "".join(f"{label}\n" for label in head.class_names)
            (directory / labels_name(name, heads)).write_text(text, encoding="utf-8")
    if facts.licence_text:
        (directory / LICENCE_FILE).write_text(facts.licence_text, encoding="utf-8")
    write_sums(directory)


def saved_model_use(info: ModelInfo) -> str:
    """Returns how a SavedModel is called, as Markdown."""
    return f"""\
```python
import tensorflow as tf

model = tf.saved_model.load(".")  # this directory
photo = tf.io.read_file("photo.jpg")
print(model.signatures["serve_bytes"](image_bytes=tf.stack([photo])))
```
`../serving/README.md` of the export has the calls of a server; `tfft predict . photo.jpg` names the
classes. `{info.name}` is its name there."""


def tflite_use(files: list[str]) -> str:
    """Returns how TFLite files are called, as Markdown."""
    return f"""\
```python
import numpy as np
from ai_edge_litert.interpreter import Interpreter

run = Interpreter("{files[0]}").get_signature_runner("serving_default")
size = run.get_input_details()["images"]
print(run(images=np.zeros(size["shape"], size["dtype"])))  # RGB, 0..255
```
`tfft predict {files[0]} photo.jpg` computes the pixels, and names the classes."""


def _measured(run: Path, data: ImageData, split: str, reference: Reference) -> Measured:
    """Returns the metrics on the whole split, where the run keeps answers, or on the sample."""
    original, index = reference.original, data.splits[split]
    kept = kept_answers(run, split, answers_key(original, index))
    if kept is None:
        outputs, targets, images = reference.expected(), reference.targets, len(reference.images)
    else:
        outputs = _at_temperatures(original, kept.outputs)
        targets = targets_of_model(original.info, index, data.class_names)
        images = len(index)
    metrics = {
        name: head_metrics(head, outputs[name], targets[name])
        for name, head in original.info.heads.items()
    }
    return Measured(split, images, len(index), metrics)


def _at_temperatures(original: Predictor, outputs: Outputs) -> dict[str, np.ndarray]:
    """Returns answers as trained as the export gives them."""
    return {
        name: outputs[name] if t == 1.0 else at_temperature(outputs[name], t)
        for name, t in original.info.temperatures.items()
    }


def _licence_text(package: str | None) -> str | None:
    """Returns the text of a licence that an installed package has; None where there is none."""
    if package is None:
        return None
    try:
        return distribution(package).read_text("LICENSE")
    except PackageNotFoundError:
        return None
