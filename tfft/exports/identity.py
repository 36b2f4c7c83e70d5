"""What tells exports apart, and says which of them are of the same weights."""

import hashlib
from dataclasses import replace
from pathlib import Path

from tfft.system.tensorflow import keras

import numpy as np

from tfft.runtime.info import ModelInfo


def identified(info: ModelInfo, run: Path, model: keras.Model) -> ModelInfo:
    """Returns a description that also says the run and the weights that an export is of.

    Args:
        info: Description of the model.
        run: Directory of the run, of which only the name is said.
        model: Keras model that is exported.
    """
    return replace(info, run=run.resolve().name, weights_sha256=weights_sha256(model))


def weights_sha256(model: keras.Model) -> str:
    """Returns the digest of a model's values, whatever file they are kept in.

    It is the SHA-256 over all variables in the order of ``model.variables``: of each the name of
    its dtype, its shape and its bytes in C order, little-endian. A file of weights has another
    digest each time it is written, since it holds times and names.
    """
    digest = hashlib.sha256()
    for variable in model.variables:
        value = np.asarray(variable)
        digest.update(f"{value.dtype.name} {value.shape}".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()
