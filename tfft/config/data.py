"""The `data:` and `image:` sections: which pictures, which split, which pixels.

A source of pictures is a section here, with what lies between its values (`faults`), and the module
of `tfft.data.sources` that lists its images; `tfft.data.load` says which belongs to which.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from tfft.catalog.image_size import ImageSize, image_size
from tfft.config.base import BELOW, Fraction, PositiveInt, Section

Augmentation = Literal["none", "flip", "random_crop", "random_crop_color", "rand_augment"]


# A level of red, green or blue.
Level = Annotated[int, Field(ge=0, le=255)]


class _Images(Section):
    """What a recipe says of any source of images."""

    # Whether the images are listed in columns, of which `groups` may name one.
    has_columns: ClassVar[bool] = False

    validation_fraction: Fraction = Field(
        default=0.1,
        description="share of the training images kept for validation, of each class on the "
        "average, where the source has no validation split",
    )
    fraction: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        default=1.0,
        description="share of the training images that is used, stratified by class; a smaller "
        "share is always a part of a larger one; validation and test images stay as they are",
    )
    limit_per_class: PositiveInt | None = Field(
        default=None, description="training images of each class that are used, at most"
    )
    split_seed: int = Field(
        default=0, ge=0, description="seed of the splits; the same images whatever `seed` is"
    )
    split_by: Literal["content", "name"] = Field(
        default="content",
        description="what decides which split an image is cut to. content: its bytes, so that "
        "copies stay together, and an image keeps its split when it is renamed and when others are "
        "added; name: its name, as in runs whose recipe does not say, which parts copies, and "
        "moves some images when others are added",
    )
    split_like: Path | None = Field(
        default=None,
        description="a run, or a CSV file of `tfft data split`, whose splits are taken over: "
        "training images of the source that it knows are in the split that they were in, and "
        "others are split as ever",
    )
    groups: str | None = Field(
        default=None,
        description="what no cut may part, such as the photos of one patient, or of one video: the "
        "name of a manifest's column, or a regular expression with one group in parentheses that "
        "finds it in an image's path, such as patient_(\\d+)",
    )
    on_bad_image: Literal["stop", "skip"] = Field(
        default="stop",
        description="files that are no readable images: stop and name all of them, or go on "
        "without them and record which",
    )
    on_corrupt_image: Literal["warn", "stop", "skip"] = Field(
        default="warn",
        description="images whose data are corrupt but can be decoded, such as a JPEG whose data "
        "end too early: say so and go on, stop there, or go on without them and record which",
    )
    on_label_conflict: Literal["warn", "stop", "skip"] = Field(
        default="warn",
        description="equal images under two labels: name all of them and go on, stop there, "
        "or go on without them and record which",
    )
    test_fraction: Fraction = Field(
        default=0.2,
        description="share of the images kept for testing, of each class on the average, where the "
        "source has no test split",
    )

    def faults(self) -> Iterator[tuple[str, str]]:
        """Yields the key and the sentence of each fault that lies between the values."""
        if self.groups is None:
            return
        if self.split_by == "name":
            yield "groups", "belongs to split_by: content; by their names alone images are parted"
        if self.has_columns and "(" not in self.groups:  # a column, looked for when it is read
            return
        try:
            found = re.compile(self.groups).groups
        except re.error as error:
            yield "groups", f"is no regular expression: {error}. Received: {self.groups}"
            return
        if found != 1:
            yield (
                "groups",
                "must be a regular expression with one group in parentheses, such as "
                f"patient_(\\d+). Received: {self.groups}",
            )


# The keys that `--data` keeps.
KEYS_OF_ANY_SOURCE = tuple(_Images.model_fields)


class _Files(_Images):
    """What a recipe says of images that are a file each."""

    labels: Path | None = Field(
        default=None,
        description="a CSV file with the columns path and label, whose labels hold in place of "
        "those that the images came with: an empty one removes an image, a new one makes a class. "
        "A path is relative to the directory, or as the manifest has it; `--labels FILE` sets it",
    )


class TfdsData(_Images):
    """An image classification set of TensorFlow Datasets."""

    kind: Literal["tfds"]
    name: str = Field(description="the set's name in TFDS, such as stanford_dogs")
    data_dir: Path | None = Field(
        default=None, description="where TFDS keeps prepared sets; default: TFDS's own default"
    )
    archives: Path | None = Field(
        default=None,
        description="a directory with the source's own archives, prepared without network "
        "(stanford_dogs)",
    )
    subset: bool = Field(
        default=False,
        description="the archives are a subset of the official ones: their checksums differ",
    )
    crop_to_box: bool = Field(
        default=False, description="cut each photo to its annotated bounding box"
    )
    train_split: str = Field(default="train", description="name of the training split")
    validation_split: str | None = Field(
        default=None, description="name of the validation split, where the set has one"
    )
    test_split: str | None = Field(
        default="test", description="name of the test split; null: cut test_fraction from training"
    )

    def faults(self) -> Iterator[tuple[str, str]]:
        yield from super().faults()
        if self.archives is not None and self.name != "stanford_dogs":
            yield (
                "archives",
                "belongs to data.name: stanford_dogs; TFDS prepares other sets itself. "
                f"Received: name: {self.name}",
            )
        if self.subset and self.archives is None:
            yield "subset", "is about data.archives, which is not set"


class ImageFolderData(_Files):
    """A directory with one folder a class, or with train/, validation/, test/ folders of such."""

    kind: Literal["image_folder"]
    path: Path | None = Field(default=None, description="the directory; `--data DIR` sets it")
    folders: Literal["auto", "classes"] = Field(
        default="auto",
        description="what its folders are. auto: splits, if one called train or the like holds "
        "folders, otherwise classes; classes: classes, whatever they are called and hold",
    )

    def faults(self) -> Iterator[tuple[str, str]]:
        yield from super().faults()
        if self.path is None:
            yield (
                "path",
                "which images? Give --data DIR, a directory with one folder a class, or set "
                "data.path",
            )


class ManifestData(_Files):
    """A CSV file with the columns path, label and optionally split (train, validation, test)."""

    kind: Literal["manifest"]
    has_columns: ClassVar[bool] = True
    path: Path | None = Field(
        default=None, description="the CSV file; its paths are relative to its directory"
    )

    def faults(self) -> Iterator[tuple[str, str]]:
        yield from super().faults()
        if self.path is None:
            yield "path", "which images? Give --data FILE.csv, or set data.path"


class DigitsData(_Images):
    """scikit-learn's 1,797 images of handwritten digits, 8x8 pixels, embedded in scikit-learn."""

    kind: Literal["digits"]
    # Their files are written here, and another PNG encoder writes other bytes; none is there twice.
    split_by: Literal["content", "name"] = Field(
        default="name", description="as for other sources; the digits' names are the same anywhere"
    )


DataConfig = Annotated[
    TfdsData | ImageFolderData | ManifestData | DigitsData, Field(discriminator="kind")
]


class ImageConfig(Section):
    """How an encoded image becomes the pixels that the model sees, in evaluation and serving."""

    size_px: PositiveInt | tuple[PositiveInt, PositiveInt] | None = Field(
        default=None,
        description="height and width of the model's input: one number, or [height, width]; "
        "default: the backbone's",
    )
    fit: Literal["crop", "stretch", "letterbox"] = Field(
        default="crop",
        description="crop: resize the shorter side to resize_px, then cut out the centre; stretch: "
        "resize both sides to size_px; letterbox: resize to what fits into size_px and fill the "
        "rest with the colour of fill",
    )
    fill: tuple[Level, Level, Level] | None = Field(
        default=None,
        description="with fit: letterbox, the colour around the image: red, green, blue, 0..255; "
        "in an alpha channel it is transparent; default: grey, [128, 128, 128]",
    )
    resize_px: PositiveInt | None = Field(
        default=None,
        description="with fit: crop, the shorter side before the centre is cut; default: size_px",
    )
    interpolation: Literal["bilinear", "bicubic"] = Field(
        default="bilinear", description="kernel of resizing, antialiased in either case"
    )
    channels: Annotated[int, Field(ge=1, le=4)] = Field(
        default=3, description="1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGB, alpha)"
    )
    adapter: Literal["repeat", "inflate", "conv"] | None = Field(
        default=None,
        description="how other channels than RGB reach the backbone, inside the model. repeat: "
        "their mean, three times; inflate: the backbone's first kernels dealt out to them; conv: a "
        "1x1 convolution that starts as inflate and is trained with the heads",
    )
    backbone_px: PositiveInt | tuple[PositiveInt, PositiveInt] | None = Field(
        default=None,
        description="height and width to which the model enlarges its input for the backbone, "
        "where size_px is too small for it: one number, or [height, width]; default: size_px",
    )

    @field_validator("size_px", "backbone_px", mode="before")
    @classmethod
    def _size(cls, value: Any) -> Any:
        """Makes one number of two equal ones, and one fault of two members of a union."""
        if value is None:
            return None
        found = tuple(value) if isinstance(value, list | tuple) else (value, value)
        if len(found) == 2 and all(type(side) is int and 0 < side < BELOW for side in found):
            return image_size(found[0], found[1])
        raise PydanticCustomError(
            "image_size", "must be a whole number of pixels above 0, or [height, width]"
        )

    @property
    def model_px(self) -> ImageSize | None:
        """Height and width of what the backbone takes; None: its own default."""
        return self.backbone_px or self.size_px
