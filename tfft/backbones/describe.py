"""The facts about a built backbone, for people and programs."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from tfft.backbones.backbone import Backbone
from tfft.catalog.image_size import ImageSize, image_size, sides_text
from tfft.catalog.spec import PREPROCESSED_PIXELS
from tfft.system.readable import Readable, counted


@dataclass(frozen=True)
class BlockDescription:
    """A block of a backbone.

    Attributes:
        name: Name of the block.
        parameters: Number of trainable parameters.
        batch_norms: Number of batch normalisations.
        parts: Names of its parts, which the patterns of a recipe can match besides the block's.
    """

    name: str
    parameters: int
    batch_norms: int
    parts: tuple[str, ...]


@dataclass(frozen=True, repr=False)
class BackboneDescription(Readable):
    """A built backbone.

    Attributes:
        name: Name of the backbone, as recipes spell it or as its file says.
        kind: Kind of backbone, as in `backbone.kind` of a recipe.
        size_px: Height and width of its images in pixels.
        input_range: How it takes pixels, in words.
        output_shape: Shape of its activations or features, without the batch.
        parameters: Number of all parameters.
        trainable: Number of trainable parameters.
        runs_whole: Whether it is one function that cannot be cut between its blocks.
        blocks: Its blocks from input to output.
        source: Page, path or address that it comes from.
        licence: Licence of its weights.
        sha256: SHA-256 of a module's files, which a recipe can pin; None for other kinds.
    """

    name: str
    kind: str
    size_px: ImageSize
    input_range: str
    output_shape: tuple[int, ...]
    parameters: int
    trainable: int
    runs_whole: bool
    blocks: tuple[BlockDescription, ...]
    source: str
    licence: str
    sha256: str | None

    def lines(self) -> list[str]:
        shape = " x ".join(map(str, self.output_shape))
        return [
            f"{self.name} at {sides_text(self.size_px)} px: "
            f"{counted(self.parameters, 'parameter')}, "
            + ("runs whole" if self.runs_whole else f"{len(self.blocks)} blocks"),
            f"kind {self.kind}, pixels {self.input_range}, output {shape}",
            *([] if self.runs_whole else [f"blocks: {', '.join(b.name for b in self.blocks)}"]),
            f"source: {self.source}, licence: {self.licence}",
            *([f"sha256: {self.sha256}"] if self.sha256 else []),
        ]

    def to_json(self) -> dict[str, Any]:
        """Returns the description as JSON values."""
        return asdict(self)


def describe(backbone: Backbone) -> BackboneDescription:
    """Describes a built backbone."""
    spec, model = backbone.spec, backbone.model
    blocks = tuple(
        BlockDescription(
            block.name,
            sum(math.prod(variable.shape) for variable in block.weights),
            len(block.batch_norms),
            tuple(part.names[0] for part in block.parts if part.weights or part.batch_norm),
        )
        for block in backbone.blocks
    )
    return BackboneDescription(
        name=spec.name,
        kind=spec.kind,
        size_px=image_size(*model.input_shape[1:3]),
        input_range=PREPROCESSED_PIXELS[spec.preprocessing],
        output_shape=tuple(model.output_shape[1:]),
        parameters=model.count_params(),
        trainable=sum(block.parameters for block in blocks),
        runs_whole=backbone.opaque,
        blocks=blocks,
        source=spec.source,
        licence=spec.licence,
        sha256=backbone.source_sha256,
    )
