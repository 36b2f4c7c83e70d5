"""Finds the blocks of a module from the names of its variables. No TensorFlow is needed.

Names are paths such as ``MobilenetV2/expanded_conv_3/depthwise/BatchNorm/gamma``.
"""

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from tfft.errors import BackboneError, nearest

# The name of a stage or unit in published models: a word and its number, as in `block_13_expand`,
# `conv5_block3_1_conv`, `block2b_project_bn`, `block3/unit_5/conv1`, `conv_dw_4`, `mixed_5`.
_UNIT = re.compile(
    r"^.*(?:blocks?|block_group|stages?|unit|group|layer|cell|expanded_conv|conv_dw|conv_pw|mixed)"
    r"_?\d+[a-z]?(?![a-zA-Z0-9])"
)
_STEM, _TOP = "stem", "top"
# The only block of a module whose names show no units.
WHOLE = "module"
_SHOWN = 5


def blocks_of_names(names: Sequence[str]) -> dict[str, str]:
    """Returns the block of each variable, with blocks in order from input to output.

    Each numbered unit of the names is a block. Variables before the first unit are the block
    `stem`, those after the last the block `top`, and those between two units belong to the unit
    before them. Names without numbered units make the one block `module`.

    Args:
        names: Unique paths of the variables in the module's own order, which runs from input to
            output where the module was built layer by layer.
    """
    prefix = _common_scope(names)
    # By scope, where it first appears: moving statistics are often listed after all weights.
    units: dict[str, str | None] = {}
    for scope in map(_scope, names):
        match = _UNIT.match(scope.removeprefix(prefix))
        units[scope] = match.group() if match else None
    found = _in_order(list(dict.fromkeys(unit for unit in units.values() if unit)))
    if not found:
        return dict.fromkeys(names, WHOLE)
    last = max(position for position, unit in enumerate(units.values()) if unit)
    homes, before = {}, _STEM
    for position, (scope, unit) in enumerate(units.items()):
        before = unit or before
        homes[scope] = unit or (_TOP if position > last else before)
    order = {block: index for index, block in enumerate([_STEM, *found, _TOP])}
    in_order = sorted(names, key=lambda name: order[homes[_scope(name)]])
    return {name: homes[_scope(name)] for name in in_order}


def blocks_of_patterns(
    names: Sequence[str], patterns: Mapping[str, Sequence[str]]
) -> dict[str, str]:
    """Returns the block of each variable by the patterns of a recipe, with blocks in its order.

    A variable belongs to the first block with a pattern that matches its name.

    Args:
        names: Unique paths of the variables.
        patterns: Patterns of each block, as `fnmatch` reads them.

    Raises:
        BackboneError: A variable is in no block, or a pattern matches nothing; all are named.
    """
    homes = {
        name: block
        for block, wanted in reversed(list(patterns.items()))
        for name in names
        if any(fnmatchcase(name, pattern) for pattern in wanted)
    }
    faults = [
        f"{pattern!r} of block {block} matches no variable.{nearest(pattern.strip('*'), names)}"
        for block, wanted in patterns.items()
        for pattern in wanted
        if not any(fnmatchcase(name, pattern) for name in names)
    ]
    homeless = [name for name in names if name not in homes]
    if homeless:
        more = f" and {len(homeless) - _SHOWN} more" if len(homeless) > _SHOWN else ""
        faults.append(f"no block has {', '.join(homeless[:_SHOWN])}{more}")
    if faults:
        raise BackboneError("backbone.blocks:\n" + "\n".join(faults))
    order = {block: index for index, block in enumerate(patterns)}
    return dict(sorted(homes.items(), key=lambda item: order[item[1]]))


def _in_order(units: list[str]) -> list[str]:
    """Sorts units by their numbers if they differ in nothing else; otherwise keeps their order."""
    if len({re.sub(r"\d+[a-z]?", "#", unit) for unit in units}) > 1:
        return units
    return sorted(
        units, key=lambda unit: [(int(n), a) for n, a in re.findall(r"(\d+)([a-z]?)", unit)]
    )


def _scope(name: str) -> str:
    return name.rpartition("/")[0]


def _common_scope(names: Sequence[str]) -> str:
    """Returns the leading scopes that all names share, with a slash after each."""
    scopes = [_scope(name).split("/") for name in names]
    shared = []
    for parts in zip(*scopes, strict=False):
        if len(set(parts)) > 1:
            break
        shared.append(parts[0])
    return "".join(f"{part}/" for part in shared)
