"""TF Serving's REST interface."""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import urllib3

from tfft.errors import ModelFileError, ServerError
from tfft.runtime.served.address import ServedAddress
from tfft.runtime.served.transport import Inputs, RefusedError, Retries, TransientError, too_slow

_TRANSIENT_STATUS = {429, 502, 503, 504}
_CONNECT_TIMEOUT_S = 10.0


class RestTransport:
    """Sends requests as JSON in columns, with byte strings in base64.

    Args:
        address: Address of the model.
        timeout_s: Time in seconds that one request may take.

    Source: TensorFlow Serving, RESTful API.
    """

    def __init__(self, address: ServedAddress, timeout_s: float) -> None:
        self._url = address.url
        self._predict_url = f"{address.rest_url}:predict"
        self._timeout_s = timeout_s
        self._retries = Retries(address.url)
        timeout = urllib3.Timeout(connect=min(_CONNECT_TIMEOUT_S, timeout_s), read=timeout_s)
        self._pool = urllib3.PoolManager(retries=False, timeout=timeout)

    def predict(
        self, signature: str, inputs: Inputs, outputs: Sequence[str]
    ) -> dict[str, np.ndarray]:
        columns: dict[str, list[Any]] = {}
        for name, values in inputs.items():
            if isinstance(values, np.ndarray):
                columns[name] = values.tolist()
            else:
                columns[name] = [{"b64": base64.b64encode(v).decode("ascii")} for v in values]
        body = json.dumps({"signature_name": signature, "inputs": columns}).encode()
        answered = self._retries(lambda: self._post(body))
        return self._outputs(answered, outputs)

    def _post(self, body: bytes) -> Any:
        headers = {"Content-Type": "application/json"}
        try:
            response = self._pool.request("POST", self._predict_url, body=body, headers=headers)
        except urllib3.exceptions.ReadTimeoutError as error:
            raise too_slow(self._url, self._timeout_s) from error
        except (urllib3.exceptions.NameResolutionError, urllib3.exceptions.SSLError) as error:
            raise ServerError(f"{self._url} cannot be reached: {_words(error)}") from error
        except urllib3.exceptions.LocationParseError as error:
            raise ServerError(f"{self._url} is not a valid address: {error}") from error
        except urllib3.exceptions.HTTPError as error:
            raise TransientError(_words(error)) from error
        return self._answered(response)

    def _answered(self, response: urllib3.BaseHTTPResponse) -> Any:
        try:
            answered = json.loads(response.data)
        except ValueError:
            answered = None
        said = answered.get("error") if isinstance(answered, Mapping) else None
        words = said or f"HTTP status {response.status} {response.reason}"
        if response.status in _TRANSIENT_STATUS:
            raise TransientError(words)
        if response.status == 404:
            raise ModelFileError(f"{self._url} is not served: {words}")
        if said is not None:
            raise RefusedError(f"{self._url} answered: {said}")
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
        arrays = {}
        for name in names:
            values = found[name]
            is_text = bool(values) and isinstance(values[0], str)
            arrays[name] = np.array(values, object if is_text else np.float32)
        return arrays


def _words(error: Exception) -> str:
    """Returns the message of an error of urllib3 without the objects that it begins with."""
    return str(error).rpartition(">: ")[2] or type(error).__name__
