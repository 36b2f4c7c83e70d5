"""Sends requests for predictions to a server, and repeats those that fail for a passing reason."""

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Protocol, TypeVar

import numpy as np

from tfft.errors import ServerError
from tfft.system.printable import printable

_Answer = TypeVar("_Answer")

TIMEOUT_S = 60.0
# Longer than any server takes, and short enough for the clocks of all libraries.
_MOST_TIMEOUT_S = 1e6
# A server that has answered may be restarting; one that never has probably does not exist.
_PATIENCE_S = 30.0
_FIRST_PATIENCE_S = 2.0
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0
_LONGEST_WORDS = 500

Inputs = Mapping[str, "np.ndarray | Sequence[bytes]"]


class RefusedError(ServerError):
    """The server answered that it cannot do what was asked."""


class TransientError(Exception):
    """The same request may succeed a little later.

    Attributes:
        retry_after_s: Time in seconds after which the server wants to be asked again; None if it
            does not say.
    """

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Transport(Protocol):
    """Sends requests to one served model."""

    def predict(
        self, signature: str, inputs: Inputs, outputs: Sequence[str], answer_bytes: int
    ) -> dict[str, np.ndarray]:
        """Returns the named outputs of a signature: numbers, float32, or byte strings, object.

        Args:
            signature: Name of the signature.
            inputs: Arrays or lists of byte strings by name; the first axis is the batch.
            outputs: Names of the outputs to return.
            answer_bytes: Size that the answer may have, in bytes.

        Raises:
            ModelFileError: The server has no such model or version.
            RefusedError: The server cannot do what was asked; the message is its own.
            ServerError: The server cannot be reached, did not answer in time, or answered what is
                no array of numbers or texts, or too much.
        """
        ...

    def answering_version(self) -> int | None:
        """Returns the number of the version that the server answers from; None if it is not known.

        That is the number that the server gives it, which need not be that of its export.

        Raises:
            ServerError: The server cannot be reached, or did not answer in time.
        """
        ...


class Retries:
    """Repeats a request that failed for a passing reason, with growing pauses, for a limited time.

    Where the server says when it wants to be asked again, the pause is as long as it says.

    Args:
        server: Name of the server in error messages.
        timeout_s: Time in seconds that a request may take with all its repetitions, at most
            1,000,000.
        patience_s: Time in seconds in which a request is repeated.
        first_patience_s: The same time until the server has answered once.
    """

    def __init__(
        self,
        server: str,
        timeout_s: float = TIMEOUT_S,
        patience_s: float = _PATIENCE_S,
        first_patience_s: float = _FIRST_PATIENCE_S,
    ) -> None:
        self._server = server
        self._timeout_s = min(timeout_s, _MOST_TIMEOUT_S)
        self._patience_s = patience_s
        self._first_patience_s = first_patience_s
        self._has_answered = False

    def __call__(self, request: Callable[[float], _Answer]) -> _Answer:
        """Calls `request` with the seconds that are left until it succeeds; returns its result.

        Raises:
            ServerError: It raised `TransientError` until the time was up, or `TimeoutError`.
        """
        started = time.monotonic()
        deadline = started + self._timeout_s
        patience_s = self._patience_s if self._has_answered else self._first_patience_s
        end = min(started + patience_s, deadline)
        pause_s = _FIRST_PAUSE_S
        tries = 1
        while True:
            try:
                answer = request(deadline - time.monotonic())
            except TimeoutError as error:
                raise self._too_slow() from error
            except TransientError as error:
                # Half of the pause is random, so that clients do not come back all at once.
                wait_s = pause_s * random.uniform(0.5, 1.0)
                last = end
                if error.retry_after_s is not None:
                    wait_s, last = max(wait_s, error.retry_after_s), deadline
                if time.monotonic() + wait_s >= last:
                    raise self._unavailable(error, tries) from error
            else:
                self._has_answered = True
                return answer
            time.sleep(wait_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            tries += 1

    def _unavailable(self, error: TransientError, tries: int) -> ServerError:
        asked = ""
        if error.retry_after_s is not None:
            asked = f". It asks for {error.retry_after_s:g} seconds; allow more with --timeout"
        return ServerError(
            f"{self._server} cannot be reached, or is not ready: {error} (tried {tries} times)"
            f"{asked}"
        )

    def _too_slow(self) -> ServerError:
        return ServerError(
            f"{self._server} did not answer within {self._timeout_s:g} seconds; check its load, or "
            "allow more with --timeout"
        )


def within(seconds: float, work: Callable[[], _Answer]) -> _Answer:
    """Returns what `work` returns, or raises what it raises.

    It runs in a thread, which is left behind if it takes too long: no time-out of a socket bounds a
    server that sends a byte now and then.

    Raises:
        TimeoutError: It takes longer than this number of seconds.
    """
    if seconds <= 0:
        raise TimeoutError
    answer: Future[_Answer] = Future()

    def run() -> None:
        try:
            answer.set_result(work())
        except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
            answer.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return answer.result(seconds)


def server_words(words: object) -> str:
    """Returns what a server said, as one printable line that is not too long."""
    line = printable(" ".join(str(words).split()))
    return line if len(line) <= _LONGEST_WORDS else f"{line[:_LONGEST_WORDS]}…"
