"""Short forms of a recipe: `train.strategy` becomes the phases it stands for."""

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from tfft.config.base import Section
from tfft.config.loading.faults import Fault, find_faults, received
from tfft.config.loading.overrides import Override, apply_overrides
from tfft.config.loading.schema import members_of, tags_of
from tfft.config.loading.source import Document
from tfft.config.strategies import Strategy
from tfft.errors import nearest

STRATEGY_NAMES: tuple[str, ...] = tuple(
    tag for member in members_of(Strategy) for tag in tags_of(member)
)
_PATH = ("train", "strategy")
# In place of phases that are not there or faulty, so that the faults of the rest are found too.
_STAND_IN: Sequence[dict[str, Any]] = ({"solver": "linear"},)


class _Train(Section):
    strategy: Strategy


class _ShortForm(Section):
    train: _Train


def is_short_form(override: Override) -> bool:
    """Says whether an override sets a short form, which must be done before it is expanded."""
    return override.path[:2] == _PATH


def expand_short_forms(
    document: Document, overrides: Sequence[Override]
) -> tuple[Document, list[Fault]]:
    """Replaces `train.strategy` by `train.phases`.

    Args:
        document: A recipe as it was read.
        overrides: Values of the short form; a strategy set from outside replaces the phases of the
            recipe.

    Returns:
        The document without short forms, and the faults found in them.
    """
    if overrides and isinstance(document.values.get("train"), dict):
        document = _with_train(document, without="phases")
    document, faults = apply_overrides(document, overrides, _ShortForm)
    train = document.values.get("train")
    if not isinstance(train, dict):
        return document, faults
    if "strategy" in train and "phases" in train:
        both = "give strategy or phases, not both: a strategy stands for its phases"
        return _with_train(document, without="strategy"), [*faults, Fault(_PATH, both)]
    if "strategy" in train:
        phases, found = _phases(train["strategy"])
        expanded = _with_train(document, without="strategy")
        expanded.values["train"]["phases"] = phases
        expanded.places[("train", "phases")] = document.place(_PATH)
        return expanded, [*faults, *found]
    if "phases" not in train:
        names = ", ".join(STRATEGY_NAMES)
        missing = f"is missing; or give train.strategy: one of {names}"
        faults.append(Fault(("train", "phases"), missing))
    return document, faults


def _phases(short: Any) -> tuple[list[dict[str, Any]], list[Fault]]:
    """Returns the phases that a strategy stands for, and what is wrong with it."""
    if not isinstance(short, dict) and short not in STRATEGY_NAMES:
        hint = nearest(short, STRATEGY_NAMES) if isinstance(short, str) else ""
        allowed = f"one of {', '.join(STRATEGY_NAMES)}, or a section with such a kind"
        return list(_STAND_IN), [Fault(_PATH, f"must be {allowed}.{hint} {received(short)}")]
    section = short if isinstance(short, dict) else {"kind": short}
    values = {"train": {"strategy": section}}
    try:
        return _ShortForm.model_validate(values, strict=True).train.strategy.phases(), []
    except ValidationError as error:
        return list(_STAND_IN), find_faults(error, _ShortForm, values)


def _with_train(document: Document, without: str) -> Document:
    train = {key: value for key, value in document.values["train"].items() if key != without}
    return Document({**document.values, "train": train}, dict(document.places))
