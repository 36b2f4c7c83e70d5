"""Did transfer help? Scratch, feature extraction and progressive unfreezing on parts of two sets.

Five kinds of flowers, and all Stanford Dogs cut to their boxes, with EfficientNet-Lite0 at 96 px
and three seeds: `tfft compare` does the work, so that each run is stored as it is finished and a
second call goes on. The flowers come first, and small parts of the data before large ones. The
tables, curves and verdicts are written into docs/did-transfer-help.md after each set; `--table`
writes them from what is there and stops.

    python benchmarks/did_transfer_help.py --shared ../shared/data
"""

import argparse
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cells import RESULTS
from tables import put_into

import tfft
from tfft.cli.progress import shown_progress
from tfft.config.load import dump_recipe, recipe_from_dict
from tfft.studies.arms import make_arms
from tfft.studies.compare import Study, plan_study
from tfft.studies.curves import draw_learning_curves
from tfft.studies.pages import comparison_json, markdown_table, tables
from tfft.studies.process import is_finished
from tfft.studies.results import collect
from tfft.studies.verdict import verdicts
from tfft.system.files import write_json, write_text

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "did-transfer-help.md"
ARMS = ("scratch", "feature_extraction", "progressive")
# From scratch on all of the data; as many as two cores can train.
SCRATCH_EPOCHS = {"flowers": 40, "dogs": 10}


def recipe_of(data: str, shared: Path) -> dict[str, Any]:
    """The recipe that strategies are applied to."""
    flowers = {"kind": "image_folder", "path": str(shared / "flowers160")}
    crops = {
        "kind": "tfds",
        "name": "stanford_dogs",
        "archives": str(shared / "stanford_dogs_crops160"),
        "subset": True,
        "crop_to_box": True,
    }
    return {
        "name": data,
        "data": flowers if data == "flowers" else crops,
        "image": {"size_px": 96, "fit": "stretch"},
        "backbone": {"kind": "lite"},
        "train": {"strategy": "feature_extraction"},
    }


def main() -> None:
    """Runs what is missing and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, required=True, help="directory with both sets")
    parser.add_argument("--data", choices=tuple(SCRATCH_EPOCHS), help="one of the sets only")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--fractions", default="0.05,0.25,1")
    parser.add_argument("--scratch-epochs", type=int, help="default: 40 flowers, 10 dogs")
    parser.add_argument("--arms", default=",".join(ARMS), help=f"default: {','.join(ARMS)}")
    parser.add_argument("--table", action="store_true", help="write what is there and stop")
    options = parser.parse_args()
    for data in [options.data] if options.data else SCRATCH_EPOCHS:
        measure(data, options)


def measure(data: str, options: argparse.Namespace) -> None:
    """Runs the comparison on one set, and writes its part of the page."""
    recipe = Path("studies") / f"{data}.yaml"
    given = recipe_from_dict(recipe_of(data, options.shared.absolute()))
    write_text(recipe, dump_recipe(given))
    words = options.arms.split(",")
    epochs = options.scratch_epochs or SCRATCH_EPOCHS[data]
    plan = {
        "seeds": options.seeds,
        "fractions": [float(part) for part in options.fractions.split(",")],
        "name": f"did-transfer-help-{data}",
    }
    if not options.table:
        with shown_progress(quiet=False) as progress:
            tfft.compare(*words, recipe=recipe, scratch_epochs=epochs, progress=progress, **plan)
    study = plan_study(make_arms(words, recipe=recipe, scratch_epochs=epochs), **plan)
    done = tuple(cell for cell in study.cells if is_finished(cell.run))
    if done:
        write_part(data, Study(study.path, study.arms, done))


def write_part(data: str, study: Study) -> None:
    """Writes tables, curves and verdicts of one set into the page."""
    results = collect(study)
    draw_learning_curves(results, study.path / "curves.png")
    picture = DOCS / "images" / f"did-transfer-help-{data}.png"
    picture.parent.mkdir(exist_ok=True)
    shutil.copyfile(study.path / "curves.png", picture)

    def lines() -> Iterator[str]:
        yield from (f"- {verdict.text}" for verdict in verdicts(results))
        yield f"\n![top-1 against the number of training images](images/{picture.name})"
        for title, table in tables(results).items():
            yield f"\n{title}\n\n{markdown_table(table)}"

    put_into(PAGE, data, "\n".join(lines()))
    write_json(RESULTS / f"did-transfer-help-{data}.json", comparison_json(study, results))


if __name__ == "__main__":
    main()
