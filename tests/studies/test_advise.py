"""Which strategy is recommended for which images."""

import pytest

from tfft.config.load import load_recipe
from tfft.errors import RecipeError
from tfft.studies.advise import Probes, advise, recommend


@pytest.mark.parametrize(
    ("train_images", "probe", "random", "strategy"),
    [
        (200, 0.97, 0.40, "head_only"),
        (200, 0.80, 0.40, "partial"),
        (1000, 0.80, 0.40, "progressive"),
        (9000, 0.80, 0.40, "lp_ft"),
        (9000, 0.50, 0.40, "full"),
        (200, 0.50, 0.40, "lp_ft"),
        (200, 0.40, 0.60, "lp_ft"),
    ],
)
def test_size_and_distance_decide(train_images, probe, random, strategy):
    found, reason = recommend(Probes(train_images, 10, 100, probe, random))
    assert found == strategy
    assert f"{probe:.1%}" in reason
    assert reason.count(". ") == 0


@pytest.mark.slow
def test_advice_on_photos_is_a_recipe_that_loads(pictures, tmp_path):
    advice = advise(
        load_recipe(
            "classifier",
            data=pictures,
            overrides={"image.size_px": 64, "image.resize_px": 64, "data.validation_fraction": 0.4},
        )
    )
    assert advice.probes.classes == 3
    assert 0.0 <= advice.probes.probe_top1 <= 1.0
    advice.write(tmp_path / "advised.yaml")
    assert load_recipe(tmp_path / "advised.yaml") == advice.recipe
    assert (tmp_path / "advised.yaml").read_text().startswith(f"# {advice.strategy}: ")


def test_advice_is_for_one_head_for_classes(pictures):
    recipe = load_recipe("classifier", data=pictures, overrides={"heads": {"a": {}, "b": {}}})
    with pytest.raises(RecipeError, match="one head for classes"):
        advise(recipe)
