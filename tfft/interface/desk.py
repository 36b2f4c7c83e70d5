"""The Python interface to the desk, where photos are looked at and mended in a browser.

The function imports what it needs when it is called, so that ``import tfft`` is fast.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from tfft.interface.common import optional_path
from tfft.system.notebook import NOTEBOOK
from tfft.system.paths import expanded
from tfft.system.progress import Progress

if TYPE_CHECKING:
    from tfft.desk.desk import OpenDesk


def open_desk(
    data: str | Path,
    *,
    model: str | Path | None = None,
    labels: str | Path | None = None,
    port: int = 0,
    progress: Progress = NOTEBOOK,
) -> "OpenDesk":
    """Opens a page on this machine to look at photos, relabel or remove them, and train again.

    No photo is touched: each decision is at once in a labels file, which every function takes as
    ``overrides={"data.labels": …}``. The page is served on the loopback address by threads of this
    process, to whoever knows its address, until the desk is closed or the process ends.

    Args:
        data: A directory with one folder a class, or a CSV manifest.
        model: The run whose model is asked, whose recipe is trained again, and with which a new
            model is compared; default: none, and the recipe `classifier`.
        labels: The labels file, which is made by the first decision; default: the one that the run
            was trained with, or ``photos.labels.csv`` beside ``photos``.
        port: Port to listen on; default: one that is free.
        progress: Where the work is reported; default: in a notebook, if in one.

    Returns:
        The desk, with the `address` of its page, which contains a secret; close it with `close`, or
        use it in a `with` statement.

    Raises:
        DataError: There are no photos, or the labels file is none.
        ModelFileError: `model` is no run.
        UsageError: The extra `desk` is not installed, or the run has other heads than one for
            classes.
        TfftError: The port is taken, or the labels file cannot be written.

    Example:
        >>> import tfft
        >>> with tfft.open_desk("photos/") as desk:
        ...     print(desk.address.startswith("http://127.0.0.1:"), desk.labels)
        True photos.labels.csv
    """
    from tfft.desk.desk import open_desk as opened

    return opened(
        expanded(data),
        run=optional_path(model),
        labels=optional_path(labels),
        port=port,
        progress=progress,
    )
