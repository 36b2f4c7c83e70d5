"""TFLite metadata: what MediaPipe and Android's tools read from a file.

Source: metadata_schema.fbs of TensorFlow Lite (file identifier M001). The packages that write it
need NumPy 1 or protobuf 4, so its tables are built here, by their field numbers in the schema.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

from tfft.exports.outputs import labels_file
from tfft.exports.tflite.file import add_buffer
from tfft.runtime.info import FILE_NAME, HeadInfo, ModelInfo
from tfft.runtime.predictor import answer_name, logits_name
from tfft.system.names import UNLIKENESS

METADATA_NAME = "TFLITE_METADATA"
_FILE_IDENTIFIER = b"M001"
_MIN_PARSER_VERSION = "1.0.0"
# Numbers of the schema.
_TENSOR_AXIS_LABELS, _DESCRIPTIONS = 2, 1
_FEATURE, _IMAGE, _BOUNDING_BOX = 1, 2, 3
_RGB = 1
_BOUNDARIES, _RATIO = 1, 0
_NORMALIZATION = 1


def output_names(info: ModelInfo) -> tuple[str, ...]:
    """Returns the outputs of a file in order: what each head says, the logits, ``unlikeness``."""
    heads = info.heads
    answers = [answer_name(head, heads) for head in heads]
    logits = [name for head in heads if (name := logits_name(head, heads))]
    return (*answers, *logits, *([UNLIKENESS] if info.unsure else []))


def add_metadata(model: Any, info: ModelInfo, version: str, description: str) -> None:
    """Adds the metadata to a model whose outputs are in the order of `output_names`."""
    entry = schema.MetadataT()
    entry.name = METADATA_NAME
    entry.buffer = add_buffer(model, metadata_bytes(info, version, description))
    model.metadata = [*(model.metadata or []), entry]


def metadata_bytes(info: ModelInfo, version: str, description: str) -> bytes:
    """Returns the metadata: one image as input, an output for each answer and its logits.

    Args:
        info: Description of the model.
        version: Version of the export.
        description: Description of the file, a sentence.
    """
    build = _Tables()
    graph = build.table(
        {
            0: build.text(info.name),
            2: build.vector([_input(build, info)]),
            3: build.vector(_outputs(build, info)),
        }
    )
    about = build.file(FILE_NAME, "what tfft knows of the model, JSON", _DESCRIPTIONS)
    root = build.table(
        {
            0: build.text(info.name),
            1: build.text(description),
            2: build.text(version),
            3: build.vector([graph]),
            4: build.text(f"tfft {info.tfft_version}"),
            5: build.text(f"weights of {info.backbone}: {info.licence or 'licence not known'}"),
            6: build.vector([about]),
            7: build.text(_MIN_PARSER_VERSION),
        }
    )
    build.builder.Finish(root, _FILE_IDENTIFIER)
    return bytes(build.builder.Output())


def _input(build: "_Tables", info: ModelInfo) -> int:
    """Adds the image: RGB, 0..255, unscaled; scaling for the backbone is part of the model."""
    pixels = info.pixels
    size = build.table({0: ("Uint32", pixels.width), 1: ("Uint32", pixels.height)})
    image = build.table({0: ("Int8", _RGB), 1: size})
    content = build.table({0: ("Uint8", _IMAGE), 1: image})
    as_it_is = build.table({0: build.floats([0.0]), 1: build.floats([1.0])})
    unit = build.table({0: ("Uint8", _NORMALIZATION), 1: as_it_is})
    return build.table(
        {
            0: build.text("images"),
            1: build.text(f"RGB, 0..255, {pixels.height}x{pixels.width} pixels, not normalised"),
            3: content,
            4: build.vector([unit]),
            5: build.table({0: build.floats([255.0]), 1: build.floats([0.0])}),
        }
    )


def _outputs(build: "_Tables", info: ModelInfo) -> list[int]:
    heads = info.heads
    answers = [_output(build, name, head, answer_name(name, heads)) for name, head in heads.items()]
    logits = [
        _output(build, name, head, output)
        for name, head in heads.items()
        if (output := logits_name(name, heads))
    ]
    return answers + logits + ([_unlikeness(build)] if info.unsure else [])


def _unlikeness(build: "_Tables") -> int:
    said = "how unlike its training images an image is; above 1 the model is unsure"
    content = build.table({0: ("Uint8", _FEATURE), 1: build.table({})})
    return build.table({0: build.text(UNLIKENESS), 1: build.text(said), 3: content})


def _output(build: "_Tables", name: str, head: HeadInfo, output: str) -> int:
    fields: dict[int, Any] = {0: build.text(output), 1: build.text(f"{head.kind}: {head.target}")}
    if head.kind == "box":
        # Left, top, right, bottom, as the schema names them, lie at these places of (y, x, y, x).
        box = build.table(
            {0: build.numbers([1, 0, 3, 2]), 1: ("Int8", _BOUNDARIES), 2: ("Int8", _RATIO)}
        )
        fields[3] = build.table({0: ("Uint8", _BOUNDING_BOX), 1: box})
    else:
        fields[3] = build.table({0: ("Uint8", _FEATURE), 1: build.table({})})
    if head.class_names:
        labels = build.file(labels_file(name), "class names, a line each", _TENSOR_AXIS_LABELS)
        fields[6] = build.vector([labels])
    return build.table(fields)


class _Tables:
    """Builds tables whose fields are given by their numbers in the schema."""

    def __init__(self) -> None:
        self.builder = flatbuffers.Builder(1024)

    def text(self, text: str) -> int:
        return self.builder.CreateString(text)

    def table(self, fields: Mapping[int, int | tuple[str, int]]) -> int:
        """Returns a table; a value is an offset, or the kind and value of a number."""
        self.builder.StartObject(max(fields, default=-1) + 1)
        for slot, value in fields.items():
            if isinstance(value, tuple):
                kind, number = value
                getattr(self.builder, f"Prepend{kind}Slot")(slot, number, 0)
            else:
                self.builder.PrependUOffsetTRelativeSlot(slot, value, 0)
        return self.builder.EndObject()

    def file(self, name: str, description: str, kind: int) -> int:
        return self.table({0: self.text(name), 1: self.text(description), 2: ("Int8", kind)})

    def vector(self, offsets: Sequence[int]) -> int:
        return self._vector(offsets, self.builder.PrependUOffsetTRelative)

    def floats(self, values: Sequence[float]) -> int:
        return self._vector(values, self.builder.PrependFloat32)

    def numbers(self, values: Sequence[int]) -> int:
        return self._vector(values, self.builder.PrependUint32)

    def _vector(self, values: Sequence[Any], prepend: Any) -> int:
        self.builder.StartVector(4, len(values), 4)
        for value in reversed(values):
            prepend(value)
        return self.builder.EndVector()
