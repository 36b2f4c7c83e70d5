"""A model on a server as a predictor."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from tfft.errors import ModelFileError, ServerError
from tfft.images.pixels import encoded_batch_to_pixels
from tfft.runtime.info import HeadInfo, ModelInfo
from tfft.runtime.predictor import Outputs, ReadablePredictor, answer_names, logits_name
from tfft.runtime.served.address import ServedAddress, parse_address
from tfft.runtime.served.answers import fault_of_output, output_size
from tfft.runtime.served.transport import TIMEOUT_S, RefusedError, Transport
from tfft.runtime.signatures import (
    FLOAT32,
    cannot_crop,
    check_signature,
    name_in_model,
    refuse_unreadable,
    rounded_pixels,
    sendable,
    taken_by,
)
from tfft.system.names import UNLIKENESS

# Size of the inputs of one request: proxies and servers limit the size of requests.
_REQUEST_BYTES = 16 << 20
# Sizes that answers may have: a number is at most this long as text.
_BYTES_OF_A_VALUE = 32
_BYTES_OF_ANY_ANSWER = 1 << 20
_BYTES_OF_A_DESCRIPTION = 64 << 20
# What is checked of an output that is a number for each image.
_NUMBER = HeadInfo("regression", (), "")


class ServedPredictor(ReadablePredictor):
    """Answers with a model that TF Serving serves.

    Args:
        url: URL of the model; see `tfft.runtime.served.address`.
        info: Description of the same model, which says where its data are, and all the rest if
            the server does not describe its model; None: the server's description is enough.
        signature: Signature that answers. With ``serve_bytes`` (and None) image files are sent
            unchanged, with the others pixels that Pillow decoded in this process.
        timeout_s: Time in seconds that one request may take, with its repetitions.

    Raises:
        UsageError: It is not the URL of a served model, or there is no such signature.
        ModelFileError: The server has no such model, the model has no description by tfft, or it
            is not the model of `info`.
        ServerError: The server cannot be reached, or its answers are not those of the model that is
            described.
    """

    kind = "served"

    def __init__(
        self,
        url: str,
        info: ModelInfo | None = None,
        signature: str | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        check_signature(signature)
        self.path = url
        self._signature = signature
        self._transport = _transport(parse_address(url), timeout_s)
        self.info = _described(self._transport, url, info)
        self._takes = taken_by(signature or "serve_bytes", self.info)
        self.decoder = "model" if self._takes == "serve_bytes" else "pillow"

    def answering_version(self) -> int | None:
        """Returns the number of the version that the server answers from; None if not known.

        Raises:
            ServerError: The server cannot be reached, or did not answer in time.
        """
        return self._transport.answering_version()

    def pixels(self, encoded: Sequence[bytes], boxes: np.ndarray | None = None) -> np.ndarray:
        return encoded_batch_to_pixels(encoded, self.info.pixels, boxes)

    def logits(self, images: np.ndarray) -> Outputs:
        heads = self.info.heads
        names = {head: name for head in heads if (name := logits_name(head, heads))}
        return self._on_pixels(images, names)

    def answers(self, images: np.ndarray) -> Outputs:
        return self._on_pixels(images, answer_names(self.info))

    def answers_from_bytes(
        self, encoded: Sequence[bytes], boxes: np.ndarray | None = None
    ) -> Outputs:
        if boxes is not None and self._takes == "serve_bytes" and self._signature is not None:
            raise cannot_crop()
        if boxes is not None or self.decoder != "model":
            return self.answers(self.pixels(encoded, boxes))
        sent, name = sendable(encoded), self._signature or "serve_bytes"
        names = answer_names(self.info)
        parts = [
            self._request(name, {"image_bytes": sent[part]}, names)
            for part in _parts([len(image) for image in sent])
        ]
        answers = _joined(parts)
        refuse_unreadable(answers, sent)
        return answers

    def _on_pixels(self, images: np.ndarray, names: dict[str, str]) -> Outputs:
        signature, given = name_in_model(FLOAT32, self.info), np.asarray(images, np.float32)
        if self._takes == "serve_uint8":
            signature, given = str(self._signature), rounded_pixels(images)
        parts = _parts([image.nbytes for image in given])
        return _joined([self._request(signature, {"images": given[p]}, names) for p in parts])

    def _request(self, signature: str, inputs: dict, names: dict[str, str]) -> Outputs:
        rows = len(next(iter(inputs.values())))
        kinds = {**self.info.heads, UNLIKENESS: _NUMBER}
        values = rows * sum(output_size(kinds[name]) for name in names)
        most = _BYTES_OF_ANY_ANSWER + values * _BYTES_OF_A_VALUE
        outputs = self._transport.predict(signature, inputs, tuple(names.values()), most)
        answers = answer_names(self.info)
        for head, name in names.items():
            fault = fault_of_output(
                outputs[name],
                kinds[head],
                rows,
                is_answer=name == answers[head],
                may_be_unread="image_bytes" in inputs,
            )
            if fault:
                raise ServerError(
                    f"{self.path} answered with {name} {fault}. It does not serve the model that "
                    f"{self.info.name} describes"
                )
        return {head: outputs[name] for head, name in names.items()}


def _transport(address: ServedAddress, timeout_s: float) -> Transport:
    if address.scheme == "grpc":
        from tfft.runtime.served.grpc_transport import GrpcTransport

        return GrpcTransport(address, timeout_s)
    from tfft.runtime.served.rest import RestTransport

    return RestTransport(address, timeout_s)


def _described(transport: Transport, url: str, known: ModelInfo | None) -> ModelInfo:
    """Returns the server's description of its model, which must agree with what is known."""
    try:
        inputs = {"names": [b"tfft.json"]}
        answer = transport.predict("describe", inputs, ["info"], _BYTES_OF_A_DESCRIPTION)["info"]
        if answer.shape != (1,) or not isinstance(answer[0], str | bytes):
            raise ValueError(f"its description is no text: shape {answer.shape}")
        described = json.loads(answer[0])
        if not isinstance(described, dict):
            raise ValueError("its description is not a JSON object")
        said = ModelInfo.from_json(described, url)
    except (RefusedError, ValueError, RecursionError) as error:
        if known is not None:
            return known
        raise ModelFileError(
            f"the server does not describe its model: {error}\nGive its run or its export with "
            "--info."
        ) from error
    if known is None:
        return said
    # The model of a run is not calibrated; an exported one may be.
    said_raw, known_raw = said.as_trained(), known.as_trained()
    if (said_raw.heads, said_raw.pixels) != (known_raw.heads, known_raw.pixels):
        raise ModelFileError(
            f"{url} serves a model with other classes or pixels than --info says: give the run or "
            "the export that is served"
        )
    if said.created != known.created:
        raise ModelFileError(
            f"{url} serves a model that was made {said.created}, and --info describes one that was "
            f"made {known.created}: give the run or the export that is served"
        )
    return replace(said, data=known.data, splits=known.splits)


def _parts(sizes: Sequence[int]) -> Iterator[slice]:
    """Yields the rows that go into each request, at least one, given the size of each in bytes."""
    start, total = 0, 0
    for position, size in enumerate(sizes):
        if position > start and total + size > _REQUEST_BYTES:
            yield slice(start, position)
            start, total = position, 0
        total += size
    yield slice(start, len(sizes))


def _joined(parts: list[Outputs]) -> Outputs:
    return {head: np.concatenate([part[head] for part in parts]) for head in parts[0]}
