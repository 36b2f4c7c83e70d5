"""The catalog's weights files are those that Keras itself would download.

One file of the smallest application of each family is for the slow suite, the others for the full.
"""

import importlib
from collections.abc import Iterator

from tfft.system.tensorflow import keras

import pytest
from backbones.families import full_unless_smallest
from keras.src.utils import file_utils

from tfft.catalog.backbones import backbone_specs
from tfft.catalog.spec import BackboneSpec, WeightsFile

FILES = [
    pytest.param(
        spec,
        file,
        marks=pytest.mark.full if number else full_unless_smallest(spec),
        id=file.name,
    )
    for spec in backbone_specs()
    for number, file in enumerate(spec.weights)
]


class DownloadError(Exception):
    """Keras wanted to download a file."""


@pytest.fixture(autouse=True)
def no_download(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def get_file(fname: str, origin: str, *, cache_subdir: str, file_hash: str | None = None):
        raise DownloadError(fname, origin, file_hash, cache_subdir)

    monkeypatch.setattr(file_utils, "get_file", get_file)
    yield
    keras.backend.clear_session()


@pytest.mark.slow
@pytest.mark.parametrize(("spec", "file"), FILES)
def test_keras_asks_for_the_same_file(spec: BackboneSpec, file: WeightsFile):
    module, function = spec.builder.split(":")
    size_px = file.size_px or spec.default_size_px
    with pytest.raises(DownloadError) as asked:
        getattr(importlib.import_module(module), function)(
            include_top=False,
            weights="imagenet",
            input_shape=(size_px, size_px, 3),
            **file.arguments,
        )
    assert asked.value.args == (file.name, file.url, file.digest, "models")
