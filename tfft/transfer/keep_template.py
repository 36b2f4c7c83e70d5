"""Keeps the model of a run as a template for the runs after it, if it is one."""

import io
import zipfile
from collections.abc import Mapping

from tfft.system.tensorflow import ONEDNN

import h5py
import numpy as np

from tfft.backbones.record import backbone_to_json
from tfft.cache.converted import Conversion, conversion_key
from tfft.cache.templates import can_keep_template, keep_template_as
from tfft.config.recipe import Recipe
from tfft.model.head_size import HeadSize
from tfft.runs.run import Run
from tfft.runtime.convert_model import made_images
from tfft.runtime.tflite.agreement import outputs_agree
from tfft.runtime.tflite.convert_frozen import model_digest
from tfft.runtime.tflite.runner import TfliteFunction
from tfft.system.progress import SILENT
from tfft.transfer.frozen.build import cut_contents
from tfft.transfer.frozen.function import TFLITE_BATCH
from tfft.transfer.linear.weights import LinearWeights
from tfft.transfer.plan.plan import FreezePlan
from tfft.transfer.prepare import Prepared
from tfft.transfer.template import (
    KERAS_FILE,
    TFLITE_FILE,
    WEIGHTS_MEMBER,
    Template,
    template_key,
    with_heads,
)
from tfft.transfer.unlikeness import Unlikeness, share_to_keep

Heads = Mapping[str, LinearWeights]
Places = dict[str, tuple[int, int]]


def keep_template(
    run: Run,
    recipe: Recipe,
    prepared: Prepared,
    plan: FreezePlan,
    conversion: Conversion | None,
    unlikeness: Unlikeness | None,
) -> None:
    """Keeps the model of a finished run, unless one like it is kept, or it cannot be a template.

    Args:
        run: The run, which has its model.
        recipe: Its recipe.
        prepared: Its images and its model, with the weights that are saved.
        plan: Its plan.
        conversion: What its model was converted to, if it was tried.
        unlikeness: What its model measures beside its heads, if anything.
    """
    key = template_key(recipe, prepared.data)
    is_unsure = share_to_keep(recipe, prepared.counts["validation"], SILENT) is not None
    if key is None or not can_keep_template(key) or is_unsure != (unlikeness is not None):
        return
    classifier = prepared.classifier
    heads = {
        name: LinearWeights(np.asarray(head.dense.kernel), np.asarray(head.dense.bias))
        for name, head in classifier.heads.items()
    }
    filled = {**heads, **(unlikeness.layers if unlikeness else {})}
    files = {KERAS_FILE: run.model_file.read_bytes()}
    places = {KERAS_FILE: _places_in_keras(files[KERAS_FILE], filled)}
    if conversion is not None and conversion.content is not None:
        found = _places_in_tflite(conversion.content, filled)
        sample = made_images(prepared.pixels)
        sizes = {name: head.size for name, head in classifier.heads.items()}
        if found and _are_places_of_heads(conversion, found, heads, sizes, sample):
            files[TFLITE_FILE], places[TFLITE_FILE] = conversion.content, found
    if not places[KERAS_FILE]:
        return
    blocks, spec = len(classifier.backbone.blocks), classifier.backbone.spec
    (content,) = cut_contents(recipe, classifier, [blocks])
    features = model_digest(classifier.below([blocks]))
    template = Template(
        files=files,
        plan=plan.to_json(),
        backbone=backbone_to_json(classifier.backbone),
        spec=(spec.name, spec.licence),
        pixels=prepared.pixels.to_json(),
        content=(dict(content.identity), dict(content.about), tuple(content.shapes)),
        poolings=tuple(classifier.poolings),
        conversion=conversion_key(model=features, batch_size=TFLITE_BATCH),
        outputs=conversion.outputs if conversion else (),
        places=places,
        onednn=ONEDNN,
    )
    about = {"what": "trained model to fill in", "backbone": spec.name, "recipe": recipe.name}
    keep_template_as(key, template.to_kept(), about)


def _places_in_keras(content: bytes, heads: Heads) -> Places:
    """Returns where kernel and bias of each head begin in the file of weights; {} if unknown."""
    datasets: list[h5py.Dataset] = []
    with (
        zipfile.ZipFile(io.BytesIO(content)) as archive,
        h5py.File(io.BytesIO(archive.read(WEIGHTS_MEMBER)), "r") as weights,
    ):
        weights.visititems(
            lambda _, each: datasets.append(each) if isinstance(each, h5py.Dataset) else None
        )

        def place(values: np.ndarray) -> int | None:
            if not values.size:  # a layer without bias
                return 0
            same = [
                dataset.id.get_offset()
                for dataset in datasets
                if dataset.shape == values.shape
                and dataset.dtype == values.dtype
                and np.array_equal(dataset[()], values)
            ]
            return same[0] if len(same) == 1 else None

        found = {name: (place(w.kernel), place(w.bias)) for name, w in heads.items()}
    return _if_all_known(found)


def _places_in_tflite(content: bytes, heads: Heads) -> Places:
    """Returns where kernel and bias of each head begin in a TFLite file; {} if unknown."""

    def place(values: np.ndarray) -> int | None:
        if not values.size:
            return 0
        data = np.ascontiguousarray(values, "<f4").tobytes()
        return content.find(data) if content.count(data) == 1 else None

    return _if_all_known({n: (place(w.kernel.T), place(w.bias)) for n, w in heads.items()})


def _if_all_known(found: Mapping[str, tuple[int | None, int | None]]) -> Places:
    known = {
        name: (kernel, bias)
        for name, (kernel, bias) in found.items()
        if kernel is not None and bias is not None
    }
    return known if len(known) == len(found) else {}


def _are_places_of_heads(
    conversion: Conversion,
    places: Places,
    heads: Heads,
    sizes: Mapping[str, HeadSize],
    sample: np.ndarray,
) -> bool:
    """Says whether other weights at these places change the outputs as those of a dense layer.

    With kernels twice as large and biases of 0 an output has to be twice what it was without bias.
    What is measured beside the heads is compared wherever it is filled in.
    """
    content = conversion.content or b""
    doubled = {
        name: LinearWeights(2.0 * w.kernel.T, np.zeros_like(w.bias)) for name, w in heads.items()
    }
    outputs = TfliteFunction(content)(sample)
    changed = TfliteFunction(with_heads(content, places, doubled))(sample)
    expected = []
    compared = []
    for name, output, filled in zip(conversion.outputs, outputs, changed, strict=True):
        if name not in heads:
            continue
        compared.append(filled)
        mean, deviation = sizes[name].mean, sizes[name].deviation
        linear = (output - mean) / deviation - heads[name].bias
        expected.append(2.0 * linear * deviation + mean)
    return outputs_agree(compared, expected)
