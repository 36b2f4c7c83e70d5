"""Which backbones exist, and which have their ImageNet weights on this machine.

No TensorFlow is needed.
"""

from dataclasses import dataclass
from pathlib import Path

from tfft.backbones.keras_cache import cached_path
from tfft.backbones.lite.package import find_lite0_file
from tfft.catalog.backbones import backbone_specs, resolve_arguments, weights_file
from tfft.catalog.spec import BackboneSpec


@dataclass(frozen=True, eq=False)
class BackboneListing:
    """A line of `tfft backbones`.

    Attributes:
        spec: The catalog entry.
        weights: Paths of its files with ImageNet weights that are on this machine, including
            those for other builder arguments and image sizes.
        available: Whether the weights for the default arguments and size are among them.
        obtain: How to get the weights: a URL to download, or a package to install.
    """

    spec: BackboneSpec
    weights: tuple[Path, ...]
    available: bool
    obtain: str


def list_backbones() -> tuple[BackboneListing, ...]:
    """Returns every backbone of the catalog, and where its ImageNet weights are."""
    listings = []
    for spec in backbone_specs():
        if spec.kind == "lite":
            file = find_lite0_file()
            weights = () if file is None else (file,)
            listings.append(BackboneListing(spec, weights, bool(weights), "install tfft[offline]"))
            continue
        present = tuple(path for file in spec.weights if (path := cached_path(file)).is_file())
        default = weights_file(spec, resolve_arguments(spec, {}), spec.default_size_px)
        is_there = default is not None and cached_path(default) in present
        obtain = "" if default is None else default.url
        listings.append(BackboneListing(spec, present, is_there, obtain))
    return tuple(listings)
