"""Sends requests for predictions to a server, and repeats those that fail for a passing reason."""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar

import numpy as np

from tfft.errors import ServerError

_Answer = TypeVar("_Answer")

TIMEOUT_S = 60.0
# A server that has answered may be restarting; one that never has probably does not exist.
_PATIENCE_S = 30.0
_FIRST_PATIENCE_S = 2.0
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0

Inputs = Mapping[str, "np.ndarray | Sequence[bytes]"]


class RefusedError(ServerError):
    """The server answered that it cannot do what was asked."""


class TransientError(Exception):
    """The same request may succeed a little later."""


class Transport(Protocol):
    """Sends requests to one served model."""

    def predict(
        self, signature: str, inputs: Inputs, outputs: Sequence[str]
    ) -> dict[str, np.ndarray]:
        """Returns the named outputs of a signature.

        Args:
            signature: Name of the signature.
            inputs: Arrays or lists of byte strings by name; the first axis is the batch.
            outputs: Names of the outputs to return.

        Raises:
            ModelFileError: The server has no such model or version.
            RefusedError: The server cannot do what was asked; the message is its own.
            ServerError: The server cannot be reached, or did not answer in time.
        """
        ...


class Retries:
    """Repeats a request that failed for a passing reason, with growing pauses, for a limited time.

    Args:
        server: Name of the server in error messages.
        patience_s: Time in seconds after the first failure in which a request is repeated.
        first_patience_s: The same time until the server has answered once.
    """

    def __init__(
        self,
        server: str,
        patience_s: float = _PATIENCE_S,
        first_patience_s: float = _FIRST_PATIENCE_S,
    ) -> None:
        self._server = server
        self._patience_s = patience_s
        self._first_patience_s = first_patience_s
        self._has_answered = False

    def __call__(self, request: Callable[[], _Answer]) -> _Answer:
        """Calls `request` until it succeeds, and returns its result.

        Raises:
            ServerError: It raised `TransientError` until the time was up.
        """
        patience_s = self._patience_s if self._has_answered else self._first_patience_s
        end = time.monotonic() + patience_s
        pause_s = _FIRST_PAUSE_S
        tries = 1
        while True:
            try:
                answer = request()
            except TransientError as error:
                # Half of the pause is random, so that clients do not come back all at once.
                wait_s = pause_s * random.uniform(0.5, 1.0)
                if time.monotonic() + wait_s > end:
                    raise ServerError(
                        f"{self._server} cannot be reached, or is not ready: {error} "
                        f"(tried {tries} times)"
                    ) from error
            else:
                self._has_answered = True
                return answer
            time.sleep(wait_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            tries += 1


def too_slow(server: str, timeout_s: float) -> ServerError:
    """Returns the error for a request that was not answered in time, and is not repeated."""
    return ServerError(
        f"{server} did not answer within {timeout_s:g} seconds; check its load, or allow more "
        "with --timeout"
    )
