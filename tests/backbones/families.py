"""The smallest application of each family: outside the full suite they stand for all of them."""

import pytest

from tfft.catalog.spec import BackboneSpec

SMALLEST = (
    *("ConvNeXtTiny", "DenseNet121", "EfficientNetB0", "EfficientNetV2B0", "InceptionV3"),
    *("InceptionResNetV2", "MobileNet", "MobileNetV2", "MobileNetV3Small", "NASNetMobile"),
    *("ResNet50", "ResNet50V2", "VGG16", "Xception"),
)


def full_unless_smallest(spec: BackboneSpec) -> tuple[pytest.MarkDecorator, ...]:
    """The marks of a parameter that is this application."""
    return () if spec.name in SMALLEST else (pytest.mark.full,)
