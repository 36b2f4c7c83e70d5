"""Pictures of a learning-rate range test."""

import pytest
from click.testing import CliRunner

import tfft
from tfft.cli.main import cli
from tfft.errors import UsageError


@pytest.mark.parametrize(
    ("suffix", "start"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")]
)
def test_a_picture_is_of_the_kind_that_its_suffix_says(tmp_path, suffix, start):
    pytest.importorskip("matplotlib")
    from tfft.studies.curves import draw_range_test

    picture = tmp_path / f"rates{suffix}"
    draw_range_test([1e-3, 1e-2, 1e-1], [2.0, 1.0, 3.0], 1e-2, picture)
    assert picture.read_bytes().startswith(start)


@pytest.mark.parametrize("name", ["rates.jpeg", "rates"])
def test_a_file_that_is_no_picture_is_refused_before_anything_is_computed(monkeypatch, name):
    monkeypatch.setattr(tfft, "find_learning_rate", lambda *_, **__: pytest.fail("computed"))
    done = CliRunner().invoke(cli, ["lr-find", "quickstart", "--plot", name])
    assert isinstance(done.exception, UsageError)
    assert f".png, .svg, .pdf. Received: {name}" in str(done.exception)
