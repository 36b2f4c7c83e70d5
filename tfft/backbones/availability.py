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
    return tuple(_listing(spec) for spec in backbone_specs())


def _listing(spec: BackboneSpec) -> BackboneListing:
    if spec.kind == "lite":
        file = find_lite0_file()
        weights = () if file is None else (file,)
        return BackboneListing(spec, weights, bool(weights), "install tfft[offline]")
    present = tuple(path for file in spec.weights if (path := cached_path(file)).is_file())
    default = weights_file(spec, resolve_arguments(spec, {}), spec.default_size_px)
    if default is None:
        return BackboneListing(spec, present, False, "")
    return BackboneListing(spec, present, cached_path(default) in present, default.url)
