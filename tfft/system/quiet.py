"""Keeps the output of native libraries away from the user."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def descriptors_kept_aside(*descriptors: int, shown_on_error: bool = False) -> Iterator[None]:
    """Points file descriptors at a temporary file; native code writes to them past Python.

    Args:
        descriptors: Descriptors to keep aside: 1 for standard output, 2 for standard error.
        shown_on_error: Whether what was kept aside is written to standard error on an exception.
    """
    _flush()
    originals = {descriptor: os.dup(descriptor) for descriptor in descriptors}
    with tempfile.TemporaryFile() as aside:
        for descriptor in descriptors:
            os.dup2(aside.fileno(), descriptor)
        try:
            yield
        except BaseException:
            if shown_on_error:
                aside.seek(0)
                os.write(originals.get(2, 2), aside.read())
            raise
        finally:
            _flush()
            for descriptor, original in originals.items():
                os.dup2(original, descriptor)
                os.close(original)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # closed since before the process began
            stream.flush()
