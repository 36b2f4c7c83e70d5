"""TF Serving's REST interface."""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import urllib3

from tfft.errors import ModelFileError, ServerError
from tfft.runtime.served.address import ServedAddress
from tfft.runtime.served.transport import (
    Inputs,
    RefusedError,
    Retries,
    TransientError,
    server_words,
    within,
)

_TRANSIENT_STATUS = {429, 502, 503, 504}
_CONNECT_TIMEOUT_S = 10.0
# Versions are numbers of 64 bits, written as text.
_A_VERSION = re.compile(r"[0-9]{1,19}")
# A page with an error may be longer than the answer.
_ERROR_BYTES = 1 << 16


class RestTransport:
    """Sends requests as JSON in columns, with byte strings in base64.

    Args:
        address: Address of the model.
        timeout_s: Time in seconds that one request may take, with its repetitions.

    Source: TensorFlow Serving, RESTful API.
    """

    def __init__(self, address: ServedAddress, timeout_s: float) -> None:
        self._url = address.url
        self._model_url = address.rest_url
        self._retries = Retries(address.url, timeout_s)
        self._pool = urllib3.PoolManager(retries=False)

    def predict(
        self, signature: str, inputs: Inputs, outputs: Sequence[str], answer_bytes: int
    ) -> dict[str, np.ndarray]:
        columns: dict[str, list[Any]] = {}
        for name, values in inputs.items():
            if isinstance(values, np.ndarray):
                columns[name] = values.tolist()
            else:
                columns[name] = [{"b64": base64.b64encode(v).decode("ascii")} for v in values]
        body = json.dumps({"signature_name": signature, "inputs": columns}).encode()
        most = answer_bytes + _ERROR_BYTES
        answered = self._asked("POST", f"{self._model_url}:predict", body, most)
        return self._outputs(answered, outputs)

    def answering_version(self) -> int | None:
        """Returns the highest version that is available, which answers a request without a number.

        Source: TensorFlow Serving, RESTful API, model status.
        """
        try:
            said = self._asked("GET", self._model_url, None, _ERROR_BYTES)
        except (ModelFileError, RefusedError):
            return None
        found = said.get("model_version_status") if isinstance(said, Mapping) else None
        states = (
            [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []
        )
        said = [str(each.get("version")) for each in states if each.get("state") == "AVAILABLE"]
        numbers = [int(text) for text in said if _A_VERSION.fullmatch(text)]
        return max(numbers, default=None)

    def _asked(self, method: str, url: str, body: bytes | None, most: int) -> Any:
        return self._retries(
            lambda seconds: within(seconds, lambda: self._ask(method, url, body, most, seconds))
        )

    def _ask(self, method: str, url: str, body: bytes | None, most: int, seconds: float) -> Any:
        timeout = urllib3.Timeout(connect=min(_CONNECT_TIMEOUT_S, seconds), read=seconds)
        try:
            response = self._pool.request(
                method,
                url,
                body=body,
                headers={"Content-Type": "application/json"},
                timeout=timeout,
                preload_content=False,
            )
            return self._answered(response, self._content(response, most))
        except urllib3.exceptions.ReadTimeoutError as error:
            raise TimeoutError from error
        except (urllib3.exceptions.NameResolutionError, urllib3.exceptions.SSLError) as error:
            raise ServerError(f"{self._url} cannot be reached: {_words(error)}") from error
        except urllib3.exceptions.LocationParseError as error:
            raise ServerError(f"{self._url} is not a valid address: {error}") from error
        except urllib3.exceptions.HTTPError as error:
            raise TransientError(_words(error)) from error

    def _content(self, response: urllib3.BaseHTTPResponse, most: int) -> bytes:
        """Reads an answer as it was sent, so that what was compressed cannot grow."""
        content = response.read(most + 1, decode_content=False)
        if len(content) > most:
            response.close()
            raise ServerError(f"{self._url} answered with more than the {most:,} bytes expected")
        response.release_conn()
        return content

    def _answered(self, response: urllib3.BaseHTTPResponse, content: bytes) -> Any:
        try:
            answered = json.loads(content)
        except (ValueError, RecursionError):
            answered = None
        said = answered.get("error") if isinstance(answered, Mapping) else None
        words = server_words(said or f"HTTP status {response.status} {response.reason}")
        if response.status in _TRANSIENT_STATUS:
            raise TransientError(words, _retry_after_s(response))
        if response.status == 404:
            raise ModelFileError(f"{self._url} is not served: {words}")
        if said is not None:
            raise RefusedError(f"{self._url} answered: {words}")
        if response.status != 200 or answered is None:
            raise ServerError(f"{self._url} does not answer as TF Serving does: {words}")
        return answered

    def _outputs(self, answered: Any, names: Sequence[str]) -> dict[str, np.ndarray]:
        """Returns the outputs by name; the answer does not name an output that is the only one."""
        found = answered.get("outputs") if isinstance(answered, Mapping) else None
        if isinstance(found, list) and len(names) == 1:
            found = {names[0]: found}
        if not isinstance(found, Mapping) or not set(names) <= set(found):
            raise ServerError(
                f"{self._url} did not answer with the outputs {', '.join(names)}; it is not TF "
                "Serving, or does not serve a model of tfft"
            )
        return {name: self._array(name, found[name]) for name in names}

    def _array(self, name: str, values: Any) -> np.ndarray:
        """Returns the array of nested lists of numbers, or of a list of texts."""
        try:
            found = np.array(values)
        except ValueError:  # rows of different lengths
            found = np.array(None)
        if found.dtype.kind == "U" and found.ndim == 1:
            return found.astype(object)
        if found.dtype.kind not in "fiu" or not found.ndim:
            raise ServerError(
                f"{self._url} answered with a {name} that is no array of numbers, with rows of "
                "one length"
            )
        with np.errstate(over="ignore"):  # what is not finite is told with what the model is
            return found.astype(np.float32)


def _retry_after_s(response: urllib3.BaseHTTPResponse) -> float | None:
    """Returns the seconds after which a server wants to be asked again, if it says so."""
    said = response.headers.get("Retry-After")
    try:
        return None if said is None else urllib3.Retry().parse_retry_after(said)
    except (urllib3.exceptions.HTTPError, ValueError, OverflowError):
        return None


def _words(error: Exception) -> str:
    """Returns the message of an error of urllib3 without the objects that it begins with."""
    return server_words(str(error).rpartition(">: ")[2] or type(error).__name__)
