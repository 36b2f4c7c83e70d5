"""Which strategy to start with, from the number of images and probes of the backbone by depth."""

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfft.config.loading.load import dump_recipe, recipe_from_dict
from tfft.config.recipe import Recipe
from tfft.errors import RecipeError
from tfft.metrics.commonest import CommonestClass
from tfft.studies.arms import forget_source
from tfft.system.files import write_text
from tfft.system.progress import SILENT, Progress
from tfft.system.readable import Readable

if TYPE_CHECKING:
    from tfft.transfer.probes.probe import Probe

# Training images per class below which only few blocks can be trained without overfitting, and
# above which all can.
_FEW, _MANY = 50, 300
# A head on fixed features with this top-1 leaves little to gain.
_NEARLY_ALL = 0.95
# The source is far from the images if its features get less than this share right of what random
# features of the same backbone get wrong.
_NEAR = 0.3
# Number of blocks that are trained where the probe by depth says nothing, and the largest number.
_BLOCKS = {"partial": 2, "progressive": 3}
_MOST_BLOCKS = 4


@dataclass(frozen=True)
class Probes:
    """The measurements that advice is based on.

    Attributes:
        train_images: Number of training images.
        classes: Number of classes.
        validation_images: Number of images that the probes were measured on.
        probe_top1: Validation top-1 of a linear head on the pretrained features.
        random_top1: Validation top-1 of a linear head on the features of the same backbone with
            random weights.
        carries_to: The first block whose output is not shown to be worse than the best block's.
        carries_top1: Validation top-1 of a linear head on the output of that block.
        blocks_above: Number of blocks above that block.
        commonest: What always answering with the commonest class reaches on the validation images.
    """

    train_images: int
    classes: int
    validation_images: int
    probe_top1: float
    random_top1: float
    carries_to: str = ""
    carries_top1: float = 0.0
    blocks_above: int = 0
    commonest: CommonestClass | None = None

    @property
    def images_of_a_class(self) -> float:
        return self.train_images / self.classes

    @property
    def similarity(self) -> float:
        """The share that pretrained features get right of what random features get wrong."""
        left = 1.0 - self.random_top1
        return (self.probe_top1 - self.random_top1) / left if left > 0 else 0.0


@dataclass(frozen=True, repr=False)
class Advice(Readable):
    """A recommended strategy.

    Attributes:
        strategy: A strategy of `train.strategy`, which `tfft compare` takes too.
        reason: Why, in one sentence.
        probes: Measurements that the advice rests on.
        depth: The probe of each block.
        recipe: The recipe with the schedule of the strategy.
    """

    strategy: str
    reason: str
    probes: Probes
    depth: "Probe"
    recipe: Recipe

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
        similarity = round(self.probes.similarity, 4)
        return {
            "strategy": self.strategy,
            "reason": self.reason,
            **asdict(self.probes),
            "similarity": similarity,
            "blocks": self.depth.to_json()["blocks"],
        }


def advise(recipe: Recipe, *, progress: Progress = SILENT) -> Advice:
    """Probes the backbone of a recipe on its images and recommends a strategy.

    The features are cached where training finds them again.

    Raises:
        RecipeError: The recipe does not have exactly one head, for classification, or no
            validation images.
        UsageError: The backbone cannot be built with random weights.
        DataError: The images are not what the recipe says.
    """
    if [head.kind for head in recipe.heads.values()] != ["classification"]:
        raise RecipeError("advice is for a recipe with one head, which classifies")
    from tfft.transfer.probes.probe import probe_recipe

    untrained = recipe.model_dump(mode="json")
    forget_source(untrained)
    progress.message("probe of the pretrained features")
    pretrained = _probe(recipe.model_dump(mode="json"), progress)
    progress.message("probe of the same backbone with random weights")
    random = _probe(untrained, progress)
    progress.message("probe of the output of each block")
    depth = probe_recipe(recipe, progress=progress)
    inner = depth.sufficient
    probes = Probes(
        *pretrained[1:],
        pretrained[0],
        random[0],
        inner.block,
        inner.top1,
        depth.blocks_above,
        depth.commonest,
    )
    strategy, reason = recommend(probes)
    return Advice(strategy, reason, probes, depth, following(recipe, strategy, probes))


def recommend(probes: Probes) -> tuple[str, str]:
    """Returns a strategy and the reason in one sentence.

    Source: after Yosinski et al. 2014: number of images against distance of the features.
    """
    each = f"{probes.images_of_a_class:.0f} training images per class"
    probe = f"{probes.probe_top1:.1%} of the validation images"
    features = (
        f"a linear head on the pretrained features gets {probe} right, "
        f"on random ones {probes.random_top1:.1%}"
    )
    if probes.commonest and (doubt := probes.commonest.doubt(probes.probe_top1)):
        # Fine-tuning may still find what the features lack, but wrong labels look the same.
        return "lp_ft", (
            f"{features}: {doubt}. Check first that the labels are right (tfft data check) and "
            "that the images show what they name; only changing all blocks could help."
        )
    if probes.probe_top1 >= _NEARLY_ALL:
        return "head_only", f"{features}: more training has little left to gain."
    if probes.similarity < _NEAR:
        far = f"{features}: the source is far from these images{_inner(probes)}"
        if probes.images_of_a_class >= _MANY:
            return "full", (
                f"{far}, and {each} are enough to train everything; compare it with scratch."
            )
        hurts = "; random features do no worse, so transfer may hurt: compare it with scratch"
        return "lp_ft", (
            f"{far}, so all blocks have to change, but gently, since {each} are few"
            f"{hurts if probes.similarity <= 0 else ''}."
        )
    if probes.images_of_a_class < _FEW:
        return "partial", (
            f"{features}, and with {each} only the last blocks can be trained safely"
            f"{_depth(probes, 'partial')}."
        )
    if probes.images_of_a_class < _MANY:
        return "progressive", (
            f"{features}, and {each} are enough for the last blocks, one after the other"
            f"{_depth(probes, 'progressive')}."
        )
    return "lp_ft", f"{features}, and {each} are enough to fine-tune everything from there."


def blocks_to_train(probes: Probes, strategy: str) -> int:
    """Returns how many blocks `partial` or `progressive` trains: those that do not carry over."""
    if not probes.blocks_above:
        return _BLOCKS[strategy]
    return min(probes.blocks_above, _MOST_BLOCKS)


def _inner(probes: Probes) -> str:
    """Says if a block inside serves better than the output of the backbone."""
    if not probes.blocks_above or probes.carries_top1 <= probes.probe_top1:
        return ""
    return (
        f" at its output, while a head on {probes.carries_to}, {probes.blocks_above} blocks below, "
        f"gets {probes.carries_top1:.1%} right"
    )


def _depth(probes: Probes, strategy: str) -> str:
    """Says which blocks are trained, and why."""
    if not probes.blocks_above:
        return ""
    blocks, above = blocks_to_train(probes, strategy), probes.blocks_above
    trained = f"the {above} blocks" if blocks == above else f"the last {blocks} of {above} blocks"
    return (
        f"; no block is shown to serve these classes better than {probes.carries_to}, "
        f"so {trained} above it are trained"
    )


def _probe(values: dict[str, Any], progress: Progress) -> tuple[float, int, int, int]:
    """Solves a linear head.

    Returns:
        Its validation top-1, and the numbers of training images, classes and validation images.
    """
    from tfft.runs.run import create_run
    from tfft.transfer.checkpoints import TrainingState
    from tfft.transfer.phases.session import prepare_session
    from tfft.transfer.train import run_phase

    values["train"] = {"phases": [{"solver": "linear"}]}
    probe = recipe_from_dict(values)
    with tempfile.TemporaryDirectory() as directory:
        training = prepare_session(probe, create_run(probe, Path(directory) / "run"), progress)
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


def following(recipe: Recipe, strategy: str, probes: Probes) -> Recipe:
    """Returns the recipe with another schedule: that of a recommended strategy."""
    values = recipe.model_dump(mode="json")
    del values["train"]["phases"]
    if strategy == "head_only":
        values["train"]["strategy"] = strategy
    else:
        values["train"]["strategy"] = {"kind": strategy, "augment": "random_crop"}
        if strategy in _BLOCKS:
            values["train"]["strategy"]["blocks"] = blocks_to_train(probes, strategy)
    return recipe_from_dict(values)
