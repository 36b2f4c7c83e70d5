"""Pictures of shapes with a manifest for heads of every kind, and a recipe that trains four."""

import csv
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from tfft.config.recipe import Recipe

_KINDS = ("disc", "square", "cross")
_SIDE, _WIDTH = 48, 72
SIZE_PX = 64  # the backbone's last activations are 2 x 2: a box head has somewhere to look


def write_scenes(root: Path, count: int = 60) -> Path:
    """Writes pictures of one shape each and ``list.csv``: its kind, tags, size and box.

    Every seventh picture has no size and every eighth no box; pictures are wider than high.
    """
    generator = np.random.default_rng(0)
    rows = []
    for number in range(count):
        size = int(generator.integers(14, 30))
        x, y = (int(generator.integers(0, side - size)) for side in (_WIDTH, _SIDE))
        dark, red = generator.random(2) < 0.5
        image = Image.new("RGB", (_WIDTH, _SIDE), (10, 10, 40) if dark else (90, 110, 130))
        _draw(ImageDraw.Draw(image), _KINDS[number % 3], [x, y, x + size, y + size], bool(red))
        image.save(root / f"{number:02d}.png")
        edges = (y / _SIDE, x / _WIDTH, (y + size) / _SIDE, (x + size) / _WIDTH)
        rows.append(
            {
                "path": f"{number:02d}.png",
                "kind": _KINDS[number % 3],
                "tags": "|".join(tag for tag, is_so in (("dark", dark), ("red", red)) if is_so),
                "size": "" if number % 7 == 6 else str(size),
                "box": "" if number % 8 == 5 else " ".join(f"{edge:.6f}" for edge in edges),
                "split": ("train", "train", "train", "validation", "test")[number // 3 % 5],
            }
        )
    path = root / "list.csv"
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def _draw(draw: ImageDraw.ImageDraw, kind: str, edges: list[int], red: bool) -> None:
    colour = (230, 60, 40) if red else (240, 230, 90)
    x0, y0, x1, y1 = edges
    if kind == "disc":
        draw.ellipse(edges, colour)
    elif kind == "square":
        draw.rectangle(edges, colour)
    else:
        draw.line([x0, y0, x1, y1], colour, 5)
        draw.line([x0, y1, x1, y0], colour, 5)


def scenes_recipe(
    manifest: Path, backbone: dict[str, object], *phases: dict, **train_section: object
) -> Recipe:
    """A recipe of four heads on what `write_scenes` wrote."""
    return Recipe.model_validate(
        {
            "name": "scenes",
            "data": {"kind": "manifest", "path": str(manifest)},
            "image": {"size_px": SIZE_PX},
            "backbone": backbone,
            "heads": {
                "shape": {"target": "kind", "dropout": 0.2},
                "look": {"kind": "multi_label", "target": "tags"},
                "size": {"kind": "regression", "target": "size", "weight": 0.5},
                "where": {"kind": "box", "target": "box", "weight": 2.0},
            },
            "train": {"phases": phases, "batch_size": 16, **train_section},
        }
    )
