"""The whole way on real photos: every saved form of a model gives the same figures."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tfft

pytestmark = [pytest.mark.slow, pytest.mark.shared]

_SIGNATURES = ("serving_default", "serve_uint8", "serve_bytes")


@pytest.fixture(scope="module")
def models(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """Predictors of one run on flowers: Keras, each signature of its SavedModel, TFLite."""
    root = tmp_path_factory.mktemp("flowers")
    run = tfft.train(
        "classifier",
        data=shared_data / "flowers160",
        overrides={"image.size_px": 128, "image.resize_px": 152},
        run=root / "run",
    )
    exported = tfft.export(run.path, output=root / "saved_models", tflite={"timed": False})
    predictors = {
        name: tfft.load_predictor(exported.savedmodel, signature=name) for name in _SIGNATURES
    }
    return {
        "keras": tfft.load_predictor(run.path),
        **predictors,
        "tflite": tfft.load_predictor(exported.tflite["float32"]),
    }


@pytest.fixture(scope="module")
def every_kind(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Flowers enlarged to photos of odd sizes and saved as each kind of file that people have."""
    root = tmp_path_factory.mktemp("kinds")
    for folder in sorted((shared_data / "flowers160" / "test").iterdir()):
        (root / folder.name).mkdir()
        for number, source in enumerate(sorted(folder.iterdir())[:24]):
            image = Image.open(source).convert("RGB").resize((641, 427), Image.Resampling.BICUBIC)
            _save(image, root / folder.name / str(number), number % 6)
    return root


@pytest.fixture(scope="module")
def every_fourth(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every fourth of the photos that are for testing."""
    root = tmp_path_factory.mktemp("fourth")
    for folder in (shared_data / "flowers160" / "test").iterdir():
        (root / folder.name).mkdir()
        for source in sorted(folder.iterdir())[::4]:
            shutil.copy(source, root / folder.name)
    return root


def _save(image: Image.Image, stem: Path, kind: int) -> None:
    if kind == 0:
        image.convert("CMYK").save(stem.with_suffix(".jpg"), quality=95)
    elif kind == 1:
        grey = np.asarray(image.convert("L"), np.uint16) * 257
        Image.fromarray(grey).save(stem.with_suffix(".png"))
    elif kind == 2:
        exif = Image.Exif()
        exif[0x0112] = 6
        turned = image.transpose(Image.Transpose.ROTATE_90)
        turned.save(stem.with_suffix(".jpeg"), exif=exif, quality=95)
    elif kind == 3:
        image.save(stem.with_suffix(".webp"), quality=90)
    elif kind == 4:
        image.quantize(64).save(stem.with_suffix(".png"), transparency=0)
    else:
        image.save(stem.with_suffix(".bmp"))


def _figures(models: dict[str, object], **data: object) -> dict[str, dict]:
    return {name: tfft.evaluate(model, **data).metrics["label"] for name, model in models.items()}


def _check(figures: dict[str, dict], examples: int) -> None:
    keras = figures["keras"]
    assert sum(row["examples"] for row in keras["per_class"]) == examples
    for name, other in figures.items():
        # Rounding pixels to whole numbers moves a probability a little, and an answer rarely.
        rounded = name == "serve_uint8"
        assert other["top1"] == pytest.approx(keras["top1"], abs=4 / examples if rounded else 1e-9)
        assert other["loss"] == pytest.approx(keras["loss"], abs=5e-3 if rounded else 1e-4)


def test_on_real_photos_all_forms_have_the_same_accuracy(models, every_fourth: Path):
    figures = _figures(models, data=every_fourth)
    _check(figures, len(list(every_fourth.glob("*/*"))))
    assert figures["keras"]["top1"] > 0.85


@pytest.mark.full
@pytest.mark.parametrize(("split", "examples"), [("test", 786), ("all", 2032)])
def test_on_a_whole_split_all_forms_have_the_same_accuracy(models, split: str, examples: int):
    figures = _figures(models, split=split)
    _check(figures, examples)
    assert figures["keras"]["top1"] > 0.85


def test_on_every_kind_of_file_all_forms_have_the_same_accuracy(models, every_kind: Path):
    figures = _figures(models, data=every_kind)
    _check(figures, 5 * 24)
    assert figures["keras"]["top1"] > 0.6


def test_on_photos_in_original_resolution_all_forms_answer_alike(models, shared_data: Path):
    from tfft.config.loading.load import load_recipe
    from tfft.data.load import load_data

    archives = {
        "data.archives": str(shared_data / "stanford_dogs_originals"),
        "data.subset": True,
        "data.crop_to_box": False,
    }
    data = load_data(load_recipe("stanford_dogs_crops", overrides=archives).data)
    index = data.splits["test"]
    encoded = [index.read(position) for position in range(len(index))]
    answers = {name: model.answers_from_bytes(encoded)["label"] for name, model in models.items()}
    for name, probabilities in answers.items():
        tolerance = 0.15 if name == "serve_uint8" else 1e-4
        np.testing.assert_allclose(probabilities, answers["keras"], atol=tolerance, err_msg=name)
