"""Recipe files: where they are, and their YAML with the place of every value.

A small and strict YAML: version 1.2's numbers and booleans (``1e-4`` is a number, ``on`` is a
word), no tags, no duplicate keys, bounded in size and depth.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

import yaml

from tfft.errors import RecipeError, nearest, shortened
from tfft.system.paths import expanded
from tfft.system.readable import command_text

# Keys and list indices from the top of a document to a value.
Path = tuple[str | int, ...]

_MAX_BYTES = 1 << 20
_LONGEST_PROBLEM = 300
_LONGEST_PATH, _LONGEST_NAME = 4000, 255
_MAX_NODES = 20_000
MAX_DEPTH = 30
_BOOLEAN = re.compile(r"true|True|TRUE|false|False|FALSE")
_NULL = re.compile(r"null|Null|NULL|~|")
# What is longer is no count; Python refuses to read integers of thousands of digits.
_INTEGER = re.compile(r"[-+]?[0-9]{1,300}|0x[0-9a-fA-F]{1,300}|0o[0-7]{1,300}")
_FLOAT = re.compile(
    r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN)"
)


@dataclass(frozen=True)
class Document:
    """Values, and where each of them was written.

    Attributes:
        values: Dicts, lists and scalars.
        places: ``file:line`` of each value by its path.
    """

    values: Any
    places: dict[Path, str] = field(default_factory=dict)

    def place(self, path: Path) -> str:
        """Returns where the value at `path`, or the nearest one above it, was written."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, "")


def bundled_recipes() -> dict[str, FilePath]:
    """Returns the files of the recipes that come with tfft, by name."""
    package = FilePath(__file__).resolve().parents[2]
    installed, checkout = package / "configs", package.parent / "configs"
    directory = installed if installed.is_dir() else checkout
    return {path.stem: path for path in sorted(directory.glob("*.yaml"))}


def recipe_text(name_or_path: str | FilePath) -> tuple[FilePath, str]:
    """Returns the file of a recipe and the text in it.

    Args:
        name_or_path: Name of a bundled recipe, or path of a file.

    Raises:
        RecipeError: There is no such recipe, or its file cannot be read.
    """
    bundled = bundled_recipes()
    path = bundled.get(str(name_or_path)) or expanded(name_or_path)
    if is_too_long(str(path)):
        raise RecipeError(f"no recipe has a name so long. Received: {shortened(str(path))}")
    if path.is_dir():
        raise RecipeError(
            f"{path} is a directory, not a recipe. To train on its images: "
            f"{command_text('train', 'classifier', '--data', path)}"
        )
    if not path.is_file():
        raise RecipeError(
            f"no recipe {str(name_or_path)!r}: neither a file nor one of the bundled recipes "
            f"{', '.join(bundled)}.{nearest(str(name_or_path), bundled)}"
        )
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
        return path, content.decode("utf-8-sig")
    except OSError as error:
        raise RecipeError(f"cannot read the recipe {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        if len(content) > _MAX_BYTES:
            raise RecipeError(_too_large(str(path))) from error
        line = content[: error.start].count(b"\n") + 1
        raise RecipeError(
            f"{path}:{line}: not UTF-8: the byte 0x{content[error.start]:02x}. Save the file as "
            "UTF-8"
        ) from error


def is_too_long(path: str) -> bool:
    """Says whether a path is longer than systems let paths and names in them be."""
    return len(path) > _LONGEST_PATH or any(
        len(os.fsencode(name)) > _LONGEST_NAME for name in path.split("/")
    )


def read_yaml(text: str, source: str) -> Document:
    """Reads one YAML document.

    Args:
        text: The document.
        source: File name, or whatever else a message should call the document.

    Raises:
        RecipeError: The text is not YAML, or uses a part of YAML that is refused here.
    """
    if len(text.encode()) > _MAX_BYTES:
        raise RecipeError(_too_large(source))
    try:
        node = _Composer(text, source).get_single_node()
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        character = f"U+{ord(text[error.position]):04X}"
        raise RecipeError(
            f"{source}:{line}: not YAML: the character {character}, which YAML does not allow"
        ) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        said = [getattr(error, "context", None), getattr(error, "problem", None)]
        problem = shortened(", ".join(filter(None, said)), _LONGEST_PROBLEM)
        if "'\\t'" in problem:
            problem += "; indent by spaces, not by tabs"
        raise RecipeError(f"{source}{line}: not YAML: {problem}") from error
    if node is None:
        return Document({}, {(): f"{source}:1"})
    builder = _Builder(source)
    return Document(builder.build(node, ()), builder.places)


def _too_large(source: str) -> str:
    return f"{source}: larger than {_MAX_BYTES:,} bytes; this is no recipe"


class _Composer(yaml.SafeLoader):
    """Composes nodes from text; refuses tags, and nesting that would exhaust the stack."""

    def __init__(self, text: str, source: str) -> None:
        super().__init__(text)
        self._source = source
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()
        place = f"{self._source}:{event.start_mark.line + 1}"
        tag = getattr(event, "tag", None)
        if tag is not None:
            raise RecipeError(f"{place}: tags are not allowed. Received: {shortened(tag)}")
        if self._depth >= MAX_DEPTH:
            raise RecipeError(f"{place}: nested deeper than {MAX_DEPTH}; this is no recipe")
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


class _Builder:
    """Makes values of nodes, and notes the place of each."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._count = 0
        self.places: dict[Path, str] = {}

    def build(self, node: yaml.Node, path: Path) -> Any:
        self._count += 1
        place = f"{self._source}:{node.start_mark.line + 1}"
        if self._count > _MAX_NODES:
            raise RecipeError(f"{place}: more than {_MAX_NODES:,} values; this is no recipe")
        if len(path) > MAX_DEPTH:
            raise RecipeError(f"{place}: refers to itself")
        self.places.setdefault(path, place)
        if isinstance(node, yaml.MappingNode):
            return dict(self._items(node, path))
        if isinstance(node, yaml.SequenceNode):
            return [self.build(child, (*path, i)) for i, child in enumerate(node.value)]
        return node.value if node.style else plain_value(node.value)

    def _items(self, node: yaml.MappingNode, path: Path) -> Iterator[tuple[str, Any]]:
        seen: set[str] = set()
        for key_node, value_node in node.value:
            place = f"{self._source}:{key_node.start_mark.line + 1}"
            if not isinstance(key_node, yaml.ScalarNode):
                raise RecipeError(f"{place}: a key must be a word")
            key = key_node.value
            if key in seen:
                raise RecipeError(f"{place}: the key {shortened(key)!r} stands here twice")
            seen.add(key)
            self.places[(*path, key)] = place
            yield key, self.build(value_node, (*path, key))


def plain_value(word: str) -> Any:
    """Returns what an unquoted YAML 1.2 word stands for."""
    if _NULL.fullmatch(word):
        return None
    if _BOOLEAN.fullmatch(word):
        return word.lower() == "true"
    if _INTEGER.fullmatch(word):
        return int(word, 0) if word.startswith("0x") or word.startswith("0o") else int(word)
    if _FLOAT.fullmatch(word):
        return float(
            word.replace(".inf", "inf")
            .replace(".Inf", "inf")
            .replace(".INF", "inf")
            .replace(".nan", "nan")
            .replace(".NaN", "nan")
        )
    return word
