"""The digest of a model's weights."""

import hashlib

from tfft.system.tensorflow import keras


def weights_digest(model: keras.Model) -> str:
    """Returns the SHA-256 of all weights: shape, type and values, in the model's order."""
    digest = hashlib.sha256()
    for variable in model.weights:
        values = variable.numpy()
        digest.update(f"{values.dtype.str}{values.shape};".encode())
        digest.update(values.data if values.ndim else values.tobytes())
    return digest.hexdigest()
