"""Writes docs/python.md from the functions of `tfft` and what they return. Run by `make docs`."""

import ast
import importlib
import inspect
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import get_args

import tfft

TARGET = Path(__file__).with_name("python.md")
HEADER = """\
# Python interface
Generated from the code by `make docs`. Each example is run as a test.

`import tfft` starts no TensorFlow: the first function that computes with it does.
A function that works for long reports to `progress`, an object with the methods of
`tfft.system.progress.Progress`; without one it shows bars in a notebook, which are replaced in
place, and nothing elsewhere (`tfft.system.progress.SILENT` shows nothing anywhere). An error that a
user can cause is a `tfft.errors.TfftError`, and its message says what to do. `print` shows what a
function returned in a few lines, a notebook in tables; where `tfft` has a command of the same name,
`to_json()` is what its `--json` prints.
"""
# A theme and its module in `tfft.interface`, in the order in which a user meets them.
THEMES = {
    "Training": "training",
    "Images": "images",
    "A look at images": "sheet",
    "The desk": "desk",
    "Models": "models",
    "Features": "features",
    "Servers": "serving",
    "Several runs": "studies",
    "Backbones": "backbones",
    "Cache": "caches",
}
_LISTS = ("Args", "Raises", "Attributes")


def main() -> None:
    """Writes the page."""
    TARGET.write_text(page(), encoding="utf-8")


def page() -> str:
    """Returns the page: each function with what it returns, by theme."""
    parts = [HEADER]
    for theme, name in THEMES.items():
        module = importlib.import_module(f"tfft.interface.{name}")
        parts.append(f"## {theme}\n")
        parts += [_function(function) for function in _functions(module)]
        parts += [_class(found) for found in _with_parts(_returned(module))]
    return "\n".join(parts)


def _functions(module: ModuleType) -> list[Callable[..., object]]:
    """The public functions of a module of the interface, in the order in which they stand there."""
    found = [getattr(tfft, name) for name in tfft.__all__ if name != "__version__"]
    own = [function for function in found if function.__module__ == module.__name__]
    return sorted(own, key=lambda function: function.__code__.co_firstlineno)


def _function(function: Callable[..., object]) -> str:
    text = _markdown(inspect.getdoc(function) or "")
    return f"### tfft.{function.__name__}\n```python\n{_signature(function)}\n```\n{text}"


def _signature(function: Callable[..., object]) -> str:
    """The signature as it stands in the source: annotations short, defaults by name."""
    node = ast.parse(inspect.getsource(function)).body[0]
    assert isinstance(node, ast.FunctionDef)
    arguments = node.args
    none: list[ast.expr | None] = [None] * (len(arguments.args) - len(arguments.defaults))
    listed = _written(arguments.args, [*none, *arguments.defaults])
    if arguments.vararg:
        listed.append(f"*{arguments.vararg.arg}: {_type(arguments.vararg.annotation)}")
    elif arguments.kwonlyargs:
        listed.append("*")
    listed += _written(arguments.kwonlyargs, arguments.kw_defaults)
    inside = ", ".join(listed)
    if len(inside) > 60:
        inside = "\n" + "".join(f"    {text},\n" for text in listed)
    return f"tfft.{function.__name__}({inside}) -> {_type(node.returns)}"


def _written(arguments: list[ast.arg], defaults: Sequence[ast.expr | None]) -> list[str]:
    return [
        f"{argument.arg}: {_type(argument.annotation)}"
        + ("" if default is None else f" = {ast.unparse(default)}")
        for argument, default in zip(arguments, defaults, strict=True)
    ]


def _type(annotation: ast.expr | None) -> str:
    return ast.unparse(annotation).replace("'", "") if annotation else ""


def _returned(module: ModuleType) -> Iterator[type]:
    """The classes that functions of a module return, in the order of the functions."""
    imports = re.findall(r"from (tfft\S+) import (\w+)\n", inspect.getsource(module))
    modules = {name: place for place, name in imports}
    names: dict[str, None] = {}
    for function in _functions(module):
        returns = str(inspect.signature(function).return_annotation)
        names |= dict.fromkeys(re.findall(r"[A-Z]\w+", returns))
    for name in names:
        if name in modules:
            yield getattr(importlib.import_module(modules[name]), name)


def _with_parts(described: Iterable[type]) -> Iterator[type]:
    """Classes, each before the dataclasses of tfft that its attributes are made of."""
    pending, seen = list(described), set()
    while pending:
        found = pending.pop(0)
        if found in seen:
            continue
        seen.add(found)
        yield found
        attributes = inspect.get_annotations(found).values()
        parts = [part for attribute in attributes for part in _classes_in(attribute)]
        pending[:0] = [part for part in parts if is_dataclass(part)]


def _classes_in(annotation: object) -> list[type]:
    if arguments := get_args(annotation):
        return [part for argument in arguments for part in _classes_in(argument)]
    return [annotation] if isinstance(annotation, type) else []


def _class(described: type) -> str:
    methods = "".join(
        f"- `{name}{_short_signature(member)}`: {_first_line(member)}\n"
        for name, member in vars(described).items()
        if not name.startswith("_") and _is_described(member)
    )
    text = _markdown(inspect.getdoc(described) or "", _types(described))
    return f"### {described.__name__}\n`{described.__module__}`\n\n{text}" + (
        f"\n**Methods and properties**\n\n{methods}" if methods else ""
    )


def _is_described(member: object) -> bool:
    return (isinstance(member, property) or inspect.isfunction(member)) and bool(member.__doc__)


def _short_signature(member: object) -> str:
    if isinstance(member, property):
        return ""
    names = [name for name in inspect.signature(member).parameters if name != "self"]  # type: ignore[arg-type]
    return f"({', '.join(names)})"


def _first_line(member: object) -> str:
    return _code((inspect.getdoc(member) or "").partition("\n")[0])


def _markdown(docstring: str, types: Mapping[str, str] = MappingProxyType({})) -> str:
    """Returns a docstring in Google's style as Markdown, with the types of attributes."""
    parts = re.split(r"^(Args|Returns|Raises|Attributes|Example):\n", docstring, flags=re.M)
    lines = [_code(parts[0])]
    for name, body in zip(parts[1::2], parts[2::2], strict=True):
        inner, after = _divided(body)
        if name == "Example":
            lines.append(f"**Example**\n\n```python\n{inner}\n```\n")
        elif name in _LISTS:
            lines.append(f"**{name.replace('Args', 'Arguments')}**\n\n{_list(inner, types)}")
        else:
            lines.append(f"**{name}**: {_code(' '.join(inner.split()))}\n")
        if after:
            lines.append(_code(after))
    return "\n".join(line.rstrip("\n") + "\n" for line in lines)


def _divided(body: str) -> tuple[str, str]:
    """The indented part of a section, and what stands behind it."""
    end = re.search(r"^(?=\S)", body, re.M)
    place = end.start() if end else len(body)
    return textwrap.dedent(body[:place]).strip("\n"), body[place:].strip("\n")


def _list(text: str, types: Mapping[str, str]) -> str:
    items = [" ".join(item.split()).partition(": ") for item in re.split(r"\n(?=\S)", text)]
    shown = {name: f" (`{found}`)" for name, found in types.items()}
    return "".join(
        f"- `{name}`{shown.get(name, '')}: {_code(meaning)}\n" for name, _, meaning in items
    )


def _types(described: type) -> dict[str, str]:
    """The types of the attributes of a class, as they stand in its source."""
    (node,) = ast.parse(inspect.getsource(described)).body
    assert isinstance(node, ast.ClassDef)
    fields = [part for part in node.body if isinstance(part, ast.AnnAssign)]
    return {ast.unparse(field.target): _type(field.annotation) for field in fields}


def _code(text: str) -> str:
    return text.replace("``", "`")


if __name__ == "__main__":
    main()
