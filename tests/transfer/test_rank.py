"""Ranking backbones on pictures: features once, the probe first."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from hub_modules import save_module, small_network

import tfft
from tfft.cli.main import run
from tfft.errors import BackboneError, DataError
from tfft.metrics.commonest import CommonestClass
from tfft.metrics.intervals import Interval
from tfft.system.progress import SILENT
from tfft.transfer.probes.rank import RankedBackbone, Ranking

_RANDOM = ("MobileNet:alpha=0.25,weights=random", "EfficientNetLite0:weights=random")
_PIXELS = {
    "image.size_px": 32,
    "image.resize_px": None,
    "data.validation_fraction": 0.25,
}


class Told:
    """Progress that keeps what it was told, in order."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def start(self, description: str, total: int | None, unit: str = "images"):
        self.said.append(description)
        return SILENT.start(description, total, unit)

    def message(self, text: str) -> None:
        self.said.append(text.split(": ")[0])


@pytest.mark.slow
def test_backbones_come_by_their_probe_with_all_figures(pictures: Path):
    ranking = tfft.rank(_RANDOM, data=pictures, overrides=_PIXELS)
    assert ranking.classes == 3
    assert {backbone.name for backbone in ranking.backbones} == set(_RANDOM)
    first, second = ranking.backbones
    assert first.probe_top1 >= second.probe_top1
    by_name = {backbone.name: backbone for backbone in ranking.backbones}
    mobilenet = by_name[_RANDOM[0]]
    assert (mobilenet.parameters, mobilenet.features, mobilenet.size_px) == (218_544, 256, 32)
    assert mobilenet.multiply_adds > 0
    assert mobilenet.probe_interval[0] <= mobilenet.probe_top1 <= mobilenet.probe_interval[1]
    again = tfft.rank(_RANDOM[:1], data=pictures, overrides=_PIXELS)
    assert again.backbones[0].logme == mobilenet.logme
    assert again.backbones[0].h_score == mobilenet.h_score


@pytest.mark.slow
def test_a_backbone_is_ranked_at_the_size_it_is_trained_at(pictures: Path):
    small = {**_PIXELS, "image.size_px": 16, "image.backbone_px": 32}
    (ranked,) = tfft.rank(_RANDOM[:1], data=pictures, overrides=small).backbones
    assert ranked.size_px == 32


@pytest.fixture(scope="module")
def ranked(
    pictures: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, str, Ranking, Told]:
    """A SavedModel and a backbone without its weights, ranked, and what was told meanwhile."""
    directory = tmp_path_factory.mktemp("ranked")
    module = str(save_module(small_network(), directory / "module", "training_argument"))
    gone = f"MobileNet:alpha=0.25,weights={directory}/gone.weights.h5"
    overrides, told = {**_PIXELS, "image.size_px": None}, Told()
    ranking = tfft.rank([module, gone], data=pictures, overrides=overrides, progress=told)
    return module, gone, ranking, told


def test_a_saved_model_is_ranked_like_any_other(ranked: tuple[str, str, Ranking, Told]):
    module, _, ranking, _ = ranked
    (backbone,) = ranking.backbones
    assert (backbone.name, backbone.size_px, backbone.features) == (module, 24, 10)
    assert backbone.multiply_adds == 0


def test_a_backbone_that_cannot_be_had_is_left_out_before_any_features_are_computed(
    ranked: tuple[str, str, Ranking, Told],
):
    module, gone, ranking, told = ranked
    assert [backbone.name for backbone in ranking.backbones] == [module]
    assert "gone.weights.h5" in ranking.failed[gone]
    assert ranking.to_json()["failed"] == ranking.failed
    assert told.said.index("checking backbones") < told.said.index(f"{gone} is left out")
    assert told.said.index(f"{gone} is left out") < told.said.index("features of training images")


@pytest.mark.parametrize(("parameters", "times"), [(10, 1), (10**9, 2)])
def test_a_backbone_is_built_once_unless_it_is_too_large_to_be_kept(
    monkeypatch, pictures: Path, parameters: int, times: int
):
    built = []

    def build(config, *others):
        built.append(config.name)
        return SimpleNamespace(model=SimpleNamespace(count_params=lambda: parameters))

    def measured(recipe, named, backbone, data, progress):
        return RankedBackbone(named.text, 32, 1, 1, 1, 0, 0, 1, Interval(0, 1), 0, 0, 0)

    monkeypatch.setattr("tfft.transfer.probes.rank.build_backbone", build)
    monkeypatch.setattr("tfft.transfer.probes.rank._ranked", measured)
    assert len(tfft.rank(_RANDOM, data=pictures, overrides=_PIXELS).backbones) == 2
    assert sorted(built) == times * ["EfficientNetLite0"] + times * ["MobileNet"]


def test_what_can_rank_no_backbone_names_them_all(pictures: Path, tmp_path: Path):
    gone = [f"MobileNet:alpha=0.25,weights={tmp_path}/{n}.weights.h5" for n in ("one", "two")]
    with pytest.raises(BackboneError, match=r"(?s)one\.weights\.h5.*two\.weights\.h5"):
        tfft.rank(gone, data=pictures, overrides=_PIXELS)


def test_the_row_of_a_backbone_that_failed_says_so_and_the_exit_code_is_1(monkeypatch, capsys):
    measured = RankedBackbone(
        "Small", 32, 1, 1, 8, 0.1, 0.2, 0.9, Interval(0.8, 0.95), 1.0, 1.0, 1.0
    )
    images = {"train": 8, "validation": 4}
    ranking = Ranking("photos", images, 2, (measured,), {"ResNet101": "it has no weights here"})
    monkeypatch.setattr(tfft, "rank", lambda *_, **__: ranking)
    assert run(["rank", "--backbones", "Small,ResNet101"]) == 1
    said = capsys.readouterr()
    assert ["ResNet101", "failed"] in [line.split() for line in said.out.splitlines()]
    assert said.err == "tfft: ResNet101 failed: it has no weights here\n"


def test_a_best_backbone_at_chance_is_not_praised(monkeypatch, capsys):
    at_chance = RankedBackbone(
        "Small", 32, 1, 1, 8, 0.1, 0.2, 0.42, Interval(0.27, 0.58), 1.0, 1.0, 1.0
    )
    roses = CommonestClass("rose", 0.395, Interval(0.256, 0.553))
    ranking = Ranking("photos", {"train": 90, "validation": 38}, 3, (at_chance,), {}, roses)
    monkeypatch.setattr(tfft, "rank", lambda *_, **__: ranking)
    assert run(["rank", "--backbones", "Small"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    doubt = (
        "0.420 is not shown to be better than always answering with the commonest class, rose "
        "(0.395, by chance up to 0.553)"
    )
    assert f"The best probe, {doubt}." in said
    assert doubt in str(ranking)
    assert roses.doubt(0.56) == ""


def test_without_validation_images_there_is_no_evidence(pictures: Path):
    overrides = {**_PIXELS, "data.validation_fraction": 0.0}
    with pytest.raises(DataError, match="needs validation images"):
        tfft.rank(_RANDOM[:1], data=pictures, overrides=overrides)
