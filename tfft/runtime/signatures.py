"""The signatures of a SavedModel that answer for images."""

from tfft.errors import UsageError, nearest

SIGNATURES = ("serving_default", "serve_uint8", "serve_bytes")


def check_signature(name: str | None) -> None:
    """Refuses what is neither None nor one of `SIGNATURES`.

    Raises:
        UsageError: There is no such signature.
    """
    if name is not None and name not in SIGNATURES:
        raise UsageError(
            f"no signature {name!r}; there are {', '.join(SIGNATURES)}."
            f"{nearest(name, SIGNATURES)} Received: {name}"
        )
