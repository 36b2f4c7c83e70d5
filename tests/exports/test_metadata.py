"""What a reader of the TFLite metadata schema finds in a file, by the numbers of its fields."""

import flatbuffers
import pytest
from flatbuffers.number_types import Int8Flags, Uint8Flags, Uint32Flags
from flatbuffers.table import Table

from tfft.exports.tflite.metadata import metadata_bytes, output_names
from tfft.images.spec import PixelSpec
from tfft.runtime.info import HeadInfo, ModelInfo, UnsureInfo

HEADS = {
    "kind": HeadInfo("classification", ("daisy", "rose"), "kind"),
    "where": HeadInfo("box", (), "where"),
}


class Read:
    """A table of the schema."""

    def __init__(self, content: bytes, position: int) -> None:
        self._table = Table(content, position)

    def _place(self, field: int) -> int:
        return self._table.Offset(4 + 2 * field)

    def text(self, field: int) -> str:
        return self._table.String(self._table.Pos + self._place(field)).decode()

    def number(self, field: int, flags) -> int:
        return self._table.Get(flags, self._table.Pos + self._place(field))

    def table(self, field: int) -> "Read":
        return Read(self._table.Bytes, self._table.Indirect(self._table.Pos + self._place(field)))

    def tables(self, field: int) -> list["Read"]:
        place = self._place(field)
        start = self._table.Vector(place)
        positions = (start + 4 * n for n in range(self._table.VectorLen(place)))
        return [Read(self._table.Bytes, self._table.Indirect(each)) for each in positions]

    def numbers(self, field: int) -> list[int]:
        place = self._place(field)
        start = self._table.Vector(place)
        count = self._table.VectorLen(place)
        return [self._table.Get(Uint32Flags, start + 4 * n) for n in range(count)]


INFO = ModelInfo(
    name="flowers",
    input=PixelSpec(96, 128),
    heads=HEADS,
    backbone="EfficientNetLite0",
    licence="Apache-2.0",
    data=None,
    tfft_version="0.1",
    created="2026-01-01T00:00:00+00:00",
    unsure=UnsureInfo(0.95, 2.5, 40),
)


@pytest.fixture(scope="module")
def metadata() -> Read:
    content = metadata_bytes(INFO, "7", "A file in float32.")
    assert content[4:8] == b"M001"
    return Read(content, flatbuffers.encode.Get(flatbuffers.packer.uoffset, content, 0))


def test_the_model_says_what_it_is_and_names_the_file_that_says_the_rest(metadata: Read):
    texts = {name: metadata.text(field) for field, name in enumerate(("name", "about", "version"))}
    assert texts == {"name": "flowers", "about": "A file in float32.", "version": "7"}
    assert metadata.text(4) == "tfft 0.1"
    assert metadata.text(5) == "weights of EfficientNetLite0: Apache-2.0"
    (file,) = metadata.tables(6)
    assert file.text(0) == "tfft.json"
    assert file.number(2, Int8Flags) == 1  # descriptions
    assert metadata.text(7) == "1.0.0"


def test_the_image_is_rgb_of_its_size_and_not_normalised(metadata: Read):
    (graph,) = metadata.tables(3)
    (image,) = graph.tables(2)
    content = image.table(3)
    assert content.number(0, Uint8Flags) == 2  # image
    of_image = content.table(1)
    assert of_image.number(0, Int8Flags) == 1  # RGB
    size = of_image.table(1)
    assert (size.number(0, Uint32Flags), size.number(1, Uint32Flags)) == (128, 96)


def test_each_output_has_its_labels_or_the_places_of_its_edges(metadata: Read):
    (graph,) = metadata.tables(3)
    outputs = dict(zip(output_names(INFO), graph.tables(3), strict=True))
    assert [output.text(0) for output in outputs.values()] == list(outputs)
    for name in ("kind_probabilities", "kind_logits"):
        (labels,) = outputs[name].tables(6)
        assert labels.text(0) == "kind_labels.txt"
        assert labels.number(2, Int8Flags) == 2  # labels of an axis
    box = outputs["where"].table(3)
    assert box.number(0, Uint8Flags) == 3  # bounding box
    # Left, top, right, bottom of (ymin, xmin, ymax, xmax).
    assert box.table(1).numbers(0) == [1, 0, 3, 2]
