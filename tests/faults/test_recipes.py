"""Whatever is written in a recipe or after `--set`: it is a recipe, or one short message."""

import random
import warnings
from pathlib import Path

import pytest
from tally import tally

from tfft.config.loading.load import load_recipe
from tfft.config.loading.source import bundled_recipes
from tfft.config.recipe import Recipe
from tfft.errors import RecipeError, RecipeWarning, UsageError

pytestmark = pytest.mark.slow
COUNTS = [200, pytest.param(5_000, marks=pytest.mark.full)]
# 30 lines of at most 1,000 characters, and how many more there are.
MOST_CHARACTERS = 31_000
TEXTS = [path.read_bytes() for path in bundled_recipes().values()]
NASTY = [
    *("null", "~", "true", "-1", "0", "1e999", "-.inf", ".nan", "''", "[]", "{}", "[[1], {a: b}]"),
    *(
        "9" * 30,
        "9" * 400,
        "0x" + "f" * 300,
        "1e-400",
        "yes",
        "2024-01-01",
        "a: b",
        "- x",
        "|\n  x",
    ),
    *("&a [*a]", "*a", "!!python/none x", "<<: {a: 1}", "? x", "{a: 1, a: 2}", '"\\ud800"', "\x07"),
    *("[" * 40, "{a: " * 40, "x" * 100_000, "🐕", "../../x", "EfficientNetLite0", "[0, 1]"),
]
KEYS = [
    *("epochs", "batch_size", "learning_rate", "weights", "include_top", "input_shape", "loss"),
    *(
        "name",
        "kind",
        "solver",
        "unfreeze",
        "last_blocks",
        "patterns",
        "strategy",
        "phases",
        "heads",
    ),
    *(
        "backbone",
        "image",
        "size_px",
        "train",
        "optimizer",
        "data",
        "path",
        "space",
        "choices",
        "low",
    ),
    *("<<", "0", "-1", "é", "a b", "x" * 900, "null", "[1]", "tune", "export", "cache", "mode"),
]


def mutated(text: bytes, draw: random.Random) -> bytes:
    """A recipe with one to three changes."""
    for _ in range(draw.randint(1, 3)):
        change = draw.choice([_byte, _cut, _lines, _value, _key, _indent])
        text = change(text, draw)
    return text


def _byte(text: bytes, draw: random.Random) -> bytes:
    place = draw.randrange(len(text) + 1)
    return text[:place] + bytes([draw.randrange(256)]) + text[place + draw.randint(0, 1) :]


def _cut(text: bytes, draw: random.Random) -> bytes:
    return text[: draw.randrange(len(text) + 1)]


def _lines(text: bytes, draw: random.Random) -> bytes:
    lines = text.splitlines(keepends=True) or [b""]
    first, second = draw.randrange(len(lines)), draw.randrange(len(lines))
    kind = draw.randrange(3)
    if kind == 0:
        lines[first], lines[second] = lines[second], lines[first]
    elif kind == 1:
        lines.insert(first, lines[second])
    else:
        del lines[first]
    return b"".join(lines)


def _value(text: bytes, draw: random.Random) -> bytes:
    lines = text.splitlines(keepends=True) or [b""]
    place = draw.randrange(len(lines))
    key, colon, _ = lines[place].partition(b":")
    lines[place] = key + colon + b" " + draw.choice(NASTY).encode(errors="surrogatepass") + b"\n"
    return b"".join(lines)


def _key(text: bytes, draw: random.Random) -> bytes:
    lines = text.splitlines(keepends=True) or [b""]
    place = draw.randrange(len(lines))
    indent = lines[place][: len(lines[place]) - len(lines[place].lstrip())].strip(b"\n")
    added = f"{draw.choice(KEYS)}: {draw.choice(NASTY)}\n".encode(errors="surrogatepass")
    return b"".join([*lines[:place], indent, added, *lines[place:]])


def _indent(text: bytes, draw: random.Random) -> bytes:
    lines = text.splitlines(keepends=True) or [b""]
    place = draw.randrange(len(lines))
    lines[place] = draw.choice([b" ", b"  ", b"\t", b"\xef\xbb\xbf", b"\r"]) + lines[place]
    return b"".join(lines)


def is_recipe_or_message(path: Path | str, overrides: list[str] | None = None) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RecipeWarning)
            return isinstance(load_recipe(path, overrides=overrides or []), Recipe)
    except (RecipeError, UsageError) as error:
        str(error).encode()
        return len(str(error)) <= MOST_CHARACTERS


@pytest.mark.parametrize("count", COUNTS)
def test_a_changed_recipe_is_a_recipe_or_one_short_message(count: int, tmp_path: Path):
    held = 0
    for seed in range(count):
        draw = random.Random(seed)
        content = mutated(draw.choice(TEXTS), draw)
        (tmp_path / "recipe.yaml").write_bytes(content)
        assert is_recipe_or_message(tmp_path / "recipe.yaml"), (seed, content[:500])
        held += 1
    promise = "A changed bundled recipe is a recipe, or refused by one short message with the line."
    tally("recipes", promise, tried=count, held=held)


@pytest.mark.parametrize("count", COUNTS)
def test_a_changed_value_of_set_is_taken_or_refused_by_one_short_message(count: int):
    held = 0
    for seed in range(count):
        draw = random.Random(seed)
        sections = draw.choice(
            ["train.phases.0", "train", "backbone", "image", "data", "heads.a", ""]
        )
        keys = [draw.choice(KEYS) for _ in range(draw.randint(1, 3))]
        override = f"{'.'.join(filter(None, [sections, *keys]))}={draw.choice(NASTY)}"
        if draw.random() < 0.2:
            override = mutated(override.encode(), draw).decode(errors="surrogateescape")
        name = draw.choice(list(bundled_recipes()))
        assert is_recipe_or_message(name, [override]), (seed, override[:500])
        held += 1
    promise = "What follows --set is taken, or refused by one short message."
    tally("recipes", promise, tried=count, held=held)


@pytest.mark.parametrize("count", COUNTS)
def test_bytes_without_a_form_are_one_short_message(count: int, tmp_path: Path):
    held = 0
    for seed in range(count):
        draw = random.Random(seed)
        (tmp_path / "recipe.yaml").write_bytes(draw.randbytes(draw.randrange(300)))
        with pytest.raises(RecipeError) as caught:
            load_recipe(tmp_path / "recipe.yaml")
        assert len(str(caught.value)) < 2_000
        held += 1
    tally("recipes", "A file of any bytes is refused by one short message.", tried=count, held=held)
