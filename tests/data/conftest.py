"""What the tests of data share: pictures of every kind, and a folder of classes."""

import pytest
from sample_pictures import pictures_of_every_kind, write_photo_folder


@pytest.fixture(scope="session")
def kinds() -> dict[str, bytes]:
    """Name of a kind → an encoded picture of that kind."""
    return pictures_of_every_kind()


@pytest.fixture
def photo_folder(tmp_path):
    """A folder of three classes with eight, five and one JPEG files, which a test may change."""
    return write_photo_folder(tmp_path)
