"""Which backbones there are and which have their ImageNet weights on this machine.

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
        weights: The files with its ImageNet weights that are on this machine, those for other
            builder arguments and image sizes included.
        available: Whether those for the default arguments and size are among them.
        obtain: What makes them available: a URL to download, or a package to install.
    """

    spec: BackboneSpec
    weights: tuple[Path, ...]
    available: bool
    obtain: str


def list_backbones() -> tuple[BackboneListing, ...]:
    """Returns every backbone of the catalog with where its ImageNet weights are."""
    return tuple(
        _listing_of_package(spec) if spec.kind == "lite" else _listing_of_files(spec)
        for spec in backbone_specs()
    )


def _listing_of_package(spec: BackboneSpec) -> BackboneListing:
    path = find_lite0_file()
    weights = () if path is None else (path,)
    return BackboneListing(spec, weights, bool(weights), "install tfft[offline]")


def _listing_of_files(spec: BackboneSpec) -> BackboneListing:
    present = tuple(path for file in spec.weights if (path := cached_path(file)).is_file())
    default = weights_file(spec, resolve_arguments(spec, {}), spec.default_size_px)
    if default is None:
        return BackboneListing(spec, present, False, "")
    return BackboneListing(spec, present, cached_path(default) in present, default.url)
