"""How often a promise was tried and how often it held: the rows of ``docs/reliability.md``.

Tests that try one promise many times call `tally` at their end. Where ``TFFT_FAULTS_TALLY`` names a
file, the counts are kept there; ``docs/generate_reliability.py`` makes the page of
``tests/faults/tallies.json``, which is such a file::

    TFFT_FAULTS_TALLY=tests/faults/tallies.json make test-all && make docs
"""

import fcntl
import json
import os
from pathlib import Path

# In the order of the page.
KINDS = (
    *("kills", "signals", "races", "full disks", "data", "images", "names", "recipes"),
    *("models", "weights", "caches", "runs", "servers", "screens"),
)


def tally(kind: str, promise: str, *, tried: int, held: int) -> None:
    """Keeps that a promise was tried ``tried`` times and held ``held`` times.

    Args:
        kind: One of `KINDS`: what the faults were done to, or what they are.
        promise: What a user is promised, as one sentence; it is the key of the row.
        tried: Number of different faults that were tried.
        held: Number of them after which the promise held.
    """
    assert kind in KINDS, kind
    file = os.environ.get("TFFT_FAULTS_TALLY")
    if not file:
        return
    test = os.environ.get("PYTEST_CURRENT_TEST", "").partition(" ")[0]
    row = {"kind": kind, "promise": promise, "tried": tried, "held": held, "test": test}
    with Path(file).open("a+") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        stream.seek(0)
        rows = [other for other in json.loads(stream.read() or "[]") if other["promise"] != promise]
        rows = sorted([*rows, row], key=lambda row: (KINDS.index(row["kind"]), row["promise"]))
        text = json.dumps(rows, indent=1) + "\n"  # first: what cannot be written must cost no row
        stream.truncate(0)
        stream.write(text)
