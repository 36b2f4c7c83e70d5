"""The Python interface to the features of images.

The function imports what it needs when it is called, so that ``import tfft`` is fast.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tfft.interface.common import optional_path
from tfft.system.notebook import NOTEBOOK
from tfft.system.paths import expanded
from tfft.system.progress import Progress
from tfft.untrusted.operations import also_allowing

if TYPE_CHECKING:
    from tfft.config.loading.overrides import Overrides
    from tfft.evaluation.features import FeatureFile


def embed(
    model: str | Path,
    data: str | Path | None = None,
    *,
    output: str | Path,
    head: str | None = None,
    split: str | None = None,
    overrides: "Overrides" = (),
    allow_ops: Sequence[str] = (),
    progress: Progress = NOTEBOOK,
) -> "FeatureFile":
    """Writes the features of images to a file: what a trained model hands to its head.

    For search, clusters, plots and classifiers of other libraries. The file is whole or absent, and
    memory does not grow with the number of images, but by their names.

    Args:
        model: A run directory or a ``.keras`` file. Exports give their answers only.
        data: A directory of images, in one folder a class or in none, or a CSV manifest, also
            without labels; default: the images that the model was trained on, in their splits.
        output: The file to write; one that is there is replaced. ``.parquet``: the columns `id`,
            `label` and `split`, where they are known, and `features`; ``.npz``: the arrays `ids`,
            `labels`, `splits` (str [n]) and `features` (float32 [n, d]); ``.npy``: the features
            alone.
        head: Head whose features are meant, where heads pool otherwise; default: the first.
        split: ``train``, ``validation``, ``test``, or ``all`` of them; default: ``all``.
        overrides: Values of the `data` section by which `data` are read:
            ``{"data.on_bad_image": "skip"}``; without `data`, ``data.labels`` alone; default: none.
        allow_ops: As for `load_predictor`; default: none.
        progress: Where the work is reported; default: in a notebook, if in one.

    Returns:
        Where the file lies, and what is in it.

    Raises:
        ModelFileError: `model` is no model, or one whose features are not to be had.
        UsageError: `output` has no such ending, or there is no such head.
        DataError: The images are not there, cannot be read, or have no such split.
        RecipeError: An override is not of the `data` section, or its value is wrong.
        TfftError: The disk is full, or `output` cannot be written to.

    Example:
        >>> import numpy as np
        >>> import tfft
        >>> tfft.embed("runs/classifier", "photos/", output="features.npz")
        <FeatureFile features.npz: 16 features of 60 images, 8.7 kB>
        >>> found = np.load("features.npz")
        >>> found["features"].shape, found["labels"][:2].tolist()
        ((60, 16), ['blue', 'blue'])
    """
    from tfft.evaluation import features

    with also_allowing(allow_ops):
        return features.embed(
            expanded(model),
            optional_path(data),
            output=expanded(output),
            head=head,
            split=split,
            overrides=overrides,
            progress=progress,
        )
