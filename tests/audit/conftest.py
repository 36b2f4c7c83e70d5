"""A small folder of pictures with planted faults, and its audit, made once."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from interface.example_files import SIZE_PX, write_example_files
from PIL import Image

import tfft
from tfft.audit.result import Audit

HOSTILE = '<img src=x onerror="alert(1)">&amp;'


@pytest.fixture(scope="session")
def faulty(tmp_path_factory) -> Path:
    """The directory of a recipe, and 60 photos of three colours with some that are wrong.

    A red photo lies among the blue ones and a blue one among the green; one is there twice, under
    two labels; one is dark, and one file is none. The name of the green ones is an attack.
    """
    place = tmp_path_factory.mktemp("faulty")
    write_example_files(place)
    photos = place / "photos"
    (photos / "green").rename(photos / HOSTILE)
    shutil.copy(photos / "red" / "3.png", photos / "blue" / "again.png")
    save(photos / "blue" / "odd.png", (220, 50, 40), seed=8)
    save(photos / HOSTILE / "odd.png", (40, 60, 230), seed=7)
    save(photos / "red" / "night.png", (41, 41, 41), seed=9)
    (photos / "red" / "broken.jpg").write_bytes(b"no image")
    return place


def save(path: Path, colour: tuple[int, int, int], seed: int) -> None:
    noise = np.random.default_rng(seed).integers(-40, 30, (SIZE_PX, SIZE_PX, 3))
    Image.fromarray((np.array(colour) + noise).clip(0, 255).astype(np.uint8)).save(path)


@pytest.fixture(scope="session")
def audit(faulty) -> Audit:
    return tfft.audit_data(faulty / "classifier.yaml", data=faulty / "photos")
