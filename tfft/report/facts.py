"""What was trained on what: the facts that open a report."""

from collections.abc import Mapping
from typing import Any

from tfft.config.recipe import Recipe
from tfft.data.dataset import ImageData
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
    best: Mapping[str, Any],
) -> list[tuple[str, str]]:
    """Returns names and values of what there is to know about a run.

    Args:
        info: of the run's model.
        recipe: of the run.
        data: that it was trained on.
        record: of ``run.json``.
        plan: of ``plan.json``; empty where there is none.
        best: phase and epoch of the kept weights; empty where they are not known.
    """
    return [
        ("Images", f"{data.name}: {_splits(data)}"),
        *([("Licence of the images", data.licence)] if data.licence else []),
        ("Predicts", _predicts(info)),
        ("Backbone", _backbone(info, recipe, plan)),
        *([("Licence of its weights", info.licence)] if info.licence else []),
        ("Pixels", _pixels(info)),
        *([("Weights kept", _kept(best, plan))] if best else []),
        ("Trained", _trained(record)),
        ("With", _versions(record)),
    ]


def _splits(data: ImageData) -> str:
    return ", ".join(f"{len(index):,} {split}" for split, index in data.splits.items())


def _predicts(info: ModelInfo) -> str:
    texts = {
        name: _KINDS[head.kind].format(f"{len(head.class_names):,}")
        for name, head in info.heads.items()
    }
    return "; ".join(text if len(texts) == 1 else f"{name}: {text}" for name, text in texts.items())


def _backbone(info: ModelInfo, recipe: Recipe, plan: Mapping[str, Any]) -> str:
    weights = getattr(recipe.backbone, "weights", None)
    parts = [f"{weights} weights"] if weights else []
    if plan:
        parameters = sum(block["parameters"] for block in plan["blocks"])
        parts.append(f"{parameters:,} parameters in {len(plan['blocks'])} blocks")
    return ", ".join([info.backbone, *parts])


def _pixels(info: ModelInfo) -> str:
    pixels = info.pixels
    fit = "each side stretched" if pixels.fit == "stretch" else "shorter side fitted, centre cut"
    return f"{pixels.height} by {pixels.width}, {fit}, {pixels.interpolation}"


def _kept(best: Mapping[str, Any], plan: Mapping[str, Any]) -> str:
    text = f"of phase {best['phase']}, epoch {best['epoch']}: the best on validation images"
    phases = plan.get("phases", [])
    if len(phases) >= best["phase"] and phases[best["phase"] - 1]["config"].get("refit"):
        return f"{text}, then solved again with them"
    return text


def _trained(record: Mapping[str, Any]) -> str:
    when = [record[key][:16].replace("T", " ") for key in ("started", "finished") if key in record]
    machine = record.get("machine", {})
    where = f"on {machine['processors']} processors" if machine.get("processors") else ""
    seed = f"seed {record['seed']}" if "seed" in record else ""
    status = record.get("status", "")
    parts = [" to ".join(when), where, seed, "" if status == "finished" else status]
    return ", ".join(part for part in parts if part) or "not recorded"


def _versions(record: Mapping[str, Any]) -> str:
    packages = {"tfft": record.get("tfft"), "Python": record.get("python")}
    recorded = record.get("packages", {})
    packages |= {name: recorded.get(name) for name in ("tensorflow", "keras")}
    return ", ".join(f"{name} {v}" for name, v in packages.items() if v) or "not recorded"
