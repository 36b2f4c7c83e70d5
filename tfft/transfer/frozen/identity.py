"""What decides the outputs of a frozen part: the identity under which they are cached."""

import hashlib
from typing import Any

from tfft.config.data import ImageConfig
from tfft.config.model import BackboneConfig
from tfft.model.assemble import Classifier


def prefix_identity(
    backbone: BackboneConfig, image: ImageConfig, classifier: Classifier, blocks: int, policy: str
) -> dict[str, Any]:
    """Returns what decides the tensors that the first blocks make of an image, for cache keys.

    Args:
        backbone: of the recipe; image: likewise.
        classifier: built of them.
        blocks: how many.
        policy: of the numbers, such as ``"float32"``.
    """
    return {
        "backbone": backbone.model_dump(mode="json", exclude={"weights"}),
        "image": image.model_dump(mode="json"),
        "preprocessing": classifier.backbone.spec.preprocessing,
        "blocks": blocks,
        "weights": _weights_below(classifier, blocks),
        "policy": policy,
    }


def _weights_below(classifier: Classifier, blocks: int) -> str:
    """Returns a digest of the adapter and of the first blocks as they are now.

    An earlier phase may have trained them.
    """
    digest, backbone = hashlib.sha256(), classifier.backbone
    below = [layer for block in backbone.blocks[:blocks] for layer in block.layers]
    whole = [backbone.model] if backbone.opaque else below
    for layer in (*classifier.front.layers, *whole):
        for variable in layer.variables:
            digest.update(f"{variable.shape} {variable.dtype}".encode())
            digest.update(variable.numpy().tobytes())
    return digest.hexdigest()
