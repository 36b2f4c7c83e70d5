"""The Python interface to models on servers.

Each function imports what it needs when it is called, so that ``import tfft`` is fast.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tfft.interface.common import optional_path
from tfft.system.progress import SILENT, Progress

if TYPE_CHECKING:
    from tfft.exports.serving.publish import Published
    from tfft.exports.serving.serve_check import ServeCheck


def publish(
    model: str | Path,
    base_path: str | Path,
    *,
    version: int | None = None,
    progress: Progress = SILENT,
) -> "Published":
    """Copies a SavedModel to where a server polls; the server never sees a part of it.

    Args:
        model: a SavedModel's directory, or that of its versions (the newest is taken).
        base_path: the directory that the server polls.
        version: a number that is not taken; default: the model's own or the next free one.
        progress: where the work is reported.

    Raises:
        ModelFileError: `model` is no SavedModel of tfft's.
        UsageError: The version is there already.
    """
    from tfft.exports.serving import publish as publishing

    return publishing.publish(Path(model), Path(base_path), version=version, progress=progress)


def serve_check(
    model: str,
    against: str | Path,
    *,
    signatures: Sequence[str] | None = None,
    data: str | Path | None = None,
    split: str = "test",
    images: int = 256,
    tolerance: float = 1e-3,
    timeout_s: float | None = None,
    progress: Progress = SILENT,
) -> "ServeCheck":
    """Compares the answers of a served model with those of its run.

    Args:
        model: URL of the served model.
        against: the run, or any other MODEL.
        signatures: what is asked; default: ``serve_bytes`` and ``serving_default``.
        data: a directory with one folder a class, or a manifest; default: the recorded data.
        split: ``train``, ``validation``, ``test`` or ``all``.
        images: number of images, spread over the classes.
        tolerance: the largest difference of an answer that `ServeCheck.require` passes.
        timeout_s: how long one request may take; default: 60.
        progress: where the work is reported.

    Raises:
        ModelFileError: The server has no such model, or `against` is none.
        ServerError: The server does not answer.
    """
    from tfft.exports.serving import serve_check as checking

    return checking.serve_check(
        model,
        against,
        signatures=signatures or checking.CHECKED_SIGNATURES,
        data=optional_path(data),
        split=split,
        images=images,
        tolerance=tolerance,
        timeout_s=timeout_s,
        progress=progress,
    )
