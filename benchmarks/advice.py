"""Is the word of `tfft advise` right, and does it cost less than training what it recommends?

On each set every strategy is trained once, in a process of its own and without cached features, and
`tfft compare` says which of the runs can't be told from the best. Then `tfft advise` is asked, also
without cached features. Cells are stored in results/advice.json; run the script again to continue.
`advice.py --table` writes the table into docs/compare.md.

    python benchmarks/advice.py --shared ../shared/data
"""

import argparse
import io
import shutil
import sys
import tarfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from cells import Cells, run_tfft
from scipy.io import loadmat
from tables import interval_text, put_into, table_text

WORK = Path(__file__).parent / "work" / "advice"
DOCS = Path(__file__).parents[1] / "docs" / "compare.md"
SIZE_PX = 96
# Breeds of the crops that are a set of their own, and images of each.
BREEDS, TRAIN_PHOTOS, TEST_PHOTOS = 20, 50, 40
# Shares of the photos of each kind in the unequal set, and photos of dogs beside them: few kinds of
# things, the commonest of them many times as frequent as the rarest, and a class for anything else.
SHARES, OTHERS = (1.0, 0.6, 0.4, 0.25, 0.12), 3
# Share of the digits' training images.
DIGITS = 0.5
SETS = ("flowers", "digits", "breeds", "unequal")
# `full` is what `advise` writes where fine-tuning pays; `lp_ft_faster` is `lp_ft` at its rate.
ARMS: dict[str, dict[str, Any]] = {
    "head_only": {"strategy": "head_only"},
    "partial": {"strategy": {"kind": "partial", "augment": "random_crop"}},
    "lp_ft": {"strategy": {"kind": "lp_ft", "augment": "random_crop"}},
    "full": {"strategy": {"kind": "full", "epochs": 8, "augment": "random_crop"}},
    "lp_ft_faster": {
        "strategy": {
            "kind": "lp_ft",
            "epochs": 8,
            "learning_rate": 1e-4,
            "augment": "random_crop",
        }
    },
}


def recipe_of(data: str, shared: Path, arm: str) -> dict[str, Any]:
    """The recipe of a cell."""
    return {
        "name": arm,
        "data": {**_source(data, shared), "validation_fraction": 0.2},
        "image": {"size_px": SIZE_PX, "fit": "stretch"},
        "backbone": {"kind": "lite"},
        "train": ARMS[arm],
    }


def _source(data: str, shared: Path) -> dict[str, Any]:
    if data == "digits":
        return {"kind": "digits", "fraction": DIGITS}
    folder = shared / "flowers160" if data == "flowers" else WORK / "photos" / data
    if not folder.is_dir():
        {"breeds": make_breeds, "unequal": make_unequal}[data](shared, folder)
    return {"kind": "image_folder", "path": str(folder)}


def make_breeds(shared: Path, folder: Path, breeds: int = BREEDS) -> None:
    """Writes some photos of each of a few breeds, spread over the alphabet."""
    archives = shared / "stanford_dogs_crops160"
    wanted: dict[str, str] = {}
    with tarfile.open(archives / "lists.tar") as lists:
        for split, limit in (("train", TRAIN_PHOTOS), ("test", TEST_PHOTOS)):
            content = lists.extractfile(f"{split}_list.mat")
            assert content is not None
            listed = loadmat(io.BytesIO(content.read()))["file_list"]
            names = [str(row[0][0]) for row in listed]
            chosen = sorted({name.partition("/")[0] for name in names})
            chosen = set(chosen[:: len(chosen) // breeds][:breeds])
            taken: Counter[str] = Counter()
            for name in names:
                breed = name.partition("/")[0]
                taken[breed] += 1
                if breed in chosen and taken[breed] <= limit:
                    wanted[f"Images/{name}"] = split
    with tarfile.open(archives / "images.tar") as images:
        for member in images:
            if member.name in wanted:
                content = images.extractfile(member)
                assert content is not None
                _write(folder / wanted[member.name] / Path(*Path(member.name).parts[1:]), content)


def make_unequal(shared: Path, folder: Path) -> None:
    """Writes a share of the flowers of each kind, and a class of other things, which are dogs."""
    if not (WORK / "photos" / "breeds").is_dir():
        make_breeds(shared, WORK / "photos" / "breeds")
    for split in ("train", "test"):
        kinds = sorted((shared / "flowers160" / split).iterdir())
        for kind, share in zip(kinds, SHARES, strict=True):
            photos = sorted(kind.iterdir())
            for photo in photos[: round(share * len(photos))]:
                _write(folder / split / kind.name / photo.name, io.BytesIO(photo.read_bytes()))
        for breed in sorted((WORK / "photos" / "breeds" / split).iterdir()):
            for photo in sorted(breed.iterdir())[:OTHERS]:
                _write(folder / split / "other" / photo.name, io.BytesIO(photo.read_bytes()))


def _write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.read())


def _run(command: str, data: str, arm: str, shared: Path, *options: str) -> Mapping[str, Any]:
    """Runs a command on the recipe of an arm, without cached features."""
    cache, recipe = WORK / "cache" / data, WORK / "recipes" / data / f"{arm}.yaml"
    recipe.parent.mkdir(parents=True, exist_ok=True)
    recipe.write_text(yaml.safe_dump(recipe_of(data, shared, arm)))
    # Scanning the images is not part of what is compared; computing features is.
    if not cache.is_dir():
        run_tfft("data", "check", str(recipe), cache=cache)
    shutil.rmtree(cache / "activations", ignore_errors=True)
    found, cost = run_tfft(command, str(recipe), *options, cache=cache)
    return {**found, **cost}


def measure_arm(data: str, arm: str, shared: Path) -> dict[str, Any]:
    """Trains one arm, and keeps its run for the comparison."""
    run = WORK / "runs" / data / arm
    shutil.rmtree(run, ignore_errors=True)
    found = _run("train", data, arm, shared, "--run", str(run))
    return {name: found[name] for name in ("cpu_seconds", "seconds", "peak_memory_mb")}


def measure_comparison(data: str) -> dict[str, Any]:
    """Asks `tfft compare` which runs can't be told from the best."""
    runs = [str(WORK / "runs" / data / arm) for arm in ARMS]
    found, _ = run_tfft("compare", *runs, "--name", f"advice-{data}", cache=WORK / "cache" / data)
    verdicts = {verdict["arm"]: verdict["kind"] for verdict in found["verdicts"]}
    return {
        "examples": found["test_images"],
        "arms": {
            row["arm"]: {"top1": row["top1"], "verdict": verdicts.get(row["arm"], "best")}
            for row in found["rows"]
        },
    }


def measure_advice(data: str, shared: Path) -> dict[str, Any]:
    """Asks `tfft advise`."""
    output = WORK / "recipes" / data / "written.yaml"
    output.unlink(missing_ok=True)
    found = _run("advise", data, "head_only", shared, "--output", str(output))
    return {name: value for name, value in found.items() if name != "recipe"}


def table(cells: Cells) -> str:
    """A row for each set: what is best, what is advised, and what either costs."""
    rows = []
    for data in SETS:
        compared, advice = (cells.get(data=data, what=w) for w in ("comparison", "advice"))
        if compared is None or advice is None:
            continue
        arms = compared["arms"]
        taken = advice["strategy"]
        trained = cells.get(data=data, what=taken)
        assert trained is not None
        reached = []
        for arm, of_arm in sorted(arms.items(), key=lambda item: -item[1]["top1"]):
            worse = ", worse" if of_arm["verdict"] == "worse_than_best" else ""
            reached.append(f"`{arm}` {of_arm['top1']:.3f}{worse}")
        rows.append(
            [
                f"{data}, {advice['train_images']:,} images, {advice['classes']} classes",
                "; ".join(reached),
                f"`{advice['strategy']}`: "
                + interval_text([{"top1": arms[taken]["top1"], "examples": compared["examples"]}]),
                "no" if arms[taken]["verdict"] == "worse_than_best" else "yes",
                f"{advice['cpu_seconds']:.0f}",
                f"{trained['cpu_seconds']:.0f}",
            ]
        )
    columns = ["set", "test top-1 of each strategy", "advised", "among the best"]
    return table_text([*columns, "CPU s of `advise`", "CPU s of training it"], rows)


def main() -> None:
    """Measures the missing cells."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, help="directory with flowers160 and the crops")
    parser.add_argument("--data", choices=SETS, help="one of the sets only")
    parser.add_argument("--table", action="store_true", help="write the table and stop")
    options = parser.parse_args()
    cells = Cells("advice")
    if not options.table:
        if options.shared is None:
            parser.error("--shared DIR is needed to measure")
        shared = options.shared.absolute()
        for data in (options.data,) if options.data else SETS:
            for arm in ARMS:
                if cells.get(data=data, what=arm) is None:
                    print(data, arm, flush=True)
                    cells.put(measure_arm(data, arm, shared), data=data, what=arm)
            if cells.get(data=data, what="comparison") is None:
                cells.put(measure_comparison(data), data=data, what="comparison")
            if cells.get(data=data, what="advice") is None:
                print(data, "advice", flush=True)
                cells.put(measure_advice(data, shared), data=data, what="advice")
    put_into(DOCS, "advice", table(cells))
    print(DOCS.read_text())


if __name__ == "__main__":
    sys.exit(main())
