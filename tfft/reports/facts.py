"""What was trained on what: the facts at the beginning of a report."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfft.config.recipe import Recipe
from tfft.data.dataset import ImageData
from tfft.runs.run import ends_with_refit
from tfft.runtime.info import ModelInfo

_KINDS = {
    "classification": "one of {} classes",
    "multi_label": "any of {} labels",
    "regression": "a number",
    "box": "a box",
}


def facts(
    info: ModelInfo,
    recipe: Recipe,
    data: ImageData,
    record: Mapping[str, Any],
    plan: Mapping[str, Any],
    metrics: Mapping[str, Any],
) -> list[tuple[str, str]]:
    """Returns the names and values of the facts about a run.

    Args:
        info: Description of the run's model.
        recipe: Recipe of the run.
        data: Images that it was trained on.
        record: Content of ``run.json``.
        plan: Content of ``plan.json``; empty if there is none.
        metrics: Content of ``metrics.json``; empty if there is none.
    """
    best = metrics.get("best", {})
    chosen = recipe.train.keep_best and bool(metrics.get("validation"))
    splits = ", ".join(f"{len(index):,} {split}" for split, index in data.splits.items())
    predicts = [
        ("" if len(info.heads) == 1 else f"{name}: ")
        + _KINDS[head.kind].format(f"{len(head.class_names):,}")
        for name, head in info.heads.items()
    ]
    pixels = info.pixels
    fit = {
        "crop": "shorter side fitted, centre cut",
        "stretch": "each side stretched",
        "letterbox": "fitted whole, the rest filled with rgb({}, {}, {})".format(*pixels.fill),
    }[pixels.fit]
    return [
        ("Images", f"{data.name}: {splits}"),
        *([("Licence of the images", data.licence)] if data.licence else []),
        ("Predicts", "; ".join(predicts)),
        ("Backbone", _backbone(info, recipe, plan)),
        *([("Licence of its weights", info.licence)] if info.licence else []),
        ("Pixels", f"{pixels.height} by {pixels.width}, {fit}, {pixels.interpolation}"),
        *([("Weights kept", _kept(best, plan, chosen))] if best else []),
        *_circumstances(record),
    ]


def made_by(record: Mapping[str, Any]) -> str:
    """Returns the command that made a run, for a shell; "" if it was not a command of tfft.

    Args:
        record: Content of ``run.json``.
    """
    try:
        program, *arguments = shlex.split(record.get("command", ""))
    except ValueError:  # not recorded, or not a command line
        return ""
    path = Path(program)
    is_ours = path.name in ("tfft", "tfft.exe") or path.parts[-2:] == ("tfft", "__main__.py")
    return shlex.join(["tfft", *arguments]) if is_ours else ""


def _backbone(info: ModelInfo, recipe: Recipe, plan: Mapping[str, Any]) -> str:
    weights = getattr(recipe.backbone, "weights", None)
    parts = [f"{weights} weights"] if weights else []
    if plan:
        parameters = sum(block["parameters"] for block in plan["blocks"])
        parts.append(f"{parameters:,} parameters in {len(plan['blocks'])} blocks")
    return ", ".join([info.backbone, *parts])


def _kept(best: Mapping[str, Any], plan: Mapping[str, Any], chosen: bool) -> str:
    place = f"of phase {best['phase']}, epoch {best['epoch']}" if best["phase"] else "untrained"
    text = f"{place}: {'the best on validation images' if chosen else 'the last'}"
    if ends_with_refit(best, plan):
        return f"{text}, then solved again with the validation images"
    return text


def _circumstances(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Returns when and where a run was trained, and with which versions."""
    when = [record[key][:16].replace("T", " ") for key in ("started", "finished") if key in record]
    machine = record.get("machine", {})
    where = f"on {machine['processors']} processors" if machine.get("processors") else ""
    seed = f"seed {record['seed']}" if "seed" in record else ""
    status = record.get("status", "")
    onednn = f"oneDNN {record['onednn']}" if record.get("onednn") else ""
    parts = [" to ".join(when), where, onednn, seed, "" if status == "finished" else status]
    packages = {"tfft": record.get("tfft"), "Python": record.get("python")}
    recorded = record.get("packages", {})
    packages |= {name: recorded.get(name) for name in ("tensorflow", "keras")}
    versions = [f"{name} {version}" for name, version in packages.items() if version]
    return [
        ("Trained", ", ".join(part for part in parts if part) or "not recorded"),
        ("With", ", ".join(versions) or "not recorded"),
    ]
