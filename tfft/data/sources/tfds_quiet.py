"""TensorFlow Datasets without its output, its long retries and its network access on import."""

import contextlib
import io
import socket
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator
from types import ModuleType

from tfft.errors import DataError

_PATIENCE_S = 10


def tensorflow_datasets() -> ModuleType:
    """Imports TensorFlow Datasets, which takes about a second after TensorFlow."""
    import tfft.system.tensorflow  # noqa: F401 - starts it quietly

    import tensorflow_datasets as tfds

    tfds.disable_progress_bar()
    return tfds


@contextlib.contextmanager
def quiet_preparation() -> Iterator[None]:
    """Holds back what TFDS prints while it prepares a set, and lets it retry a download only once.

    tensorflow-datasets 4.9.10 retries an unreachable host for 204 seconds; the number of retries
    is a constant of its module and not an option.
    """
    from tensorflow_datasets.core.download import downloader

    retries = downloader.MAX_RETRIES
    downloader.MAX_RETRIES = 1
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        downloader.MAX_RETRIES = retries


def check_reachable(urls: Iterable[str], what: str) -> None:
    """Fails at once if a host of `urls` cannot be connected to; with a proxy nothing is tried.

    Args:
        urls: Addresses of what would be downloaded.
        what: Name of the set, for the message.

    Raises:
        DataError: A host cannot be reached; the message says why and what to do.
    """
    if urllib.request.getproxies():
        return
    hosts = {urllib.parse.urlsplit(url) for url in urls if url.startswith("http")}
    places = {(url.hostname, url.port or (443 if url.scheme == "https" else 80)) for url in hosts}
    for host, port in sorted(place for place in places if place[0]):
        try:
            socket.create_connection((host, port), timeout=_PATIENCE_S).close()
        except OSError as error:
            raise unreachable(what, f"{host}: {error.strerror or error}") from error


def unreachable(what: str, reason: str) -> DataError:
    """Returns the error for a set (`what`) that is not here and cannot be downloaded."""
    return DataError(
        f"{what} is not on this machine and cannot be downloaded ({reason}). Connect to the "
        f"network and run again, or prepare it elsewhere and set data.data_dir to where it lies, "
        f"or, for stanford_dogs, set data.archives to a directory with its archives."
    )
