"""Opening a desk: its photos, its labels file, its server."""

from pathlib import Path

from tfft.desk.decisions import Decisions
from tfft.desk.photos import load_photos
from tfft.desk.recipe import labels_file_of, recipe_of_desk
from tfft.desk.server import DeskServer
from tfft.desk.state import Desk
from tfft.errors import TfftError
from tfft.system.files import require_writable
from tfft.system.progress import Progress
from tfft.system.readable import Readable, counted


class OpenDesk(Readable):
    """A desk that can be used in a browser, until it is closed.

    Args:
        desk: What is shown and changed.
        server: What serves it.
    """

    def __init__(self, desk: Desk, server: DeskServer) -> None:
        self._desk, self._server = desk, server

    @property
    def address(self) -> str:
        """Address of the page; whoever knows it may use the desk."""
        return self._server.address

    @property
    def labels(self) -> Path:
        """The labels file, which has what was decided."""
        return self._desk.decisions.file

    def lines(self) -> list[str]:
        photos = self._desk.photos
        decided = len(photos.places.keys() & self._desk.decisions.labels.keys())
        return [
            f"{photos.name}: {counted(len(photos), 'photo')}, {decided:,} decided about",
            self.address,
            f"labels: {self.labels}",
        ]

    def audit(self) -> None:
        """Looks for what is wrong with the photos, in a process of its own; the page shows it.

        Raises:
            TfftError: An audit or a training is running.
        """
        self._desk.begin("audit")

    def wait(self) -> None:
        """Waits until something interrupts, such as Ctrl-C, while the desk is used."""
        self._server.wait()

    def close(self) -> None:
        """Stops a training that is running, and serves the desk no longer."""
        self._server.close()

    def __enter__(self) -> "OpenDesk":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_desk(
    data: Path, *, run: Path | None, labels: Path | None, port: int, progress: Progress
) -> OpenDesk:
    """Opens a desk, as `tfft.open_desk` does."""
    file = labels or labels_file_of(data, run)
    try:
        require_writable(file.absolute().parent)
    except TfftError as error:  # such as photos on a disk that can only be read
        raise TfftError(f"{error} What is decided can be kept elsewhere: --labels FILE") from error
    recipe = recipe_of_desk(data, run, None)
    desk = Desk(data, load_photos(recipe, progress), Decisions(file), run)
    return OpenDesk(desk, DeskServer(desk, port))
