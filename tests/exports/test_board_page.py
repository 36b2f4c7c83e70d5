"""The program for small boards in docs/mobile.md answers as `tfft predict` does."""

import re
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfft.images.pixels import encoded_to_pixels
from tfft.runtime.load import load_predictor

PAGE = Path(__file__).parents[2] / "docs" / "mobile.md"


@pytest.fixture(scope="module")
def program() -> str:
    section = PAGE.read_text().split("## Raspberry Pi", 1)[1].split("\n## ")[0]
    (found,) = re.findall(r"```python\n(.*?)```", section, re.S)
    return found


def test_it_needs_neither_tfft_nor_tensorflow(program):
    imported = set(re.findall(r"^(?:import|from) ([\w, ]+?)(?:\.| import|$)", program, re.M))
    assert imported == {"json, zipfile", "numpy as np", "ai_edge_litert", "PIL"}


@pytest.mark.parametrize("fit", ["crop", "crop of more", "stretch"])
def test_it_answers_as_tfft_does(program, exported, pictures, tmp_path, monkeypatch, capsys, fit):
    file = _with_input(exported.tflite["float32"], tmp_path, fit)
    predictor = load_predictor(file)
    monkeypatch.chdir(tmp_path)
    names = predictor.info.heads["label"].class_names
    for photo in sorted(pictures.glob("*/*.jpg"))[::3]:  # RGB, CMYK and turned ones
        shutil.copyfile(photo, "a.jpg")
        made: dict[str, Any] = {}
        exec(compile(program, str(PAGE), "exec"), made)
        seen = encoded_to_pixels(photo.read_bytes(), predictor.info.pixels)
        np.testing.assert_allclose(made["images"][0], seen, atol=1.5)  # whole levels
        shown = [line.rsplit(" ", 1) for line in capsys.readouterr().out.splitlines()]
        expected = predictor.answers_from_bytes([photo.read_bytes()])["label"][0]
        assert [name for name, _ in shown] == [names[k] for k in np.argsort(expected)[::-1]]
        probabilities = [float(value) for _, value in shown]
        np.testing.assert_allclose(probabilities, np.sort(expected)[::-1], atol=0.02)


def _with_input(file: Path, directory: Path, fit: str) -> Path:
    """Copies a file, in which its description says another fit, under the name on the page."""
    target = directory / "classifier_int8.tflite"
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
        start = min(member.header_offset for member in archive.infolist())
    asked = {
        "crop": ("crop", "null"),
        "crop of more": ("crop", "48"),
        "stretch": ("stretch", "null"),
    }[fit]
    described = members["tfft.json"].decode()
    described = re.sub(r'"fit": "\w+"', f'"fit": "{asked[0]}"', described)
    described = re.sub(r'"resize": \w+', f'"resize": {asked[1]}', described)
    members["tfft.json"] = described.encode()
    target.write_bytes(file.read_bytes()[:start])
    with zipfile.ZipFile(target, "a") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return target
