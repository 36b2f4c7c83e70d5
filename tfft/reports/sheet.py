"""A sheet of pictures: what the images are, and what augmentation does to them, before training."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tfft.config.recipe import Recipe
from tfft.config.train import GradientPhase
from tfft.data.examples import Images
from tfft.data.findings import class_sizes
from tfft.data.index import ImageIndex, repetitions
from tfft.data.split_list import target_texts
from tfft.images.inspect import image_size
from tfft.images.spec import PixelSpec
from tfft.reports.names import display_names
from tfft.reports.page import page
from tfft.reports.photos import data_uri, in_rgb
from tfft.system.files import atomic_path, require_output, write_text
from tfft.system.printable import printable_name
from tfft.system.progress import SILENT, Progress
from tfft.system.readable import Readable, by_name, counted
from tfft.transfer.description import load_of_recipe
from tfft.version import __version__

_SUFFIXES = (".html", ".png")
# Pictures in a row of a PNG file are this large, in pixels.
_SIDE_PX, _GAP_PX, _TEXT_PX = 128, 8, 15
# So many fit beside each other at least, for the text above them.
_LEAST_COLUMNS = 4


@dataclass(frozen=True, eq=False)
class Picture:
    """One image of the sheet.

    Attributes:
        path: Name of the image.
        label: Its class, or what else its first head predicts, as text.
        width: Width of the upright image in pixels.
        height: Height of the upright image in pixels.
        exact: What a model sees of it in an evaluation, uint8 [height, width, channels].
        views: What it sees in training by preset of augmentation, uint8 [views, height, width,
            channels] each.
    """

    path: str
    label: str
    width: int
    height: int
    exact: np.ndarray
    views: dict[str, np.ndarray]


@dataclass(frozen=True, eq=False, repr=False)
class Sheet(Readable):
    """Some training images as a model sees them, without and with augmentation.

    Attributes:
        name: Name of the set.
        images: Number of images by split.
        classes: Number of classes.
        sizes: Smallest and largest class, as `tfft data check` has them; None where there are not
            two.
        size_px: Height and width of what a model sees.
        phases: For each preset of augmentation, the phases of the recipe that train with it.
        mixed: Phases that mix images in pairs, which is done in a batch and not shown.
        pictures: The images, by class.
        notes: Remarks about the images.
    """

    name: str
    images: dict[str, int]
    classes: int
    sizes: dict[str, Any] | None
    size_px: tuple[int, int]
    phases: dict[str, tuple[int, ...]]
    mixed: tuple[int, ...]
    pictures: tuple[Picture, ...]
    notes: tuple[str, ...] = field(default=())

    def lines(self) -> list[str]:
        height, width = self.size_px
        return [
            f"{self.name}: {counted(sum(self.images.values()), 'image')}, {self.classes} classes",
            by_name(self.images),
            f"{counted(len(self.pictures), 'picture')} of {height} x {width} px",
            *self.remarks(),
            *self.notes,
        ]

    def remarks(self) -> list[str]:
        """Returns what is to be known of the views, a line each."""
        if not self.phases:
            lines = ["no phase of the recipe augments: every epoch sees the images as they are"]
        else:
            found = self.phases.items()
            lines = [f"{name}: {_phases_text(phases)}" for name, phases in found if phases]
        if self.mixed:
            lines.append(f"{_phases_text(self.mixed)} mixes images in pairs, which is not shown")
        return lines

    def to_json(self) -> dict[str, Any]:
        """Returns what ``tfft data show --json`` prints, without pixels."""
        return {
            "name": self.name,
            "images": self.images,
            "classes": self.classes,
            "class_sizes": self.sizes,
            "size_px": list(self.size_px),
            "augmentations": {name: list(phases) for name, phases in self.phases.items()},
            "mixed": list(self.mixed),
            "pictures": [
                {"path": p.path, "label": p.label, "width": p.width, "height": p.height}
                for p in self.pictures
            ],
            "notes": list(self.notes),
        }

    def write(self, path: str | Path) -> None:
        """Writes the sheet: one HTML page that needs no other file, or a PNG picture.

        Args:
            path: The file, ``.html`` or ``.png``; one that is there is replaced.

        Raises:
            UsageError: Its name ends otherwise.
            TfftError: The disk is full, or `path` cannot be written to.
        """
        path = Path(path)
        require_sheet_file(path)
        if path.suffix == ".html":
            write_text(path, page("sheet.html", self._values()))
            return
        with atomic_path(path) as temporary:
            self._drawn().save(temporary, "PNG", optimize=True)

    def _repr_html_(self) -> str:
        return page("sheet_cell.html", self._values())

    def _values(self) -> dict[str, Any]:
        """Returns the values of the variables in ``templates/sheet.html``."""
        labels = display_names([picture.label for picture in self.pictures])
        return {
            "name": printable_name(self.name),
            "images": self.images,
            "classes": self.classes,
            "sizes": self.sizes,
            "height": self.size_px[0],
            "width": self.size_px[1],
            "remarks": [printable_name(line) for line in self.remarks()],
            "notes": [printable_name(note) for note in self.notes],
            "augmentations": list(self.phases),
            "pictures": [
                {
                    "path": printable_name(picture.path),
                    "label": label,
                    "size": f"{picture.width} x {picture.height} px",
                    "exact": data_uri(picture.exact),
                    "views": {
                        name: [data_uri(view) for view in views]
                        for name, views in picture.views.items()
                    },
                }
                for picture, label in zip(self.pictures, labels, strict=True)
            ],
            "version": __version__,
        }

    def _drawn(self) -> Image.Image:
        """Returns the sheet as one picture: a row an image, its label above."""
        rows = [
            [picture.exact, *(view for views in picture.views.values() for view in views)]
            for picture in self.pictures
        ]
        step, line = _SIDE_PX + _GAP_PX, _TEXT_PX + _SIDE_PX + 2 * _GAP_PX
        size = (max(_LEAST_COLUMNS, *map(len, rows)) * step + _GAP_PX, len(rows) * line + _GAP_PX)
        sheet = Image.new("RGB", size, "white")
        draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(_TEXT_PX)
        for number, (picture, row) in enumerate(zip(self.pictures, rows, strict=True)):
            top = _GAP_PX + number * line
            text = printable_name(f"{picture.label}: {picture.path}")
            draw.text((_GAP_PX, top), text, "black", font)
            for place, pixels in enumerate(row):
                image = Image.fromarray(in_rgb(pixels).astype(np.uint8))
                image = image.resize((_SIDE_PX, _SIDE_PX), Image.Resampling.LANCZOS)
                sheet.paste(image, (_GAP_PX + place * step, top + _TEXT_PX + _GAP_PX // 2))
        return sheet


def require_sheet_file(path: Path) -> None:
    """Requires that a sheet can be written to a file, before it is made.

    Raises:
        UsageError: Its name ends otherwise than a sheet's.
        TfftError: Its directory cannot be written to.
    """
    require_output(path, _SUFFIXES, f"a sheet is a file {' or '.join(_SUFFIXES)}")


def make_sheet(
    recipe: Recipe,
    *,
    pictures: int = 12,
    views: int = 4,
    augmentation: str | None = None,
    progress: Progress = SILENT,
) -> Sheet:
    """Looks at some training images as the model of a recipe would see them.

    The images are of as many classes as there is room for, and the same ones every time. The views
    are those of the first epochs of a training with the recipe's seed.

    Args:
        recipe: The recipe.
        pictures: Number of images.
        views: Number of augmented views of each image, by each preset.
        augmentation: A preset of `tfft.config.data.Augmentation`; default: those that the recipe's
            phases train with.
        progress: Where the work is reported.

    Raises:
        DataError: The images are not what the recipe says, or none are for training.
        BackboneError: The backbone, which says how large its images are, cannot be built.
    """
    data = load_of_recipe(recipe, progress)
    pixels = _pixels(recipe, progress)
    train = data.splits["train"]
    target = next(iter(recipe.heads.values())).target
    index = train.take(_chosen(train, pictures, recipe.seed))
    phases = _augmenting(recipe) if augmentation is None else {augmentation: ()}
    seen = Images(index, pixels)
    (exact,) = _views(seen, "none", 1, recipe.seed)
    by_preset = {
        name: np.stack(list(_views(seen, name, views, recipe.seed)), axis=1) for name in phases
    }
    sizes = [image_size(index.read(place)) for place in range(len(index))]
    labels = list(target_texts(data, index, target))
    counts = np.bincount(train.targets["label"], minlength=len(data.class_names["label"]))
    names = data.class_names["label"]
    return Sheet(
        name=data.name,
        images={split: count for split, count in data.counts.items() if count},
        classes=len(names),
        sizes=class_sizes({"train": dict(zip(names, counts.tolist(), strict=True))}),
        size_px=(pixels.height, pixels.width),
        phases=phases,
        mixed=tuple(
            number
            for number, phase in enumerate(recipe.train.phases, start=1)
            if isinstance(phase, GradientPhase) and phase.mix is not None
        ),
        pictures=tuple(
            Picture(
                path=index.ids[place],
                label=labels[place],
                width=width,
                height=height,
                exact=exact[place],
                views={name: found[place] for name, found in by_preset.items()},
            )
            for place, (height, width) in enumerate(sizes)
        ),
        notes=data.notes,
    )


def _pixels(recipe: Recipe, progress: Progress) -> PixelSpec:
    """Returns the pixels that the model of a recipe takes; no weights are looked for."""
    from tfft.backbones.build import build_backbone
    from tfft.model.assemble import pixel_spec
    from tfft.transfer.prepare import without_weights

    if recipe.image.size_px:
        return pixel_spec(recipe.image, recipe.image.size_px)
    backbone = build_backbone(
        without_weights(recipe).backbone, recipe.image.model_px, recipe.seed, progress
    )
    return pixel_spec(recipe.image, backbone.spec.default_size_px)


def _chosen(index: ImageIndex, count: int, seed: int) -> np.ndarray:
    """Returns positions of some images, int64: one of each class, then a second one of each, ….

    They are ordered by class.
    """
    order = np.random.default_rng(seed).permutation(len(index))
    labels = index.targets["label"][order]
    first = order[np.argsort(repetitions(labels), kind="stable")][:count]
    return first[np.argsort(index.targets["label"][first], kind="stable")]


def _augmenting(recipe: Recipe) -> dict[str, tuple[int, ...]]:
    """Returns the presets that a recipe trains with, each with the numbers of its phases."""
    found: dict[str, tuple[int, ...]] = {}
    for number, phase in enumerate(recipe.train.phases, start=1):
        if isinstance(phase, GradientPhase) and phase.augment != "none":
            found[phase.augment] = (*found.get(phase.augment, ()), number)
    return found


def _views(images: Images, augmentation: str, epochs: int, seed: int) -> Iterator[np.ndarray]:
    """Yields what each of the first epochs sees of images, uint8 [n, height, width, channels]."""
    batches = images.training_batches(
        len(images),
        order=lambda _: np.arange(len(images)),
        augmentation=augmentation,
        seed=seed,
        epochs=range(epochs),
    )
    for batch in batches:
        yield np.clip(np.rint(batch["inputs"].numpy()), 0, 255).astype(np.uint8)


def _phases_text(phases: Sequence[int]) -> str:
    return f"phase{'s' if len(phases) > 1 else ''} {', '.join(map(str, phases))}"
