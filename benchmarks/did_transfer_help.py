"""Did transfer help? Scratch, feature extraction and progressive unfreezing on parts of two sets.

Five kinds of flowers, and all Stanford Dogs cut to their boxes, with EfficientNet-Lite0 at 96 px
and three seeds: `tfft compare` does the work in `studies/`. The outcome of each run is stored in
results/did-transfer-help.json when it is finished, and a second call continues, also on another
machine. The flowers come first, and small parts of the data before large ones. The tables, curves
and verdicts are written into docs/did-transfer-help.md after each set; `--table` only writes them
from the stored outcomes.

    python benchmarks/did_transfer_help.py --shared ../shared/data
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cells import Cells
from tables import put_into

from tfft.cli.progress import shown_progress
from tfft.config.loading.load import dump_recipe, recipe_from_dict
from tfft.studies.arms import common_head, make_arms
from tfft.studies.compare import Cell, Study, plan_study, run_study
from tfft.studies.curves import draw_learning_curves
from tfft.studies.outcome import Outcome, outcome_from_json, read_outcome
from tfft.studies.pages import markdown_table, tables
from tfft.studies.results import summarize
from tfft.studies.verdict import verdicts
from tfft.system.files import write_text

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "did-transfer-help.md"
ARMS = ("scratch", "feature_extraction", "progressive")
# Epochs from scratch on all of the data: as many as two cores can train.
SCRATCH_EPOCHS = {"flowers": 20, "dogs": 5}


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
    parser.add_argument("--arms", default=",".join(ARMS), help=f"default: {','.join(ARMS)}")
    parser.add_argument("--table", action="store_true", help="write what is there and stop")
    options = parser.parse_args()
    for data in [options.data] if options.data else SCRATCH_EPOCHS:
        measured = Measured(data, options.shared.absolute())
        if not options.table:
            fractions = [float(part) for part in options.fractions.split(",")]
            measured.run(options.arms.split(","), options.seeds, fractions)
        measured.write_part()


class Measured:
    """The comparison on one set: its measurements, and what they show."""

    def __init__(self, data: str, shared: Path) -> None:
        self._data = data
        self._cells = Cells("did-transfer-help")
        recipe = Path("studies") / f"{data}.yaml"
        write_text(recipe, dump_recipe(recipe_from_dict(recipe_of(data, shared))))
        self._arms = make_arms(ARMS, recipe=recipe, scratch_epochs=SCRATCH_EPOCHS[data])
        self._head = common_head(self._arms)

    def run(self, words: Sequence[str], seeds: int, fractions: Sequence[float]) -> None:
        """Runs what is missing, one run after another, and stores each outcome."""
        arms = [arm for arm in self._arms if arm.name in words]
        name = f"did-transfer-help-{self._data}"
        study = plan_study(arms, seeds=seeds, fractions=fractions, name=name)
        with shown_progress(quiet=False) as progress:
            for cell in study.cells:
                if self._cells.get(**self._key(cell)) is None:
                    done = run_study(Study(study.path, study.arms, (cell,)), progress)
                    if not done.failed:
                        outcome = read_outcome(cell, self._head)
                        self._cells.put({"outcome": outcome.to_json()}, **self._key(cell))

    def write_part(self) -> None:
        """Writes verdicts, curves and tables of the set into the page."""
        outcomes = list(self._outcomes())
        if not outcomes:
            return
        results = summarize(self._arms, self._head, outcomes)
        picture = DOCS / "images" / f"did-transfer-help-{self._data}.png"
        picture.parent.mkdir(exist_ok=True)
        draw_learning_curves(results, picture)

        def lines() -> Iterator[str]:
            yield from (f"- {verdict.text}" for verdict in verdicts(results))
            yield f"\n![top-1 against the number of training images](images/{picture.name})"
            for title, table in tables(results).items():
                yield f"\n{title}\n\n{markdown_table(table)}"

        put_into(PAGE, self._data, "\n".join(lines()))

    def _outcomes(self) -> Iterator[Outcome]:
        for cell in self._cells.cells:
            if cell["key"]["data"] == self._data:
                yield outcome_from_json(cell["outcome"])

    def _key(self, cell: Cell) -> dict[str, Any]:
        key = {"arm": cell.arm, "fraction": cell.fraction, "seed": cell.seed}
        return {"data": self._data, **key}


if __name__ == "__main__":
    main()
