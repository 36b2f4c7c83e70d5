"""The features of all images: without TensorFlow where a training has left all of them."""

from contextlib import closing

import numpy as np

from tfft.cache.store import open_rows
from tfft.config.recipe import Recipe
from tfft.data.dataset import ImageData
from tfft.data.examples import Images
from tfft.data.index import ImageIndex
from tfft.images.spec import PixelSpec
from tfft.system.progress import Progress
from tfft.transfer.frozen.part import CutContent
from tfft.transfer.template import Template, template_for


def features_of(
    recipe: Recipe, data: ImageData, head: str, index: ImageIndex, progress: Progress
) -> tuple[np.ndarray, PixelSpec]:
    """Returns the features that a head takes of images, and the pixels that they are made of.

    They are those of the backbone as a training starts from it. What the cache lacks is computed.

    Args:
        recipe: The recipe.
        data: Its images, which say how many classes there are.
        head: Name of the head.
        index: The images.
        progress: Where the work is reported.

    Returns:
        Features, float32 [N, d], and the pixels.

    Raises:
        BackboneError: The backbone or its weights cannot be found.
    """
    pooling = recipe.heads[head].pooling
    template = template_for(recipe, data)
    if template is not None:
        kept = _kept_features(recipe, template, pooling, index)
        if kept is not None:
            progress.message(f"{len(index):,} images: features from the cache")
            return kept, PixelSpec.from_json(template.pixels)
    from tfft.transfer.frozen.build import frozen_part
    from tfft.transfer.prepare import prepare_with

    prepared = prepare_with(recipe, data, progress)
    classifier, pixels = prepared.classifier, prepared.pixels
    frozen = frozen_part(recipe, classifier, [len(classifier.backbone.blocks)], progress)
    with closing(frozen.outputs(Images(index, pixels), "audited")) as rows:
        column = list(classifier.poolings).index(pooling)
        return np.asarray(rows.tensors[column][:], np.float32), pixels


def _kept_features(
    recipe: Recipe, template: Template, pooling: str, index: ImageIndex
) -> np.ndarray | None:
    """Returns the features if the cache has those of every image, float32 [N, d]; None if not."""
    images = Images(index, PixelSpec.from_json(template.pixels))
    content = CutContent(*template.content).of(images, recipe.train.cache.dtype)
    with closing(open_rows(content, images.keys())) as rows:
        if len(rows.missing):
            return None
        column = template.poolings.index(pooling)
        return np.asarray(rows.tensors[column][:], np.float32)
