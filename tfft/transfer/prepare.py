"""From a recipe to its data and its model."""

from dataclasses import dataclass

from tfft.system.tensorflow import keras

from tfft.backbones.build import build_backbone
from tfft.config.model import HubBackbone
from tfft.config.recipe import Recipe
from tfft.data.dataset import ImageData
from tfft.data.examples import Images
from tfft.images.spec import PixelSpec
from tfft.model.assemble import Classifier, build_classifier, pixel_spec
from tfft.runtime.info import ModelInfo
from tfft.system.progress import SILENT, Progress
from tfft.transfer.description import examples_of, head_sizes, load_of_recipe, model_info


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
        return examples_of(self.data, split, self.pixels)

    def info(self, recipe: Recipe) -> ModelInfo:
        """Returns what the trained model says of itself."""
        spec = self.classifier.backbone.spec
        return model_info(recipe, self.data, self.pixels, spec.name, spec.licence)


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


def build_of_recipe(recipe: Recipe, data: ImageData, policy: str, progress: Progress) -> Classifier:
    """Builds the model of a recipe, its layers under a policy such as ``"float32"``."""
    image = recipe.image
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        backbone = build_backbone(recipe.backbone, image.model_px, recipe.seed, progress)
        sizes = head_sizes(recipe, data)
        return build_classifier(backbone, recipe.heads, sizes, image, recipe.seed)
    finally:
        keras.config.set_dtype_policy(before)


def classifier_in_float32(recipe: Recipe, prepared: Prepared) -> Classifier:
    """Returns the classifier as it is saved: in float32, whatever policy it was trained with."""
    classifier = prepared.classifier
    if recipe.train.mixed_precision == "float32":
        return classifier
    rebuilt = build_of_recipe(without_weights(recipe), prepared.data, "float32", SILENT)
    rebuilt.model.set_weights(classifier.model.get_weights())
    return rebuilt


def without_weights(recipe: Recipe) -> Recipe:
    """Returns a recipe whose backbone reads no file of weights, if its structure needs none."""
    if isinstance(recipe.backbone, HubBackbone):
        return recipe
    backbone = recipe.backbone.model_copy(update={"weights": "random"})
    return recipe.model_copy(update={"backbone": backbone})
