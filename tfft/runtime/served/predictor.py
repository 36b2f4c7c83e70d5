"""A model on a server as a predictor."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from tfft.errors import DataError, ModelFileError, ServerError
from tfft.images.pixels import encoded_batch_to_pixels
from tfft.runtime.info import ModelInfo
from tfft.runtime.predictor import Outputs, ReadablePredictor, answer_name, logits_name
from tfft.runtime.served.address import ServedAddress, parse_address
from tfft.runtime.served.transport import TIMEOUT_S, RefusedError, Transport
from tfft.runtime.signatures import check_signature
from tfft.runtime.unreadable import refuse_unreadable

# Of the inputs of one request: proxies and servers bound what they take.
_REQUEST_BYTES = 16 << 20


class ServedPredictor(ReadablePredictor):
    """Answers with a model that TF Serving serves.

    Args:
        url: of the model; see `tfft.runtime.served.address`.
        info: of the same model, which says where its data lie, or what the server does not; None:
            what the server says is enough.
        signature: the one that answers. ``serve_bytes`` (and None) sends image files as they are;
            the others pixels, which are decoded here by Pillow.
        timeout_s: how long one request may take.

    Raises:
        UsageError: The URL or the signature is none.
        ModelFileError: The server has no such model, it is not one of tfft's, or not that of
            `info`.
        ServerError: The server cannot be reached.
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
        self.decoder = "model" if signature in (None, "serve_bytes") else "pillow"
        self._signature = signature
        self._transport = _transport(parse_address(url), timeout_s)
        self.info = _described(self._transport, url, info)

    def pixels(self, encoded: Sequence[bytes], boxes: np.ndarray | None = None) -> np.ndarray:
        return encoded_batch_to_pixels(encoded, self.info.pixels, boxes)

    def logits(self, images: np.ndarray) -> Outputs:
        heads = self.info.heads
        names = {head: name for head in heads if (name := logits_name(head, heads))}
        return self._on_pixels(images, names)

    def answers(self, images: np.ndarray) -> Outputs:
        return self._on_pixels(images, self._answer_names)

    def answers_from_bytes(
        self, encoded: Sequence[bytes], boxes: np.ndarray | None = None
    ) -> Outputs:
        if boxes is not None and self._signature == "serve_bytes":
            raise DataError(
                "serve_bytes cannot cut images to boxes (data.crop_to_box); "
                "use --signature serving_default"
            )
        if boxes is not None or self.decoder != "model":
            return self.answers(self.pixels(encoded, boxes))
        parts = [
            self._request("serve_bytes", {"image_bytes": encoded[part]}, self._answer_names)
            for part in _parts([len(image) for image in encoded])
        ]
        answers = _joined(parts)
        refuse_unreadable(answers, encoded)
        return answers

    @property
    def _answer_names(self) -> dict[str, str]:
        return {head: answer_name(head, self.info.heads) for head in self.info.heads}

    def _on_pixels(self, images: np.ndarray, names: dict[str, str]) -> Outputs:
        signature, given = "serving_default", np.asarray(images, np.float32)
        if self._signature == "serve_uint8":
            signature, given = "serve_uint8", np.clip(np.rint(images), 0, 255).astype(np.uint8)
        parts = _parts([image.nbytes for image in given])
        return _joined([self._request(signature, {"images": given[p]}, names) for p in parts])

    def _request(self, signature: str, inputs: dict, names: dict[str, str]) -> Outputs:
        outputs = self._transport.predict(signature, inputs, tuple(names.values()))
        rows = len(next(iter(inputs.values())))
        for name, output in outputs.items():
            if output.ndim != 2 or len(output) != rows:
                raise ServerError(
                    f"{self.path} answered {rows} images with {name} of shape {output.shape}"
                )
        return {head: outputs[name] for head, name in names.items()}


def _transport(address: ServedAddress, timeout_s: float) -> Transport:
    if address.scheme == "grpc":
        from tfft.runtime.served.grpc_transport import GrpcTransport

        return GrpcTransport(address, timeout_s)
    from tfft.runtime.served.rest import RestTransport

    return RestTransport(address, timeout_s)


def _described(transport: Transport, url: str, known: ModelInfo | None) -> ModelInfo:
    """Asks the server what it serves; what is known already must say the same."""
    try:
        answer = transport.predict("describe", {"names": [b"tfft.json"]}, ["info"])["info"]
        said = ModelInfo.from_json(json.loads(answer[0]), url)
    except (RefusedError, ValueError) as error:
        if known is not None:
            return known
        raise ModelFileError(
            f"the model does not say what it is: {error}\nGive its run or its export with --info."
        ) from error
    if known is None:
        return said
    # A run's own model is not calibrated; the exported one may be.
    said_raw, known_raw = said.at_temperatures({}), known.at_temperatures({})
    if (said_raw.heads, said_raw.pixels) != (known_raw.heads, known_raw.pixels):
        raise ModelFileError(
            f"{url} serves a model with other classes or pixels than --info says; give the run or "
            "the export that is served"
        )
    return replace(said, data=known.data)


def _parts(sizes: Sequence[int]) -> Iterator[slice]:
    """Yields which rows go together into a request, at least one each."""
    start, total = 0, 0
    for position, size in enumerate(sizes):
        if position > start and total + size > _REQUEST_BYTES:
            yield slice(start, position)
            start, total = position, 0
        total += size
    yield slice(start, len(sizes))


def _joined(parts: list[Outputs]) -> Outputs:
    return {head: np.concatenate([part[head] for part in parts]) for head in parts[0]}
