"""What the tests of data share: pictures of every kind, and a folder of classes."""

import pytest
from sample_pictures import encoded, picture, pictures_of_every_kind


@pytest.fixture(scope="session")
def kinds() -> dict[str, bytes]:
    """Name of a kind → an encoded picture of that kind."""
    return pictures_of_every_kind()


@pytest.fixture
def photo_folder(tmp_path):
    """A folder of three classes with eight, five and one JPEG files."""
    for name, count in (("cat", 8), ("dog", 5), ("owl", 1)):
        (tmp_path / name).mkdir()
        for number in range(count):
            size = 40 + 3 * number + len(name) + ord(name[0]) % 7
            (tmp_path / name / f"{number}.jpg").write_bytes(encoded(picture(size, 50), "JPEG"))
    return tmp_path
