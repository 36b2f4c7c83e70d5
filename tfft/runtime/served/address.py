"""Parses the URL of a model on a server."""

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from tfft.errors import UsageError

_SCHEMES = ("http", "https", "grpc")
FORMS = (
    "http(s)://HOST:PORT/v1/models/NAME or grpc://HOST:PORT/NAME, with /versions/N or "
    "/labels/LABEL after it where one is meant"
)


@dataclass(frozen=True)
class ServedAddress:
    """Where a served model answers.

    Attributes:
        url: The URL as the user gave it.
        scheme: ``http``, ``https`` or ``grpc``.
        host: Host name or address, with the port.
        prefix: Path before ``/v1/models``, where a proxy adds one; else empty.
        name: Name of the model.
        version: Number of the version; None: the newest that is served.
        label: Label of a version; None: no label.
    """

    url: str
    scheme: str
    host: str
    prefix: str
    name: str
    version: int | None = None
    label: str | None = None

    @property
    def rest_url(self) -> str:
        """The model's own address in the REST interface."""
        url = f"{self.scheme}://{self.host}{self.prefix}/v1/models/{self.name}"
        if self.version is not None:
            return f"{url}/versions/{self.version}"
        return f"{url}/labels/{self.label}" if self.label else url


def is_address(model: str) -> bool:
    """Returns whether a MODEL is the URL of a server rather than a path."""
    return "://" in model


def parse_address(url: str) -> ServedAddress:
    """Parses the URL of a served model.

    Raises:
        UsageError: It is not the URL of a served model.
    """
    try:
        parts = urlsplit(url)
    except ValueError:  # such as brackets of IPv6 that do not close
        parts = urlsplit("")
    path = parts.path.rstrip("/")
    prefix, is_rest, rest_path = path.partition("/v1/models/")
    segments = (rest_path if parts.scheme != "grpc" else path.lstrip("/")).split("/")
    is_complete = bool(is_rest) or parts.scheme == "grpc"
    faults = (
        parts.scheme not in _SCHEMES,
        not parts.netloc or "@" in parts.netloc,
        bool(parts.query or parts.fragment),
        not is_complete or not segments[0] or ":" in path,
        len(segments) not in (1, 3),
        len(segments) == 3 and segments[1] not in ("versions", "labels"),
        len(segments) == 3 and segments[1] == "versions" and not segments[2].isdecimal(),
    )
    if any(faults):
        raise UsageError(f"the URL of a served model must be {FORMS}. Received: {url}")
    kind, chosen = segments[1:] if len(segments) == 3 else ("", "")
    return ServedAddress(
        url=url,
        scheme=parts.scheme,
        host=parts.netloc,
        prefix="" if parts.scheme == "grpc" else prefix,
        name=unquote(segments[0]),
        version=int(chosen) if kind == "versions" else None,
        label=chosen if kind == "labels" else None,
    )
