"""What a backbone is, once it is built: for people and programs."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from tfft.backbones.backbone import Backbone, Block
from tfft.system.readable import Readable, counted

_INPUT_RANGES = {
    "none": "0 … 255",
    "tf": "-1 … 1",
    "unit": "0 … 1",
    "lite": "(x - 127) / 128",
    "torch": "ImageNet mean and deviation",
    "caffe": "BGR, minus the ImageNet mean",
}


@dataclass(frozen=True)
class BlockDescription:
    """A block, with the number of its parameters that gradients train and of its BatchNorms.

    Attributes:
        parts: what patterns can name, beside the block itself.
    """

    name: str
    parameters: int
    batch_norms: int
    parts: tuple[str, ...]


@dataclass(frozen=True, repr=False)
class BackboneDescription(Readable):
    """A built backbone.

    Attributes:
        size_px: height and width of its images; input_range: what they become before it.
        output_shape: of its activations, or of its features, without batch.
        parameters: all; trainable: those that gradients train.
        runs_whole: it cannot be cut between its blocks.
        source: where it is from; licence: of its weights.
        sha256: of a module's files, to pin it with; None for others.
    """

    name: str
    kind: str
    size_px: int
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
            f"{self.name} at {self.size_px} px: {counted(self.parameters, 'parameter')}, "
            + ("runs whole" if self.runs_whole else f"{len(self.blocks)} blocks"),
            f"kind {self.kind}, pixels {self.input_range}, output {shape}",
            *([] if self.runs_whole else [f"blocks: {', '.join(b.name for b in self.blocks)}"]),
            f"source: {self.source}, licence: {self.licence}",
            *([f"sha256: {self.sha256}"] if self.sha256 else []),
        ]

    def to_json(self) -> dict[str, Any]:
        """Returns it as JSON values."""
        return asdict(self)


def describe(backbone: Backbone) -> BackboneDescription:
    """Describes a built backbone."""
    spec, model = backbone.spec, backbone.model
    blocks = tuple(_block(block) for block in backbone.blocks)
    return BackboneDescription(
        name=spec.name,
        kind=spec.kind,
        size_px=model.input_shape[1],
        input_range=_INPUT_RANGES[spec.preprocessing],
        output_shape=tuple(model.output_shape[1:]),
        parameters=model.count_params(),
        trainable=sum(block.parameters for block in blocks),
        runs_whole=backbone.opaque,
        blocks=blocks,
        source=spec.source,
        licence=spec.licence,
        sha256=backbone.source_sha256,
    )


def _block(block: Block) -> BlockDescription:
    return BlockDescription(
        block.name,
        sum(math.prod(variable.shape) for variable in block.weights),
        len(block.batch_norms),
        tuple(part.names[0] for part in block.parts if part.weights or part.batch_norm),
    )
