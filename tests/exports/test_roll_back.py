"""Publishing what is whole, once, and going back to what was served before."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tfft.cli.main import run
from tfft.errors import TfftError, TfftWarning, UsageError
from tfft.exports.serving import publish as publishing
from tfft.exports.serving.publish import Published, publish, roll_back
from tfft.exports.sums import FILE_NAME, computed_sums, write_sums


@pytest.fixture
def served(exported, tmp_path) -> tuple[Path, Callable[[str], Published]]:
    """A base path, and a function that publishes an export with a certain content there."""
    base = tmp_path / "colours"

    def publish_content(content: str) -> Published:
        source = tmp_path / "exports" / content / "1"
        if not source.is_dir():
            shutil.copytree(exported.savedmodel, source)
            (source / "assets.extra" / "checks.json").write_text(content)
            write_sums(source)
        return publish(source, base)

    return base, publish_content


def _contents(base: Path) -> list[str]:
    versions = sorted((path for path in base.iterdir() if path.name.isdecimal()), key=_number)
    return [(path / "assets.extra" / "checks.json").read_text() for path in versions]


def _number(version: Path) -> int:
    return int(version.name)


def test_a_damaged_export_is_not_published_and_changes_nothing(served, tmp_path, capsys):
    base, publish_content = served
    publish_content("a")
    variables = tmp_path / "exports" / "a" / "1" / "variables" / "variables.data-00000-of-00001"
    with variables.open("r+b") as stream:
        stream.seek(variables.stat().st_size // 2)
        stream.write(b"x" * 4096)
    assert run(["publish", str(variables.parents[1]), str(base)]) == 1
    assert "variables.data-00000-of-00001 has not the SHA-256" in capsys.readouterr().err
    assert _contents(base) == ["a"]
    assert run(["publish", str(variables.parents[1]), str(tmp_path / "new")]) == 1
    assert not (tmp_path / "new").exists()


def test_a_copy_that_is_damaged_on_its_way_is_not_put_in_place(served, monkeypatch):
    base, publish_content = served
    publish_content("a")
    copy = publishing._copy

    def copy_badly(source, target, progress):
        copy(source, target, progress)
        (target / "variables" / "variables.index").write_bytes(b"damaged")

    monkeypatch.setattr(publishing, "_copy", copy_badly)
    with pytest.raises(TfftError, match="is not what was read before"):
        publish_content("b")
    assert _contents(base) == ["a"]
    assert sorted(path.name for path in base.iterdir()) == [".tfft-publish-lock", "1"]


def test_what_is_live_is_not_published_again(served):
    base, publish_content = served
    assert publish_content("a").already_live is False
    again = publish_content("a")
    assert (again.version, again.already_live) == (1, True)
    assert publish_content("b").version == 2
    assert publish_content("a").version == 3  # it was live, and is not any more
    assert _contents(base) == ["a", "b", "a"]


def test_a_live_version_that_is_damaged_is_published_again(served):
    base, publish_content = served
    publish_content("a")
    (base / "1" / "variables" / "variables.index").write_bytes(b"damaged")
    assert publish_content("a").version == 2


def test_exports_of_older_versions_have_no_sums_which_is_said(served, tmp_path):
    base, publish_content = served
    publish_content("a")
    old = Path(shutil.copytree(base / "1", tmp_path / "old" / "1"))
    (old / FILE_NAME).unlink()
    with pytest.warns(TfftWarning, match=r"has no SHA256SUMS, .* nothing says whether it is whole"):
        published = publish(old, tmp_path / "elsewhere")
    assert computed_sums(Path(published.path)) == computed_sums(old)


def test_going_back_puts_the_earlier_content_under_a_new_highest_number(served):
    base, publish_content = served
    for content in ("a", "b", "c"):
        publish_content(content)
    back = roll_back(base)
    assert (back.source, back.version) == (str(base / "2"), 4)
    assert _contents(base) == ["a", "b", "c", "b"]
    assert roll_back(base).version == 5  # further back, never to what was just taken back
    assert _contents(base)[-1] == "a"
    with pytest.raises(
        UsageError, match=r"came first as version 1\..* by --to: .* has 1, 2, 3, 4, 5"
    ):
        roll_back(base)
    publish_content("d")
    assert roll_back(base).source == str(base / "5")
    assert roll_back(base, to=3).version == 8
    assert _contents(base)[-2:] == ["a", "c"]


def test_going_back_to_what_is_live_does_nothing(served):
    base, publish_content = served
    publish_content("a")
    assert roll_back(base, to=1).already_live
    assert _contents(base) == ["a"]


def test_there_must_be_something_whole_to_go_back_to(served, tmp_path):
    base, publish_content = served
    for place in (tmp_path / "none", tmp_path):
        with pytest.raises(UsageError, match="nothing is published there"):
            roll_back(place)
    assert not (tmp_path / "none").exists()
    publish_content("a")
    publish_content("b")
    with pytest.raises(UsageError, match=r"no version 7 to go back to: .* has 1, 2"):
        roll_back(base, to=7)
    (base / "1" / "saved_model.pb").write_bytes(b"damaged")
    with pytest.raises(TfftError, match=r"saved_model\.pb has not the SHA-256"):
        roll_back(base)
    assert _contents(base) == ["a", "b"]


def test_the_command_goes_back_and_says_where_it_is(served, capsys):
    base, publish_content = served
    publish_content("a")
    publish_content("b")
    assert run(["publish", "--rollback", str(base), "--quiet"]) == 0
    assert capsys.readouterr().out.strip() == str(base / "3")
    assert run(["publish", "--rollback", str(base), "--to", "1"]) == 0
    assert "nothing to do" in capsys.readouterr().err
    for words in (["x", "--rollback", str(base)], ["x"], ["x", "y", "--to", "1"], []):
        assert run(["publish", *words]) == 2
    assert _contents(base) == ["a", "b", "a"]


def test_publishers_and_those_who_go_back_wait_for_each_other(served, monkeypatch):
    base, publish_content = served
    publish_content("a")
    publish_content("b")
    entered = []
    lock = publishing._only_publisher
    monkeypatch.setattr(
        publishing, "_only_publisher", lambda path: entered.append(path) or lock(path)
    )
    roll_back(base)
    publish_content("c")
    assert entered == [base, base]
