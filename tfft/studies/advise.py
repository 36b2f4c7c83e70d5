"""Which strategy to begin with, from the number of images and two probes of the backbone."""

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tfft.config.load import dump_recipe, recipe_from_dict
from tfft.config.recipe import Recipe
from tfft.errors import RecipeError
from tfft.studies.arms import forget_source
from tfft.system.files import write_text
from tfft.system.progress import SILENT, Progress
from tfft.system.tensorflow import start_tensorflow

# Training images of a class below which few blocks can be trained without overfitting, and above
# which all can.
_FEW, _MANY = 50, 300
# A head on fixed features that is right so often leaves little to gain.
_NEARLY_ALL = 0.95
# Features are far from the source's if they gain less than this share of what random features of
# the same backbone leave wrong.
_NEAR = 0.3


@dataclass(frozen=True)
class Probes:
    """What advice is given from.

    Attributes:
        train_images: their number; classes: likewise.
        validation_images: that the probes were measured on.
        probe_top1: validation top-1 of a linear head on the pretrained features.
        random_top1: likewise on features of the same backbone with random weights.
    """

    train_images: int
    classes: int
    validation_images: int
    probe_top1: float
    random_top1: float

    @property
    def images_of_a_class(self) -> float:
        return self.train_images / self.classes

    @property
    def similarity(self) -> float:
        """The share of what random features leave wrong that pretrained features get right."""
        left = 1.0 - self.random_top1
        return (self.probe_top1 - self.random_top1) / left if left > 0 else 0.0


@dataclass(frozen=True)
class Advice:
    """A recommended strategy.

    Attributes:
        strategy: as `train.strategy`, or ``head_only`` for a solved head.
        reason: in one sentence.
        probes: what it rests on.
        recipe: that follows it.
    """

    strategy: str
    reason: str
    probes: Probes
    recipe: Recipe

    def write(self, path: Path) -> None:
        """Writes the recipe, which opens with the reason.

        Raises:
            TfftError: It cannot be written.
        """
        write_text(path, f"# {self.strategy}: {self.reason}\n{dump_recipe(self.recipe)}")

    def to_json(self) -> dict[str, Any]:
        """Returns what ``tfft advise --json`` prints, but for the file."""
        similarity = round(self.probes.similarity, 4)
        return {
            "strategy": self.strategy,
            "reason": self.reason,
            **asdict(self.probes),
            "similarity": similarity,
        }


def advise(recipe: Recipe, *, progress: Progress = SILENT) -> Advice:
    """Probes the backbone of a recipe on its images and recommends a strategy.

    The features are cached where training finds them again.

    Raises:
        RecipeError: The recipe has not one head for classes.
        DataError: The images are not what the recipe says.
    """
    if [head.kind for head in recipe.heads.values()] != ["classification"]:
        raise RecipeError("advice is for a recipe with one head for classes")
    progress.message("probe of the pretrained features")
    pretrained = _probe(recipe.model_dump(mode="json"), progress)
    progress.message("probe of the same backbone with random weights")
    untrained = recipe.model_dump(mode="json")
    forget_source(untrained)
    random = _probe(untrained, progress)
    probes = Probes(*pretrained[1:], pretrained[0], random[0])
    strategy, reason = recommend(probes)
    return Advice(strategy, reason, probes, _following(recipe, strategy))


def recommend(probes: Probes) -> tuple[str, str]:
    """Returns a strategy and the reason in one sentence.

    Source: after Yosinski et al. 2014, size of the data by distance of the features.
    """
    each = f"{probes.images_of_a_class:.0f} training images a class"
    probe = f"{probes.probe_top1:.1%} of the validation images"
    features = (
        f"a linear head on the pretrained features gets {probe} right, "
        f"on random ones {probes.random_top1:.1%}"
    )
    if probes.similarity < _NEAR:
        if probes.images_of_a_class >= _MANY:
            return "full", (
                f"{features}: the source is far from these images, and {each} are enough to "
                "train everything; compare it with scratch."
            )
        return "lp_ft", (
            f"{features}: the source is far from these images, so all blocks have to move, gently, "
            f"since {each} are few."
        )
    if probes.probe_top1 >= _NEARLY_ALL:
        return "head_only", f"{features}: more training has little left to gain."
    if probes.images_of_a_class < _FEW:
        return "partial", f"{features}, and with {each} only the last blocks can be trained safely."
    if probes.images_of_a_class < _MANY:
        return "progressive", f"{features}, and {each} carry the last blocks one after the other."
    return "lp_ft", f"{features}, and {each} are enough to fine-tune everything from there."


def _probe(values: dict[str, Any], progress: Progress) -> tuple[float, int, int, int]:
    """Solves a linear head; returns validation top-1, training images, classes, validation."""
    start_tensorflow()
    from tfft.transfer.run import create_run
    from tfft.transfer.state import TrainingState
    from tfft.transfer.train import prepare_training, run_phase

    values["train"] = {"phases": [{"solver": "linear"}]}
    probe = recipe_from_dict(values)
    with tempfile.TemporaryDirectory() as directory:
        training = prepare_training(probe, create_run(probe, Path(directory) / "run"), progress)
        images = training.plan.images
        if not images["validation"]:
            raise RecipeError("advice needs validation images: set data.validation_fraction")
        state = TrainingState()
        try:
            run_phase(training, training.plan.phases[0], state)
        finally:
            training.history.close()
        ((name, head),) = training.classifier.heads.items()
        top1 = float(state.history[-1][f"validation/{name}/top1"])
        return top1, images["train"], head.size.outputs, images["validation"]


def _following(recipe: Recipe, strategy: str) -> Recipe:
    values = recipe.model_dump(mode="json")
    del values["train"]["phases"]
    if strategy == "head_only":
        values["train"]["phases"] = [{"solver": "linear", "refit": True}]
    else:
        values["train"]["strategy"] = {"kind": strategy, "augment": "random_crop"}
    return recipe_from_dict(values)
