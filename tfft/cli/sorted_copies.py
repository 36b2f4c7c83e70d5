"""Copies of photos in a folder for each answer; the photos themselves stay where they are."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfft.cli.answer_first import answer_first
from tfft.errors import TfftError, UsageError
from tfft.system.files import explained_os_errors, remove_abandoned
from tfft.system.moving import copy_file
from tfft.system.printable import printable_name
from tfft.system.readable import counted

if TYPE_CHECKING:
    from tfft.runtime.info import HeadInfo


class SortedCopies:
    """A directory with a folder for each class, into which photos are copied by their answers.

    Nothing in it is replaced or removed: where another file has the name, the copy gets a number,
    and a copy that is there already is not made again.

    Args:
        directory: The directory; it need not exist.
        heads: Heads of the model; the first one that classifies sorts.

    Raises:
        UsageError: No head classifies, a class cannot be the name of a folder, or the directory is
            a file.
    """

    def __init__(self, directory: Path, heads: "Mapping[str, HeadInfo]") -> None:
        sorting = [name for name, head in heads.items() if head.kind == "classification"]
        if not sorting:
            raise UsageError(
                "photos are sorted by the one class of each, and no head of this model classifies: "
                f"{', '.join(f'{name} ({head.kind})' for name, head in heads.items())}"
            )
        self._directory, self._head = directory, sorting[0]
        wrong = [name for name in heads[self._head].class_names if not _is_folder_name(name)]
        if wrong:
            raise UsageError(
                "these classes cannot be names of folders; --csv writes the answers as a table: "
                f"{', '.join(map(printable_name, wrong))}"
            )
        if directory.exists() and not directory.is_dir():
            raise UsageError(f"photos are sorted into a folder. Received: --sort-into {directory}")
        self._counts: Counter[str] = Counter()

    @property
    def summary(self) -> str:
        """How many photos are where, as text."""
        folders = counted(len(self._counts), "folder")
        return f"{counted(self._counts.total(), 'image')} in {folders}"

    def follow(self, answers: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Yields answers as they come, each photo copied; one that could not be read is not.

        Raises:
            TfftError: A photo cannot be copied.
        """
        for answer in answers:
            if "predictions" in answer:
                label = answer_first(answer["predictions"][self._head])[0]["label"]
                self._copy(Path(answer["path"]), label)
            yield answer

    def _copy(self, photo: Path, label: str) -> None:
        folder = self._directory / label
        with explained_os_errors(folder):
            if not photo.is_file():
                raise TfftError(f"{printable_name(str(photo))} is no file that could be copied")
            if label not in self._counts:
                folder.mkdir(parents=True, exist_ok=True)
                remove_abandoned(folder)
            copy_file(photo, folder / photo.name)
        self._counts[label] += 1


def _is_folder_name(label: str) -> bool:
    """Says if a class can be the name of a folder: one that leads nowhere else, and not hidden."""
    return bool(label) and "/" not in label and "\0" not in label and not label.startswith(".")
