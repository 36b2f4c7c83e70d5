"""Which of several backbones suits the images best, before any of them is trained.

Each backbone's features are computed once (and cached, as a heads-only phase does). Two estimates
of transferability read the training images; a quick linear probe is solved on them and measured on
the validation images. The test images are never read.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from tfft.system.tensorflow import tf

from tfft.backbones.backbone import Backbone
from tfft.backbones.build import build_backbone
from tfft.backbones.split import multiply_adds
from tfft.catalog.image_size import ImageSize, image_size
from tfft.config.loading.named_backbone import NamedBackbone
from tfft.config.model import ClassificationHead, HeadsConfig
from tfft.config.recipe import Recipe
from tfft.data.dataset import ImageData
from tfft.data.examples import Images
from tfft.data.load import load_data
from tfft.errors import BackboneError, DataError, TfftError
from tfft.metrics.commonest import CommonestClass, commonest_class
from tfft.metrics.intervals import Interval, wilson_interval
from tfft.metrics.transferability import h_score, logme
from tfft.model.assemble import build_classifier, pixel_spec
from tfft.model.head_size import HeadSize
from tfft.system.progress import SILENT, Progress
from tfft.system.readable import Readable, by_name, counted, interval_text
from tfft.transfer.frozen.build import frozen_part, read_outputs
from tfft.transfer.linear.penalty import solve_linear_head

# Few candidates of scikit-learn's C: a probe has to be quick and as good for each backbone.
PROBE_CANDIDATES = (0.01, 0.1, 1.0)
# Parameters of the backbones that are kept once they are built: 1 GB. Others are built again.
_KEPT_PARAMETERS = 250_000_000


@dataclass(frozen=True)
class RankedBackbone:
    """One backbone, measured on the images.

    Attributes:
        name: Name of the backbone as the user wrote it.
        size_px: Height and width of its images, in pixels.
        parameters: Number of its parameters.
        multiply_adds: Multiply-adds on one image; 0 for a module, whose operations are not counted.
        features: Features of an image.
        logme: LogME, see `tfft.metrics.transferability.logme`.
        h_score: Shrunk H-score, see `tfft.metrics.transferability.h_score`.
        probe_top1: Top-1 of the linear probe on the validation images.
        probe_interval: 95 % Wilson interval of `probe_top1`.
        feature_seconds: Seconds the features of all images took; almost none if they were cached.
        score_seconds: Seconds LogME and the H-score took together.
        probe_seconds: Seconds the probe took.
    """

    name: str
    size_px: ImageSize
    parameters: int
    multiply_adds: int
    features: int
    logme: float
    h_score: float
    probe_top1: float
    probe_interval: Interval
    feature_seconds: float
    score_seconds: float
    probe_seconds: float


@dataclass(frozen=True, repr=False)
class Ranking(Readable):
    """Backbones, the best probe first.

    Attributes:
        data: Name of the data set.
        images: Number of images that were read, by split.
        classes: Number of classes.
        backbones: The backbones, the best probe first.
        failed: Why a backbone has no place in the ranking, by its name.
        commonest: What always answering with the commonest class reaches on the validation images.
    """

    data: str
    images: dict[str, int]
    classes: int
    backbones: tuple[RankedBackbone, ...]
    failed: dict[str, str] = field(default_factory=dict)
    commonest: CommonestClass | None = None

    @property
    def doubt(self) -> str:
        """Says that the best probe is no better than the commonest class; empty if it is."""
        return self.commonest.doubt(self.backbones[0].probe_top1) if self.commonest else ""

    def lines(self) -> list[str]:
        best = self.backbones[0]
        return [
            f"{counted(len(self.backbones), 'backbone')} on {self.data}: {best.name} is first, "
            f"probe top1 {best.probe_top1:.3f}",
            f"images: {by_name(self.images)}; {self.classes} classes",
            *([f"the best probe, {self.doubt}"] if self.doubt else []),
            *(
                f"{backbone.name}: probe top1 {backbone.probe_top1:.3f}"
                f"{interval_text(backbone.probe_interval)}, LogME {backbone.logme:.3f}"
                for backbone in self.backbones
            ),
            *(f"{name} failed: {why}" for name, why in self.failed.items()),
        ]

    def to_json(self) -> dict[str, Any]:
        """Returns what ``tfft rank --json`` prints."""
        return asdict(self)


def rank(
    recipe: Recipe, backbones: Sequence[NamedBackbone], progress: Progress = SILENT
) -> Ranking:
    """Ranks backbones on the images of a recipe.

    Each is built first, so that one that cannot be is known before features are computed; it is
    left out, as is one that fails later.

    Args:
        recipe: Recipe with the images, their pixels and the seed; its own backbone is not ranked.
        backbones: Backbones to rank; one from a recipe keeps that recipe's pixels.
        progress: Where the work is reported.

    Raises:
        DataError: The images are not what the recipe says, or none are for validation.
        BackboneError: None of them can be ranked; the message says why for each.
    """
    failed: dict[str, str] = {}
    built = _build_all(recipe, backbones, failed, progress)
    data = load_data(recipe.data, progress)
    if not len(data.splits.get("validation", ())):
        raise DataError("a ranking needs validation images: set data.validation_fraction above 0")
    ranked = []
    for named in backbones:
        if named.text not in failed:
            with _noted(named, failed, progress):
                backbone = built.pop(named.text, None) or _build(recipe, named, progress)
                ranked.append(_ranked(recipe, named, backbone, data, progress))
    _require_any(ranked, failed)
    names = data.class_names["label"]
    train, validation = (data.splits[s].targets["label"] for s in ("train", "validation"))
    return Ranking(
        data=data.name,
        images={split: len(data.splits[split]) for split in ("train", "validation")},
        classes=len(names),
        backbones=tuple(sorted(ranked, key=lambda b: (-b.probe_top1, -b.logme))),
        failed=failed,
        commonest=commonest_class(train, validation, names),
    )


def _build_all(
    recipe: Recipe, backbones: Sequence[NamedBackbone], failed: dict[str, str], progress: Progress
) -> dict[str, Backbone]:
    """Builds each backbone, so that what fails is known before any features are computed.

    Returns:
        As many of them, by their texts, as memory is set aside for.
    """
    kept: dict[str, Backbone] = {}
    room = _KEPT_PARAMETERS
    task = progress.start("checking backbones", len(backbones), "backbones")
    try:
        for named in backbones:
            with _noted(named, failed, progress):
                backbone = _build(recipe, named, progress)
                parameters = backbone.model.count_params()
                if parameters <= room:
                    kept[named.text] = backbone
                    room -= parameters
            task.advance()
    finally:
        task.close()
    _require_any([named for named in backbones if named.text not in failed], failed)
    return kept


@contextmanager
def _noted(named: NamedBackbone, failed: dict[str, str], progress: Progress) -> Iterator[None]:
    """Notes why a backbone fails, unless the data are at fault, with which all fail."""
    try:
        yield
    except DataError:
        raise
    except TfftError as error:
        failed[named.text] = str(error)
    except (MemoryError, tf.errors.ResourceExhaustedError):
        failed[named.text] = "not enough memory; a smaller image.size_px needs less"
    if named.text in failed:
        progress.message(f"{named.text} is left out: {failed[named.text]}")


def _require_any(left: Sequence[object], failed: dict[str, str]) -> None:
    if not left:
        raise BackboneError("\n".join(f"{name}: {why}" for name, why in failed.items()))


def _build(recipe: Recipe, named: NamedBackbone, progress: Progress) -> Backbone:
    image = named.image or recipe.image
    return build_backbone(named.config, image.model_px, recipe.seed, progress)


def _ranked(
    recipe: Recipe,
    named: NamedBackbone,
    backbone: Backbone,
    data: ImageData,
    progress: Progress,
) -> RankedBackbone:
    image = named.image or recipe.image
    classes = data.class_names["label"]
    head: HeadsConfig = {"label": ClassificationHead()}
    size = {"label": HeadSize(len(classes), class_names=tuple(classes))}
    classifier = build_classifier(backbone, head, size, image, recipe.seed)
    pixels = pixel_spec(image, backbone.spec.default_size_px)
    started = time.perf_counter()
    # Under the keys of a heads-only phase in float32, with this backbone in the recipe.
    own = {"name": "tfft rank", "backbone": named.config, "image": image}
    policy = {"train": recipe.train.model_copy(update={"mixed_precision": "float32"})}
    frozen = frozen_part(
        recipe.model_copy(update={**own, **policy}), classifier, [len(backbone.blocks)], progress
    )
    train, validation = (
        read_outputs(frozen, Images(data.splits[split], pixels), split)[0]
        for split in ("train", "validation")
    )
    computed = time.perf_counter()
    labels = data.splits["train"].targets["label"]
    logme_score, shrunk_h_score = logme(train, labels), h_score(train, labels)
    scored = time.perf_counter()
    truth = data.splits["validation"].targets["label"]
    solution = solve_linear_head(
        train,
        labels,
        validation,
        truth,
        outputs=len(classes),
        candidates=PROBE_CANDIDATES,
        choose_by="loss",
        refit=False,
        progress=progress,
    )
    top1 = solution.validation[solution.inverse_regularization]["top1"]
    right = round(top1 * len(truth))
    ended = time.perf_counter()
    return RankedBackbone(
        name=named.text,
        size_px=image_size(*backbone.model.input_shape[1:3]),
        parameters=backbone.model.count_params(),
        multiply_adds=0 if backbone.opaque else multiply_adds(backbone, len(backbone.blocks)),
        features=train.shape[1],
        logme=logme_score,
        h_score=shrunk_h_score,
        probe_top1=right / len(truth),
        probe_interval=wilson_interval(right, len(truth)),
        feature_seconds=round(computed - started, 2),
        score_seconds=round(scored - computed, 2),
        probe_seconds=round(ended - scored, 2),
    )
