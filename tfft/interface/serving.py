"""The Python interface to models on servers.

Each function imports what it needs when it is called, so that ``import tfft`` is fast.
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
    from tfft.exports.serving.publish import Published
    from tfft.exports.serving.serve_check import ServeCheck


def publish(
    model: str | Path,
    base_path: str | Path,
    *,
    version: int | None = None,
    allow_ops: Sequence[str] = (),
    progress: Progress = NOTEBOOK,
) -> "Published":
    """Copies a SavedModel to the directory that a server polls.

    The server sees the whole version or none of it, whenever this process ends. The sums of the
    export are verified before and after; what the highest version has already is not copied again.

    Args:
        model: A SavedModel's directory, or the directory of its versions (the newest is taken).
        base_path: Directory that the server polls; made if it is not there.
        version: A number that is not taken; default: the model's own, or the next free one if that
            is higher.
        allow_ops: As for `load_predictor`; default: none.
        progress: Where the work is reported; default: in a notebook, if in one.

    Returns:
        Where the version lies and its number.

    Raises:
        ModelFileError: `model` is not a SavedModel that tfft wrote, or has operations that are not
            allowed.
        UsageError: The version is there already.
        TfftError: `model` is damaged; the disk is full, or `base_path` cannot be written to.

    Example:
        >>> import tfft
        >>> tfft.publish("saved_models/classifier", "served/classifier")
        <Published served/classifier/1, from saved_models/classifier/1>
    """
    from tfft.exports.serving import publish as publishing

    with also_allowing(allow_ops):
        return publishing.publish(
            expanded(model), expanded(base_path), version=version, progress=progress
        )


def roll_back(
    base_path: str | Path,
    *,
    to: int | None = None,
    allow_ops: Sequence[str] = (),
    progress: Progress = NOTEBOOK,
) -> "Published":
    """Puts what a server served earlier in place once more, under a new, highest number.

    Args:
        base_path: Directory that the server polls.
        to: The version whose content is wanted; default: the highest from before the content of
            today's highest first came, so that a second call goes back further.
        allow_ops: As for `load_predictor`; default: none.
        progress: Where the work is reported; default: in a notebook, if in one.

    Returns:
        Where the new version lies, its number, and the version that it is a copy of.

    Raises:
        ModelFileError: The earlier version has operations that are not allowed.
        UsageError: There is no such version, or no earlier one.
        TfftError: The earlier version is damaged; the disk is full, or `base_path` cannot be
            written to.

    Example:
        >>> import tfft
        >>> tfft.publish("saved_models/classifier", "served/pets").version
        1
        >>> tfft.publish("saved_models/classifier", "served/pets").already_live
        True
        >>> tfft.roll_back("served/pets", to=1)
        <Published served/pets/1 is served/pets/1 already: nothing to do>
    """
    from tfft.exports.serving import publish as publishing

    with also_allowing(allow_ops):
        return publishing.roll_back(expanded(base_path), to=to, progress=progress)


def serve_check(
    model: str,
    against: str | Path,
    *,
    signatures: Sequence[str] | None = None,
    data: str | Path | None = None,
    overrides: "Overrides" = (),
    split: str | None = None,
    images: int = 256,
    tolerance: float = 1e-3,
    timeout_s: float | None = None,
    allow_ops: Sequence[str] = (),
    progress: Progress = NOTEBOOK,
) -> "ServeCheck":
    """Compares the answers of a served model with those of its run, on the same images.

    Args:
        model: URL of the served model: ``http://HOST:PORT/v1/models/NAME`` or
            ``grpc://HOST:PORT/NAME``.
        against: The run, or any other MODEL.
        signatures: Signatures to ask; default: ``serve_bytes`` and ``serving_default``.
        data: A directory with one folder a class, or a CSV manifest; default: the recorded data.
        overrides: Values of the `data` section by which `data` are read:
            ``{"data.on_bad_image": "skip"}``; default: none.
        split: ``train``, ``validation``, ``test``, or ``all`` of them; default: ``test``, and all
            of other data that have no splits.
        images: Number of images, spread over the classes; default: 256, or as many as there are.
        tolerance: Largest difference of an answer that `ServeCheck.require` lets pass; default:
            0.001.
        timeout_s: Seconds that one request may take; default: 60.
        allow_ops: Operations allowed in `against`, as for `load_predictor`; default: none.
        progress: Where the work is reported; default: in a notebook, if in one.

    Returns:
        The largest difference of each signature and head. It is returned however large it is.

    Raises:
        ModelFileError: The server has no such model, or `against` is not a MODEL.
        ServerError: The server does not answer.
        DataError: The images are not there.
        RecipeError: An override is not of the `data` section, or its value is wrong.
        UsageError: There are overrides without other data.
        GateError: The served model has other heads or class names.

    Example:
        >>> import tfft
        >>> url = "http://localhost:8501/v1/models/classifier"
        >>> check = tfft.serve_check(url, "runs/classifier")
        >>> check.require()  # raises a GateError if an answer differs by more than the tolerance
        >>> check.images, list(check.signatures)
        (11, ['serve_bytes', 'serving_default'])
    """
    from tfft.exports.serving import serve_check as checking

    with also_allowing(allow_ops):
        return checking.serve_check(
            model,
            against,
            signatures=signatures or checking.CHECKED_SIGNATURES,
            data=optional_path(data),
            overrides=overrides,
            split=split,
            images=images,
            tolerance=tolerance,
            timeout_s=timeout_s,
            progress=progress,
        )
