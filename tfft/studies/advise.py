"""Which strategy to start with: how much a solved head leaves, and whether fine-tuning pays."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfft.config.loading.load import dump_recipe, recipe_from_dict
from tfft.config.recipe import Recipe
from tfft.errors import RecipeError
from tfft.system.files import write_text
from tfft.system.progress import SILENT, Progress
from tfft.system.readable import Readable

if TYPE_CHECKING:
    from tfft.transfer.probes.fine_tuning import HeadProbe, ShortTraining

# A head with this top-1 leaves little that fine-tuning could gain.
_NEARLY_ALL = 0.98
# With fewer training images of a class, or fewer validation images, fine-tuning was never shown to
# gain anything (docs/did-transfer-help.md), and too few images are left to see whether it does.
_FEW_OF_A_CLASS, _FEW_TO_JUDGE = 25, 50
# What is recommended where fine-tuning pays: from a head at zero, with which the features change
# more than from the solved one, and gained more where they had to (docs/compare.md).
_FULL = {"kind": "full", "epochs": 8, "learning_rate": 1e-4, "augment": "random_crop"}
# The short training starts from the solved head, so that a few steps say something.
_SHORT = {**_FULL, "kind": "lp_ft"}
# The solved head is the best on the features as they are: a training that comes back to its loss,
# but for this factor, within a quarter of the epochs is on its way to better features.
_NO_WORSE = 1.05
# Gains of top-1 from more images that are worth a word.
_GAIN = 0.01


@dataclass(frozen=True, repr=False)
class Advice(Readable):
    """A recommended strategy, and what was measured on a sample of the images.

    Attributes:
        strategy: A strategy of `train.strategy`, which `tfft compare` takes too.
        reason: Why, in a few sentences.
        recipe: The recipe with the schedule that is recommended.
        train_images: Number of training images.
        classes: Number of classes.
        head: How well a solved head does on the features as they are.
        fine_tuning: What a short training of everything reached; None: other measurements had
            decided.
    """

    strategy: str
    reason: str
    recipe: Recipe
    train_images: int
    classes: int
    head: "HeadProbe"
    fine_tuning: "ShortTraining | None" = None

    def write(self, path: Path) -> None:
        """Writes the recipe, which begins with the reason.

        Raises:
            TfftError: The file cannot be written.
        """
        write_text(path, f"# {self.strategy}: {self.reason}\n{dump_recipe(self.recipe)}")

    def lines(self) -> list[str]:
        return [
            f"{self.strategy}: {self.reason}",
            f"next: advice.write(Path('{self.strategy}.yaml'))",
        ]

    def to_json(self) -> dict[str, Any]:
        """Returns what ``tfft advise --json`` prints, except for the file."""
        return {
            "strategy": self.strategy,
            "reason": self.reason,
            "train_images": self.train_images,
            "classes": self.classes,
            "head": asdict(self.head),
            "fine_tuning": asdict(self.fine_tuning) if self.fine_tuning else None,
        }


def advise(recipe: Recipe, *, progress: Progress = SILENT) -> Advice:
    """Measures the backbone of a recipe on a sample of its images and recommends a strategy.

    The features are cached where training finds them again.

    Raises:
        RecipeError: The recipe does not have exactly one head, for classification, or no
            validation images.
        DataError: The images are not what the recipe says.
        BackboneError: The backbone or its weights cannot be found.
    """
    if [head.kind for head in recipe.heads.values()] != ["classification"]:
        raise RecipeError("advice is for a recipe with one head, which classifies")
    from tfft.transfer.probes.fine_tuning import probe_head, sampled_session, train_briefly

    with sampled_session(_with_strategy(recipe, _SHORT), progress) as sampled:
        images, classes = sampled.train_images, sampled.classes
        head, fine_tuning = probe_head(sampled.session), None
        decided = from_head(
            head,
            images_of_a_class=images / classes,
            validation_images=sampled.validation_images,
            of_the_source=sampled.of_the_source,
        )
        if decided is None:
            progress.message("the head leaves something to gain: training everything, briefly")
            fine_tuning = train_briefly(sampled.session)
            decided = from_fine_tuning(head, fine_tuning)
    strategy, reason = decided
    recommended = following(recipe, strategy)
    return Advice(strategy, reason, recommended, images, classes, head, fine_tuning)


def from_head(
    head: "HeadProbe", *, images_of_a_class: float, validation_images: int, of_the_source: bool
) -> tuple[str, str] | None:
    """Returns a strategy and the reason where the solved head decides, and None where not.

    Args:
        head: What was measured.
        images_of_a_class: Mean number of training images of a class.
        validation_images: Number of validation images.
        of_the_source: Whether the backbone was pretrained on all of these classes.
    """
    found = _found(head)
    if doubt := head.commonest.doubt(head.top1):
        # Fine-tuning may still find what the features lack, but wrong labels look the same.
        return "full", (
            f"{found}: {doubt}. Check first that the labels are right (tfft data check) and that "
            "the images show what they name; only changing all blocks could help."
        )
    if head.top1 >= _NEARLY_ALL:
        return "head_only", f"{found}: more training has little left to gain."
    if of_the_source:
        return "head_only", (
            f"{found}. The backbone was pretrained on these very classes: fewer images of them "
            "have little to add to its features."
        )
    if images_of_a_class < _FEW_OF_A_CLASS:
        return "head_only", (
            f"{found}. With {images_of_a_class:.0f} training images per class, more images gain "
            f"more than fine-tuning{_more_images(head)}."
        )
    if validation_images < _FEW_TO_JUDGE:
        return "head_only", (
            f"{found}. Too few validation images, {validation_images}, to see whether fine-tuning "
            f"gains anything{_more_images(head)}."
        )
    return None


def from_fine_tuning(head: "HeadProbe", after: "ShortTraining") -> tuple[str, str]:
    """Returns a strategy and the reason where a short training of everything decides.

    Args:
        head: How well the solved head does, from which the training started.
        after: What the training reached.
    """
    reached = (
        f"{_found(head)}. A short training of everything took the loss on {after.validation_images}"
        f" validation images from {head.validation_loss:.3f} to {after.loss:.3f}, and top-1 from "
        f"{head.validation_top1:.1%} to {after.top1:.1%}"
    )
    # The loss tells more than top-1, which a few images decide.
    if after.loss <= _NO_WORSE * head.validation_loss:
        return "full", f"{reached}, and a longer one goes on from there."
    return "head_only", f"{reached}: the features lose by it{_more_images(head)}."


def _found(head: "HeadProbe") -> str:
    low, high = head.interval
    return (
        f"a solved head on the features as they are gets {head.top1:.1%} of {head.images:,} images "
        f"right that it was not solved on (95 % interval {low:.1%} to {high:.1%})"
    )


def _more_images(head: "HeadProbe") -> str:
    """Says what more images would gain, if it is worth a word."""
    gain = head.top1 - head.half_top1
    return f" (from half of them to four fifths: {100 * gain:+.1f} points)" if gain > _GAIN else ""


def following(recipe: Recipe, strategy: str) -> Recipe:
    """Returns the recipe with another schedule: that of a recommended strategy."""
    return _with_strategy(recipe, {"kind": strategy} if strategy == "head_only" else _FULL)


def _with_strategy(recipe: Recipe, strategy: dict[str, Any]) -> Recipe:
    values = recipe.model_dump(mode="json")
    del values["train"]["phases"]
    values["train"]["strategy"] = strategy
    if strategy["kind"] != "head_only":
        # The rate was chosen for this optimizer.
        values["train"]["optimizer"] = {"name": "adamw"}
    return recipe_from_dict(values)
