"""The freeze plan as a picture."""

from tfft.reports.plan_figure import plan_figure

PHASE = {
    "number": 1,
    "config": {"solver": "gradient", "epochs": 2, "learning_rate": 1e-3},
    "frozen_blocks": 0,
    "trained_by_block": [8],
    "block_factors": [0.5],
    "head_factor": 3.0,
    "trained_parameters": 24,
}
PLAN = {
    "blocks": [{"name": "stem", "parameters": 8}],
    "heads": [
        {"name": "breed", "parameters": 8, "learning_rate_factor": 1.0},
        {"name": "place", "parameters": 8, "learning_rate_factor": 2.0},
    ],
    "phases": [PHASE],
}


def test_each_part_says_its_own_learning_rate():
    svg = plan_figure(PLAN).svg
    for name, rate in {"stem": "0.0005", "breed": "0.003", "place": "0.006"}.items():
        assert f"{name}: 8 parameters trained, learning rate {rate}<" in svg
