"""Folders as disks have them, with links in circles, pipes and names of any bytes."""

import os
import random
import unicodedata
from pathlib import Path

import pytest
from PIL import Image
from tally import tally

from tfft.config.data import ImageFolderData
from tfft.data.load import check_data
from tfft.data.sources.folder import images_in_folders

_NAMES = ("a.png", "b c.PNG", "[d].png", "e\nf.png", "\x1b[2Jg", "ü🐶.png", "-h", "%s{}")
_BYTES = [byte for byte in range(1, 256) if byte != ord("/")]


def _name(choose: random.Random, number: int) -> str:
    strange = os.fsdecode(bytes(choose.choices(_BYTES, k=9)))
    return f"{number}{choose.choice((*_NAMES, strange, strange))}"


def _fill(folder: Path, choose: random.Random, folders: list[Path], image: bytes) -> None:
    """Fills a folder with files, pipes, and links to files, to folders and to nothing."""
    folders.append(folder)
    (folder / "image.png").write_bytes(image + choose.randbytes(3))
    for number in range(choose.randrange(1, 6)):
        path = folder / _name(choose, number)
        kind = choose.randrange(8)
        if kind == 0 and len(folders) < 9:
            path.mkdir()
            _fill(path, choose, folders, image)
        elif kind == 1:
            os.mkfifo(path)
        elif kind == 2:
            path.symlink_to("/nowhere" if choose.random() < 0.5 else path)
        elif kind == 3:
            path.symlink_to(choose.choice(folders))
        elif kind == 4:
            path.symlink_to(choose.choice(folders) / "image.png")
        else:
            content = choose.choice((image, image, b"", b"text", image[:40]))
            path.write_bytes(content + choose.randbytes(3))


def _below(folder: Path, root: Path, seen: set[str]) -> list[Path]:
    """What can be reached from a class folder but folders, each folder once; a second opinion."""
    seen.add(os.path.realpath(folder))
    found = []
    for path in folder.iterdir():
        if not path.is_dir():
            found.append(path)
        elif os.path.realpath(path) not in seen and path.resolve() not in (root, *root.parents):
            found += _below(path, root, seen)
    return found


def _holds(root: Path) -> bool:
    """Says whether all that lies in the class folders is counted, or named so that it prints."""
    source = images_in_folders(root)
    report = check_data(ImageFolderData(kind="image_folder", path=root))
    below = [path for label in root.iterdir() for path in _below(label, root.resolve(), set())]
    files = sorted(os.path.realpath(path) for path in below if path.is_file())
    counted = sum(sum(classes.values()) for classes in report.counts.values())
    return (
        sorted(map(os.path.realpath, source.index.files)) == files
        and len(source.unreadable) == len(below) - len(files)
        and counted + len(report.bad) == len(below)
        and all(map(_prints, (*source.index.ids, *(bad.path for bad in report.bad))))
    )


def _prints(name: str) -> bool:
    return not any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name)


@pytest.mark.slow
@pytest.mark.parametrize("trees", [100, pytest.param(2_000, marks=pytest.mark.full)])
def test_all_that_lies_in_a_folder_is_counted_or_named(tmp_path, trees):
    Image.new("RGB", (8, 9), (200, 30, 60)).save(tmp_path / "image.png")
    image, held = (tmp_path / "image.png").read_bytes(), 0
    for seed in range(trees):
        choose, folders = random.Random(seed), []
        for label in ("cat", "dog", "owl")[: choose.randrange(2, 4)]:
            folder = tmp_path / str(seed) / label
            folder.mkdir(parents=True)
            _fill(folder, choose, folders, image)
        held += _holds(tmp_path / str(seed))
    tally(
        "data",
        "What lies in a folder of photos is counted or named: files, links, circles, pipes, and "
        "names of any bytes.",
        tried=trees,
        held=held,
    )
    assert held == trees
