"""`docs/retrain.md`, run word for word on a few pictures: what it says happens."""

import contextlib
import io
import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from interface.example_files import write_example_files
from PIL import Image

from tfft.cli.main import run
from tfft.config.loading import source
from tfft.data.kept_splits import KeptSplits, read_kept_splits

PAGE = Path(__file__).resolve().parents[2] / "docs" / "retrain.md"

pytestmark = pytest.mark.slow


def lines_of(text: str, kind: str) -> list[str]:
    """The lines of the fenced blocks of one kind."""
    blocks = re.findall(rf"```{kind}\n(.*?)```", text, re.S)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def write_files(place: Path) -> dict[str, Path]:
    """Writes what the page takes for granted: photos, more of them, a new class, labels."""
    recipe = write_example_files(place)
    for name in ("blue", "green", "red"):
        for number in range(15, 20):
            (place / "new" / name).mkdir(parents=True, exist_ok=True)
            photo = place / "photos" / name / f"{number}.png"
            photo.rename(place / "new" / name / f"{number}.png")
    (place / "more" / "lynx").mkdir(parents=True)
    for number in range(8):  # grey, so that it can be told from the others
        shade = Image.new("RGB", (32, 32), (120 + number, 120, 120))
        shade.save(place / "more" / "lynx" / f"{number}.png")
    fixes = [line for line in lines_of(PAGE.read_text(), "text") if line.count(",") == 1]
    (place / "fixes.csv").write_text("\n".join(fixes[:3]) + "\n")
    return source.bundled_recipes() | {"classifier": recipe}


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """The place, and what each command printed, after all of them."""
    place = tmp_path_factory.mktemp("retrain")
    with pytest.MonkeyPatch.context() as patch:
        recipes = write_files(place)
        patch.setattr(source, "bundled_recipes", lambda: recipes)
        patch.chdir(place)
        yield place, {line: carried_out(line) for line in lines_of(PAGE.read_text(), "sh")}


def carried_out(line: str) -> str:
    """Runs a line of the page, which must end as it says; returns what it printed."""
    command, _, remark = line.partition("  # ")
    expected = int(remark.removeprefix("exit code ")) if remark else 0
    if not command.startswith("tfft "):
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True)
        return done.stdout
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        for part in command.split(" && "):
            assert run(shlex.split(part)[1:]) == expected, f"{part}\n{printed.getvalue()}"
    return printed.getvalue()


def splits(run_name: str) -> KeptSplits:
    return read_kept_splits(Path("runs") / run_name)


def by_digest(kept: KeptSplits, split: str = "") -> dict[str, str]:
    rows = zip(kept.digests, kept.splits, strict=True)
    return {digest: of_image for digest, of_image in rows if split in ("", of_image)}


def test_the_page_s_commands_do_what_it_says(said):
    place, printed = said
    assert shutil.which("bash") and place == Path.cwd()

    def output(start: str) -> str:
        (line,) = [line for line in printed if line.startswith(start)]
        return printed[line]

    # Labels: a run keeps what it was trained with, and the split.
    assert "1 image relabelled, 1 removed" in output("tfft data check")
    first, fixed, more, lynx = map(splits, ("first", "fixed", "more", "lynx"))
    assert dict(zip(fixed.ids, fixed.labels, strict=True))["red/3.png"] == "blue"
    assert fixed.splits[fixed.ids.index("green/7.png")] == "removed"
    for older, newer in ((first, fixed), (fixed, more), (more, lynx)):
        kept = by_digest(newer)
        changed = {d for d, split in by_digest(older).items() if kept[d] != split}
        assert changed <= set(by_digest(fixed, "removed"))
    # Photos come.
    assert "15 images new since then" in output("tfft train --resume runs/fixed")
    assert len(more.ids) == len(fixed.ids) + 15
    # A class is added, and old rows are kept.
    assert "lynx" in set(lynx.labels) - set(more.labels)
    assert "not known" in output("tfft compare runs/more runs/lynx")
    warm = output("tfft train runs/more/recipe.yaml --set 'backbone=")
    assert "as in the run, with new classes: lynx" in warm
    # Promoted, or not.
    assert Path("saved_models/classifier/2").is_dir()
    assert "below --max-loss 0.1" in output("tfft compare runs/lynx runs/poor")
    # Back to the run.
    assert output("grep -lF").split() == ["runs/first/model.json"]
    # The folder is mended, and the run finds its photos.
    assert "2 files moved, 1 of them removed" in output("tfft data apply")
    assert Path("photos-removed/green/7.png").is_file()
    assert "gone since the training" not in output("tfft evaluate runs/lynx")
    record = json.loads(Path("runs/fixed/run.json").read_text())
    assert record["data"]["labels"] == {"relabelled": 1, "removed": 1}
