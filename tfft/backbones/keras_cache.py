"""Keras's cache of published weights: where a file lies, and how it is downloaded and verified.

No TensorFlow is needed.
"""

import hashlib
import os
import queue
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any

from tfft.catalog.spec import WeightsFile
from tfft.errors import BackboneError
from tfft.system.files import atomic_path
from tfft.system.paths import expanded
from tfft.system.progress import SILENT, Progress

CONNECT_TIMEOUT_S = 6.0
STALL_TIMEOUT_S = 20.0
_CHUNK_BYTES = 1 << 20


def cached_path(file: WeightsFile) -> Path:
    """Returns the path where Keras keeps this file, whether or not the file exists."""
    home = expanded(os.environ.get("KERAS_HOME") or "~/.keras")
    path = home / "models" / file.name
    if path.is_file() or "KERAS_HOME" in os.environ or os.access(home.parent, os.W_OK):
        return path
    return Path("/tmp/.keras/models", file.name)  # as Keras does where there is no home directory


def fetch(file: WeightsFile, progress: Progress = SILENT) -> Path:
    """Returns the path of a file in Keras's cache, and downloads the file first if it is missing.

    Args:
        file: The published file.
        progress: Receives the progress of a download.

    Raises:
        BackboneError: The file is missing and cannot be downloaded, or its digest is not that of
            the published file. An unreachable source is reported within a few seconds; nothing is
            tried twice.
    """
    path = cached_path(file)
    if not path.is_file():
        _download(file, path, progress)
    elif not _is_published(path, file):
        raise BackboneError(
            f"{path} is not the published file: its digest differs from {file.digest}. Delete it, "
            f"or put the file from {file.url} in its place."
        )
    return path


def _download(file: WeightsFile, path: Path, progress: Progress) -> None:
    try:
        response = _open_within(file.url, CONNECT_TIMEOUT_S)
    except (OSError, HTTPException) as error:
        raise _unavailable(file, path, error) from error
    # An OSError of writing explains itself, and must not be reported as one of the connection.
    with response, atomic_path(path) as temporary, temporary.open("wb") as output:
        try:
            for chunk in _chunks(response, file.name, progress):
                output.write(chunk)
        except (_ReadError, HTTPException) as error:
            raise _unavailable(file, path, error) from error
        output.flush()
        if not _is_published(temporary, file):
            raise BackboneError(
                f"the download from {file.url} is not the published file: its digest is not "
                f"{file.digest}."
            )


def _unavailable(file: WeightsFile, path: Path, error: Exception) -> BackboneError:
    reason = getattr(error, "reason", None) or error
    return BackboneError(
        f"the ImageNet weights {file.name} are not on this machine and cannot be downloaded: "
        f"{reason}. Put the file from {file.url} at {path}, or use `weights: FILE` or "
        f"`weights: random`."
    )


def _open_within(url: str, timeout_s: float) -> IO[bytes]:
    """Opens a URL; gives up after `timeout_s` seconds even while the host name is looked up."""
    outcome: queue.Queue[IO[bytes] | Exception] = queue.Queue(maxsize=1)

    def connect() -> None:
        try:
            outcome.put(urllib.request.urlopen(url, timeout=STALL_TIMEOUT_S))
        except urllib.error.HTTPError as error:
            error.close()
            outcome.put(error)
        except (OSError, HTTPException) as error:
            outcome.put(error)

    threading.Thread(target=connect, daemon=True).start()
    try:
        result = outcome.get(timeout=timeout_s)
    except queue.Empty:
        raise TimeoutError(f"no answer within {timeout_s:g} seconds") from None
    if isinstance(result, Exception):
        raise result
    return result


class _ReadError(Exception):
    """The connection failed while a file was read from it."""


def _chunks(response: Any, name: str, progress: Progress) -> Iterator[bytes]:
    """Yields the body of a response, and checks that it is as long as announced."""
    length = response.headers.get("Content-Length")
    total = int(length) if length else None
    task = progress.start(f"downloading {name}", total, "bytes")
    done = 0
    try:
        while True:
            try:
                chunk = response.read(_CHUNK_BYTES)
            except OSError as error:
                raise _ReadError(str(error)) from error
            if not chunk:
                break
            yield chunk
            done += len(chunk)
            task.advance(len(chunk))
    finally:
        task.close()
    if total is not None and done != total:
        raise _ReadError(f"the connection ended after {done} of {total} bytes")


def _is_published(path: Path, file: WeightsFile) -> bool:
    if file.digest is None:
        return True
    algorithm = "md5" if len(file.digest) == 32 else "sha256"
    with path.open("rb") as content:
        return hashlib.file_digest(content, algorithm).hexdigest() == file.digest
