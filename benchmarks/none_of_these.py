"""Scores for images that are unlike the training data, side by side, on the same features.

A head for five kinds of flowers is solved on features of EfficientNet-Lite0. Each score is to tell
the test images from pictures of other things: crops of dogs, digits, textures that are made here,
and photos of a kind of flower that was left out of the training. Its threshold keeps the stated
share of the validation images. Cells are stored in results/none-of-these.json; run the script again
to continue. `none_of_these.py --table` writes the table into docs/unsure.md.

    python benchmarks/none_of_these.py --shared ../shared/data
"""

import argparse
import statistics
import sys
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from cells import Cells
from PIL import Image
from scipy.special import logsumexp, softmax
from sklearn.covariance import LedoitWolf
from sklearn.datasets import load_digits
from tables import put_into, table_text

from tfft.config.loading.load import recipe_from_dict
from tfft.config.train import LinearPhase
from tfft.data.examples import Images
from tfft.data.index import ImageIndex, index_of_files
from tfft.metrics.one_against_rest import class_metrics
from tfft.system.files import atomic_path
from tfft.system.progress import SILENT
from tfft.transfer.frozen.build import frozen_part, read_outputs
from tfft.transfer.linear.penalty import solve_linear_head
from tfft.transfer.linear.weights import LinearWeights
from tfft.transfer.prepare import prepare
from tfft.transfer.unlikeness import fit_unlikeness

DOCS = Path(__file__).parents[1] / "docs" / "unsure.md"
WORK = Path(__file__).parent / "work" / "none-of-these"
# Each splits the training images anew, and leaves another kind of flower out.
SEEDS = (0, 1, 2, 3, 4)
SIZE_PX, EACH = 160, 600
KEPT = 0.95
NEIGHBOURS = 10
CANDIDATES = LinearPhase(solver="linear").inverse_regularization
SOURCES = ("left-out flower", "dogs", "textures", "digits")


# The pictures of other things.


def write_others(shared: Path, root: Path) -> dict[str, list[Path]]:
    """Writes dogs, digits and textures as files, once; returns their paths by source."""
    writers = {"dogs": _dogs(shared), "digits": _digits, "textures": _textures}
    for name, write in writers.items():
        if not (root / name).is_dir():
            (root / f"{name}-begun").mkdir(parents=True, exist_ok=True)
            write(root / f"{name}-begun")
            (root / f"{name}-begun").rename(root / name)
    return {name: sorted((root / name).iterdir()) for name in writers}


def _dogs(shared: Path) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        with tarfile.open(shared / "stanford_dogs_crops160" / "images.tar") as archive:
            photos = [each for each in archive.getmembers() if each.name.endswith(".jpg")]
            for number in np.random.default_rng(0).permutation(len(photos))[:EACH]:
                content = archive.extractfile(photos[number])
                assert content is not None
                (folder / Path(photos[number].name).name).write_bytes(content.read())

    return write


def _digits(folder: Path) -> None:
    for number, values in enumerate(load_digits().images[:EACH]):
        grey = np.rint(values * (255 / 16)).astype(np.uint8)
        Image.fromarray(grey).convert("RGB").save(folder / f"{number:04}.png")


def _textures(folder: Path) -> None:
    """Writes waves, checks, clouds and noise, each in two colours of its own."""
    generator = np.random.default_rng(0)
    y, x = np.mgrid[:SIZE_PX, :SIZE_PX] / SIZE_PX
    for number in range(EACH):
        turn, frequency = generator.uniform(0, np.pi), generator.uniform(3, 40)
        across, along = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
        if number % 4 == 0:
            pattern = np.sin(2 * np.pi * frequency * across)
        elif number % 4 == 1:
            pattern = np.sign(
                np.sin(np.pi * frequency * across) * np.sin(np.pi * frequency * along)
            )
        elif number % 4 == 2:
            coarse = generator.uniform(0, 255, [int(generator.integers(4, 24))] * 2)
            size = (SIZE_PX, SIZE_PX)
            cloud = Image.fromarray(coarse.astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)
            pattern = np.asarray(cloud) / 127.5 - 1
        else:
            pattern = generator.uniform(-1, 1, x.shape)
        first, second = generator.uniform(0, 255, (2, 3))
        pixels = first + (second - first) * (pattern[..., None] + 1) / 2
        Image.fromarray(np.rint(pixels).astype(np.uint8)).save(folder / f"{number:04}.png")


# Features, computed once.


def features_of(shared: Path, root: Path) -> dict[str, np.ndarray]:
    """Returns features by source, ``train`` and ``test`` of the flowers with their ``labels``."""
    file = root / "features.npz"
    if not file.is_file():
        recipe = recipe_from_dict(
            {
                "name": "flowers",
                "data": {"kind": "image_folder", "path": str(shared / "flowers160")},
                "image": {"size_px": SIZE_PX},
                "backbone": {"kind": "lite"},
                "train": {"phases": [{"solver": "linear", "inverse_regularization": [1.0]}]},
            }
        )
        prepared = prepare(recipe, SILENT)
        blocks = len(prepared.classifier.backbone.blocks)
        frozen = frozen_part(recipe, prepared.classifier, [blocks])
        found: dict[str, np.ndarray] = {}

        def add(name: str, index: ImageIndex) -> None:
            (found[name],) = read_outputs(frozen, Images(index, prepared.pixels), name)
            found[f"{name} labels"] = index.targets["label"]

        for name, index in prepared.data.splits.items():
            add(name, index)
        for name, files in write_others(shared, root).items():
            add(name, index_of_files(files, [each.name for each in files], [0] * len(files)))
        with atomic_path(file) as temporary, temporary.open("wb") as stream:
            np.savez(stream, **found)  # pyright: ignore[reportArgumentType]
    with np.load(file) as arrays:
        return dict(arrays)


# The scores: the larger, the more an image is unlike those that were trained on.

Score = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Trained:
    """What scores are made from: training features, their labels and the head."""

    features: np.ndarray
    labels: np.ndarray
    head: LinearWeights

    def means(self) -> np.ndarray:
        return np.stack(
            [self.features[self.labels == k].mean(axis=0) for k in np.unique(self.labels)]
        )

    def within(self) -> np.ndarray:
        """Returns how far each image is from the mean of its class."""
        _, number = np.unique(self.labels, return_inverse=True)
        return self.features - self.means()[number]


def maximum_probability(trained: Trained) -> Score:
    """Hendrycks and Gimpel 2017."""
    return lambda rows: -softmax(trained.head.outputs(rows), axis=1).max(axis=1)


def maximum_logit(trained: Trained) -> Score:
    """Hendrycks et al. 2022."""
    return lambda rows: -trained.head.outputs(rows).max(axis=1)


def energy(trained: Trained) -> Score:
    """Liu et al. 2020."""
    return lambda rows: -logsumexp(trained.head.outputs(rows), axis=1)


def mahalanobis(trained: Trained) -> Score:
    """Lee et al. 2018, on the last features, with a shrunk shared covariance."""
    squares = _class_distances(trained)
    return lambda rows: squares(rows).min(axis=1)


def relative_mahalanobis(trained: Trained) -> Score:
    """Ren et al. 2021: less the distance to the mean of all images."""
    of_classes, of_all = _class_distances(trained), one_gaussian(trained)
    return lambda rows: of_classes(rows).min(axis=1) - of_all(rows)


def one_gaussian(trained: Trained) -> Score:
    """The distance to the mean of all images, whatever their class."""
    mean = trained.features.mean(axis=0)
    precision = np.asarray(LedoitWolf().fit(trained.features).precision_)
    return lambda rows: _quadratic(rows - mean, precision)


def nearest(trained: Trained) -> Score:
    """Sun et al. 2022: distance to the k-th nearest training image, at unit length."""
    bank = _unit(trained.features)
    return lambda rows: -np.partition(_unit(rows) @ bank.T, -NEIGHBOURS, axis=1)[:, -NEIGHBOURS]


def virtual_logit(trained: Trained) -> Score:
    """Wang et al. 2022 (ViM): what the principal axes leave, as one more logit."""
    kernel, bias = trained.head.kernel.astype(float), trained.head.bias.astype(float)
    origin = -np.linalg.pinv(kernel.T) @ bias
    centred = trained.features - origin
    kept = (
        1000
        if centred.shape[1] > 1500
        else 512
        if centred.shape[1] >= 768
        else centred.shape[1] // 2
    )
    _, axes = np.linalg.eigh(centred.T @ centred)
    rest = axes[:, : centred.shape[1] - kept]
    scale = trained.head.outputs(trained.features).max(axis=1).mean()
    scale /= np.linalg.norm(centred @ rest, axis=1).mean()

    def score(rows: np.ndarray) -> np.ndarray:
        virtual = scale * np.linalg.norm((rows - origin) @ rest, axis=1)
        return virtual - logsumexp(trained.head.outputs(rows), axis=1)

    return score


def at_unit_length(score: Callable[[Trained], Score]) -> Callable[[Trained], Score]:
    """Mueller and Hein 2025: another score on the directions of the features."""

    def score_of(trained: Trained) -> Score:
        of_directions = score(replace(trained, features=_unit(trained.features)))
        return lambda rows: of_directions(_unit(rows))

    return score_of


def on_axes(count: int) -> Callable[[Trained], Score]:
    """One Gaussian with variances of their own on `count` axes, and one for all others.

    Tipping and Bishop 1999: it has the covariance of probabilistic PCA.
    """

    def score_of(trained: Trained) -> Score:
        mean = trained.features.mean(axis=0)
        centred = trained.features - mean
        variances, axes = np.linalg.eigh(centred.T @ centred / len(centred))
        rest = variances[:-count].mean()
        onto = axes[:, -count:] * np.sqrt(1 - rest / variances[-count:])
        return lambda rows: ((rows - mean) ** 2).sum(axis=1) - _squares((rows - mean) @ onto)

    return score_of


def of_tfft(trained: Trained) -> Score:
    """What `tfft train` fits."""
    features = trained.features.astype(np.float32)
    fitted = fit_unlikeness(features, features, KEPT)
    return lambda rows: fitted.distances(rows)[:, 0]


def _class_distances(trained: Trained) -> Score:
    precision = np.asarray(LedoitWolf(assume_centered=True).fit(trained.within()).precision_)
    means = trained.means()
    return lambda rows: np.stack([_quadratic(rows - mean, precision) for mean in means], axis=1)


def _squares(rows: np.ndarray) -> np.ndarray:
    return (rows**2).sum(axis=1)


def _quadratic(rows: np.ndarray, precision: np.ndarray) -> np.ndarray:
    return ((rows @ precision) * rows).sum(axis=1)


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)


SCORES: Mapping[str, Callable[[Trained], Score]] = {
    "maximum probability": maximum_probability,
    "maximum logit": maximum_logit,
    "energy": energy,
    "Mahalanobis": mahalanobis,
    "Mahalanobis at unit length": at_unit_length(mahalanobis),
    "relative Mahalanobis": relative_mahalanobis,
    "relative Mahalanobis at unit length": at_unit_length(relative_mahalanobis),
    f"{NEIGHBOURS} nearest": nearest,
    "ViM": virtual_logit,
    "one Gaussian": one_gaussian,
    "one Gaussian on 64 axes": on_axes(64),
    "one Gaussian on 16 axes at unit length": at_unit_length(on_axes(16)),
    "one Gaussian on 64 axes at unit length (tfft)": of_tfft,
}


@dataclass(frozen=True, eq=False)
class Case:
    """A head with what it was trained on, and what is to be told from what.

    Attributes:
        trained: What scores are made from.
        validated: Features of validation images.
        tested: Features of test images of the kinds that it knows.
        others: Features of images of other sources, by source.
    """

    trained: Trained
    validated: np.ndarray
    tested: np.ndarray
    others: Mapping[str, np.ndarray]


def cases_of(features: Mapping[str, np.ndarray], seed: int) -> tuple[Case, Case]:
    """Returns the case of all kinds of flowers beside other things, and of one kind left out."""
    things = {name: features[name] for name in ("dogs", "textures", "digits")}
    flower = {"left-out flower": features["test"][features["test labels"] == seed]}
    return _case(features, seed, None, things), _case(features, seed, seed, flower)


def _case(
    features: Mapping[str, np.ndarray],
    seed: int,
    left_out: int | None,
    others: Mapping[str, np.ndarray],
) -> Case:
    rows = np.concatenate([features["train"], features["validation"]])
    labels = np.concatenate([features["train labels"], features["validation labels"]])
    known = np.flatnonzero(labels != left_out)
    numbers = np.zeros(len(labels), np.int64)
    numbers[known] = np.unique(labels[known], return_inverse=True)[1]
    order = np.random.default_rng(seed).permutation(known)
    validated, trained = np.split(order, [len(order) // 5])
    head = solve_linear_head(
        rows[trained],
        numbers[trained],
        rows[validated],
        numbers[validated],
        outputs=int(numbers.max()) + 1,
        kind="classification",
        candidates=CANDIDATES,
        choose_by="loss",
        refit=False,
    ).chosen
    return Case(
        Trained(rows[trained].astype(float), numbers[trained], head),
        rows[validated],
        features["test"][features["test labels"] != left_out],
        others,
    )


def measure(name: str, cases: tuple[Case, Case]) -> dict[str, dict[str, float]]:
    """Returns, by source, the AUROC and what is caught of it, and what is kept of the flowers."""
    found = {}
    for case in cases:
        score = SCORES[name](case.trained)
        limit = np.quantile(score(case.validated), KEPT, method="higher")
        tested = score(case.tested)
        for source, of_source in case.others.items():
            values = score(of_source)
            every = np.concatenate([tested, values])
            truth = np.repeat([False, True], [len(tested), len(values)])
            found[source] = {
                "auroc": class_metrics(truth, every > limit, every)["auc"],
                "caught": float((values > limit).mean()),
                "kept": float((tested <= limit).mean()),
                "examples": len(values),
            }
    return found


def table(cells: Cells) -> str:
    """A row for each score: the mean AUROC over the splits, by source."""
    columns = [*SOURCES, "dogs caught", "flowers kept"]
    return table_text(["score", *columns], [[name, *_values(cells, name)] for name in SCORES])


def _values(cells: Cells, name: str) -> list[str]:
    measured = [cell for cell in cells.cells if cell["key"]["score"] == name]
    if not measured:
        return ["-"] * (len(SOURCES) + 2)

    def mean(source: str, value: str) -> float:
        return statistics.mean(cell["sources"][source][value] for cell in measured)

    return [
        *(f"{mean(source, 'auroc'):.3f}" for source in SOURCES),
        f"{mean('dogs', 'caught'):.1%}",
        f"{mean('dogs', 'kept'):.1%}",
    ]


def main() -> None:
    """Measures the missing cells."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, help="directory with the data sets")
    parser.add_argument("--table", action="store_true", help="write the table and stop")
    options = parser.parse_args()
    cells = Cells("none-of-these")
    if not options.table:
        if options.shared is None:
            parser.error("--shared DIR is needed to measure")
        features = features_of(options.shared.absolute(), WORK)
        for seed in SEEDS:
            missing = [name for name in SCORES if cells.get(score=name, seed=seed) is None]
            cases = cases_of(features, seed) if missing else None
            for name in missing:
                assert cases is not None
                print(name, seed, flush=True)
                cells.put({"sources": measure(name, cases)}, score=name, seed=seed)
    print(table(cells))
    put_into(DOCS, "scores", table(cells))


if __name__ == "__main__":
    sys.exit(main())
