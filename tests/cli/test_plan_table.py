"""The freeze plan as `tfft train --dry-run` prints it."""

import io

import pytest

from tfft.cli.output import print_rich
from tfft.cli.plan_table import plan_notes, plan_table
from tfft.config.train import GradientPhase, LinearPhase, Patterns
from tfft.transfer.plan.plan import FreezePlan, PartPlan, PhasePlan, PhaseSeconds


@pytest.fixture(scope="module")
def printed() -> list[str]:
    phases = (
        PhasePlan(
            number=1,
            config=LinearPhase(solver="linear"),
            frozen_blocks=3,
            cut="top",
            trained_by_block=(0, 0, 0),
            trained_parameters=110,
            block_factors=(1.0, 1.0, 1.0),
            head_factor=1.0,
            steps_per_epoch=0,
            steps=0,
            cached=True,
            views=0,
            cut_shapes=((1280,),),
            cache_bytes=4_000_000,
            reason="a solved phase needs the features of all images",
            engine="xnnpack",
        ),
        PhasePlan(
            number=2,
            config=GradientPhase(
                unfreeze=Patterns(patterns=("top", "middle_*")),
                epochs=5,
                learning_rate=3e-5,
                batch_norm="adapt",
            ),
            frozen_blocks=1,
            cut="stem",
            trained_by_block=(0, 1_500, 3_000),
            trained_parameters=4_610,
            block_factors=(0.125, 0.25, 0.5),
            head_factor=2.0,
            steps_per_epoch=1_200,
            steps=6_000,
            cached=False,
            views=0,
            cut_shapes=((7, 7, 64),),
            cache_bytes=0,
            reason="images are mixed (mix: mixup)",
            engine="keras",
            engine_reason="behind the mixing of images",
            seconds=PhaseSeconds(cached=None, uncached=5400.0),
        ),
    )
    plan = FreezePlan(
        backbone="ResNet50",
        size_px=224,
        runs_whole=False,
        blocks=(PartPlan("stem", 1_000), PartPlan("middle", 2_000), PartPlan("top", 3_000)),
        heads=(PartPlan("label", 110),),
        phases=phases,
        images={"validation": 100, "train": 38_400, "test": 200},
    )
    stream = io.StringIO()
    print_rich(stream, plan_table(plan), plan_notes(plan))
    return stream.getvalue().splitlines()


def cells(line: str) -> tuple[str, list[str]] | None:
    first, *others = [cell.strip() for cell in line.split("  ") if cell.strip()] or [""]
    return (first, others) if others else None


def test_the_title_says_what_is_trained_on_what(printed):
    assert printed[0] == "ResNet50 at 224 px, 38,400 train, 100 validation, 200 test images"


def test_each_block_and_head_has_its_parameters_and_what_each_phase_does(printed):
    rows = dict(row for line in printed if (row := cells(line)))
    assert rows["stem"] == ["1,000", "frozen", "frozen ← cut"]
    assert rows["middle"] == ["2,000", "frozen", "1,500 trained, lr 7.5e-06, BatchNorm adapt"]
    assert rows["top"] == ["3,000", "frozen ← cut", "trained, lr 1.5e-05, BatchNorm adapt"]
    assert rows["head label"] == ["110", "solved", "trained, lr 6e-05"]


def test_each_phase_says_what_it_trains_where_it_cuts_and_what_it_caches_and_why(printed):
    first = next(row for row, line in enumerate(printed) if line.startswith("phase 1: "))
    assert " ".join(printed[first:]) == (
        "phase 1: 110 parameters trained, cut after top; 1280 numbers per image cached, 4.0 MB "
        "(a solved phase needs the features of all images); frozen part: XNNPACK "
        "phase 2: 4,610 parameters trained, cut after stem, 1,200 steps per epoch; nothing cached "
        "(images are mixed (mix: mixup)); frozen part: Keras graph (behind the mixing of images); "
        "about 90 min"
    )
