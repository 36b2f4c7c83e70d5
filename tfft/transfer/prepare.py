"""From a recipe to its data and its model, and to what the model says of itself."""

from dataclasses import dataclass
from datetime import UTC, datetime

from tfft.system.tensorflow import keras

from tfft.backbones.build import build_backbone
from tfft.config.model import HubBackbone, targets_of
from tfft.config.recipe import Recipe
from tfft.data.dataset import ImageData
from tfft.data.examples import Images
from tfft.data.kept_splits import KeptSplits
from tfft.data.load import load_data
from tfft.errors import DataError
from tfft.images.spec import PixelSpec
from tfft.model.assemble import Classifier, build_classifier, pixel_spec
from tfft.model.heads import HeadSize, number_size
from tfft.runtime.info import HeadInfo, ModelInfo
from tfft.system.progress import SILENT, Progress
from tfft.version import __version__


@dataclass(frozen=True, eq=False)
class Prepared:
    """The data and the model of a recipe, and the pixels that the model takes."""

    data: ImageData
    classifier: Classifier
    pixels: PixelSpec

    @property
    def counts(self) -> dict[str, int]:
        """The number of images by split, "validation" among them."""
        return self.data.counts

    def examples(self, split: str) -> Images:
        """Returns the images of a split as the model takes them; there may be none."""
        nothing = self.data.splits["train"].take([])
        return Images(self.data.splits.get(split, nothing), self.pixels)


def prepare(recipe: Recipe, progress: Progress) -> Prepared:
    """Loads the data of a recipe and builds its model.

    Raises:
        DataError: The images are not what the recipe says.
        BackboneError: The backbone or its weights cannot be found.
    """
    return prepare_with(recipe, load_of_recipe(recipe, progress), progress)


def prepare_with(recipe: Recipe, data: ImageData, progress: Progress) -> Prepared:
    """Builds the model of a recipe for its data, which are loaded.

    Raises:
        BackboneError: The backbone or its weights cannot be found.
    """
    classifier = build_of_recipe(recipe, data, recipe.train.mixed_precision, progress)
    pixels = pixel_spec(recipe.image, classifier.backbone.spec.default_size_px)
    return Prepared(data, classifier, pixels)


def load_of_recipe(recipe: Recipe, progress: Progress, kept: KeptSplits | None = None) -> ImageData:
    """Loads the data of a recipe, in their splits or in those that a run keeps.

    Raises:
        DataError: The images are not what the recipe says, or none are for training.
    """
    data = load_data(recipe.data, progress, targets_of(recipe.heads), kept)
    if "train" not in data.splits:
        raise DataError(f"{data.name} has no training images, only {', '.join(data.splits)}")
    return data


def build_of_recipe(recipe: Recipe, data: ImageData, policy: str, progress: Progress) -> Classifier:
    """Builds the model of a recipe, its layers under a policy such as ``"float32"``."""
    image = recipe.image
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        backbone = build_backbone(recipe.backbone, image.model_px, recipe.seed, progress)
        sizes = {}
        for name, head in recipe.heads.items():
            if head.kind == "box":
                sizes[name] = HeadSize(4)
            elif head.kind == "regression":
                sizes[name] = number_size(data.splits["train"].targets[head.target])
            else:
                names = data.class_names[head.target]
                sizes[name] = HeadSize(len(names), class_names=names)
        return build_classifier(backbone, recipe.heads, sizes, image, recipe.seed)
    finally:
        keras.config.set_dtype_policy(before)


def model_in_float32(recipe: Recipe, prepared: Prepared) -> keras.Model:
    """Returns the model as it is saved: in float32, whatever policy it was trained with."""
    classifier = prepared.classifier
    if recipe.train.mixed_precision == "float32":
        return classifier.model
    rebuilt = build_of_recipe(without_weights(recipe), prepared.data, "float32", SILENT)
    rebuilt.model.set_weights(classifier.model.get_weights())
    return rebuilt.model


def without_weights(recipe: Recipe) -> Recipe:
    """Returns a recipe whose backbone reads no file of weights, if its structure needs none."""
    if isinstance(recipe.backbone, HubBackbone):
        return recipe
    backbone = recipe.backbone.model_copy(update={"weights": "random"})
    return recipe.model_copy(update={"backbone": backbone})


def model_info(recipe: Recipe, prepared: Prepared) -> ModelInfo:
    """Returns what the trained model says of itself."""
    data, spec = prepared.data, prepared.classifier.backbone.spec
    return ModelInfo(
        name=recipe.export.name or recipe.name,
        input=prepared.pixels,
        heads={
            name: HeadInfo(head.kind, tuple(data.class_names.get(head.target, ())), head.target)
            for name, head in recipe.heads.items()
        },
        backbone=spec.name,
        licence=spec.licence,
        data=recipe.data.model_dump(mode="json"),
        tfft_version=__version__,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
    )
