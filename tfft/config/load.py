"""Loads recipes: YAML, short forms, overrides, then strict validation with every fault at once."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from tfft.config.base import Section
from tfft.config.checks import check_recipe
from tfft.config.faults import fault_lines, line
from tfft.config.overrides import Overrides, apply_overrides
from tfft.config.recipe import Recipe
from tfft.config.source import Document, read_yaml
from tfft.config.strategies import Strategy
from tfft.errors import RecipeError, nearest

_HEADER = "# A resolved recipe: every value is written out. `tfft train` runs it as it is.\n"
_STRATEGIES = ("feature_extraction", "full", "lp_ft")


class _ShortForm(Section):
    strategy: Strategy


def load_recipe(
    name_or_path: str | Path, *, overrides: Overrides = (), data: Path | None = None
) -> Recipe:
    """Loads a bundled recipe or a recipe file.

    Args:
        name_or_path: name of a bundled recipe, or path of a file.
        overrides: ``{"train.batch_size": 64}`` or ``["train.batch_size=64"]``, applied after short
            forms are expanded.
        data: a directory with one folder a class, or a CSV manifest; replaces the recipe's source
            of images.

    Raises:
        RecipeError: The recipe is not there or wrong; every fault is named, a line each.
        UsageError: An override is not of its form.
    """
    path = _find(name_or_path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"cannot read the recipe {path}: {error}") from error
    return _resolve(read_yaml(text, str(path)), overrides, data)


def recipe_from_dict(values: Mapping[str, Any], overrides: Overrides = ()) -> Recipe:
    """Makes a recipe from values instead of a file.

    Raises:
        RecipeError: The values are wrong; every fault is named, a line each.
    """
    return _resolve(Document(dict(values)), overrides, None)


def dump_recipe(recipe: Recipe) -> str:
    """Returns a recipe as YAML with every value; `load_recipe` reads it back as an equal one."""
    return _HEADER + yaml.safe_dump(
        recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=100
    )


def bundled_recipes() -> dict[str, Path]:
    """Returns the files of the recipes that come with tfft, by name."""
    package = Path(__file__).resolve().parents[1]
    installed, checkout = package / "configs", package.parent / "configs"
    directory = installed if installed.is_dir() else checkout
    return {path.stem: path for path in sorted(directory.glob("*.yaml"))}


def _find(name_or_path: str | Path) -> Path:
    bundled = bundled_recipes()
    path = Path(name_or_path).expanduser()
    if str(name_or_path) in bundled:
        return bundled[str(name_or_path)]
    if path.is_file():
        return path
    if path.is_dir():
        raise RecipeError(
            f"{path} is a directory, not a recipe. To train on its images: "
            f"tfft train classifier --data {path}"
        )
    raise RecipeError(
        f"no recipe {str(name_or_path)!r}: neither a file nor one of the bundled recipes "
        f"{', '.join(bundled)}.{nearest(str(name_or_path), bundled)}"
    )


def _resolve(document: Document, overrides: Overrides, data: Path | None) -> Recipe:
    if not isinstance(document.values, dict):
        raise RecipeError(f"{document.place(())}: a recipe is a section of keys and values")
    document, faults = _expanded(document)
    document = apply_overrides(document, overrides)
    if data is not None:
        document = _with_data(document, data)
    try:
        recipe = Recipe.model_validate(document.values)
    except ValidationError as error:
        faults += fault_lines(error, Recipe, document.values, document.place)
        raise RecipeError("\n".join(faults)) from None
    faults += [line(document.place, path, text) for path, text in check_recipe(recipe)]
    if faults:
        raise RecipeError("\n".join(faults))
    return _absolute(recipe)


def _expanded(document: Document) -> tuple[Document, list[str]]:
    """Replaces `train.strategy` by the phases it stands for."""
    train = document.values.get("train")
    if not isinstance(train, dict) or "strategy" not in train:
        return document, []
    path = ("train", "strategy")
    if "phases" in train:
        fault = "give strategy or phases, not both: a strategy stands for its phases"
        return _with_train(document, "strategy"), [line(document.place, path, fault)]
    short = train["strategy"]
    try:
        section = {"kind": short} if isinstance(short, str) else short
        strategy = _ShortForm.model_validate({"strategy": section}).strategy
    except ValidationError as error:
        return _stand_in(document), _strategy_faults(error, short, document)
    expanded = _with_train(document, "strategy")
    expanded.values["train"]["phases"] = strategy.phases()
    return expanded, []


def _strategy_faults(error: ValidationError, short: Any, document: Document) -> list[str]:
    if isinstance(short, str) or not isinstance(short, dict) or "kind" not in short:
        text = (
            f"must be one of {', '.join(_STRATEGIES)}, or a section with such a kind."
            f"{nearest(str(short), _STRATEGIES)} Received: {short}"
        )
        return [line(document.place, ("train", "strategy"), text)]
    values = {"strategy": short}
    return fault_lines(
        error,
        _ShortForm,
        values,
        document.place,
        inside=("train",),
    )


def _with_train(document: Document, without: str) -> Document:
    train = {key: value for key, value in document.values["train"].items() if key != without}
    return Document({**document.values, "train": train}, document.places)


def _stand_in(document: Document) -> Document:
    """Phases in place of a faulty strategy, so that the faults of the rest are found as well."""
    stood_in = _with_train(document, "strategy")
    stood_in.values["train"]["phases"] = [{"solver": "linear"}]
    return stood_in


def _with_data(document: Document, data: Path) -> Document:
    section = document.values.get("data")
    common = {
        key: value
        for key, value in (section.items() if isinstance(section, dict) else ())
        if key
        in (
            "validation_fraction",
            "test_fraction",
            "split_seed",
            "on_bad_image",
            "on_label_conflict",
        )
    }
    kind = "manifest" if data.suffix.lower() == ".csv" else "image_folder"
    values = {**document.values, "data": {"kind": kind, "path": str(data), **common}}
    return Document(values, document.places)


def _absolute(recipe: Recipe) -> Recipe:
    """Makes the paths of files absolute, so that the recipe means the same everywhere."""
    section = recipe.data
    paths = {
        key: Path(value).expanduser().absolute()
        for key in ("path", "archives", "data_dir")
        if (value := getattr(section, key, None)) is not None
    }
    weights = recipe.backbone.weights
    backbone = recipe.backbone
    if weights not in ("imagenet", "random"):
        absolute = str(Path(weights).expanduser().absolute())
        backbone = backbone.model_copy(update={"weights": absolute})
    return recipe.model_copy(
        update={"data": section.model_copy(update=paths), "backbone": backbone}
    )
