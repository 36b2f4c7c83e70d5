"""The digests of an export's files, as ``sha256sum -c SHA256SUMS`` reads them.

They prove that files are whole, not where they come from: whoever changes a file can change its
sum.
"""

import re
from pathlib import Path

from tfft.errors import TfftError
from tfft.system.damage import reading
from tfft.system.digests import file_sha256
from tfft.system.files import write_text

FILE_NAME = "SHA256SUMS"
_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")


def computed_sums(directory: Path) -> dict[str, str]:
    """Returns the SHA-256 of each file in a directory and below it, but of `FILE_NAME` itself.

    Returns:
        Digests in hexadecimal by path within the directory, with ``/``, in the order of the paths.
    """
    files = (path for path in directory.rglob("*") if path.is_file())
    paths = sorted(path.relative_to(directory).as_posix() for path in files)
    return {path: file_sha256(directory / path) for path in paths if path != FILE_NAME}


def write_sums(directory: Path) -> None:
    """Writes `FILE_NAME` about all other files in a directory."""
    lines = [f"{digest}  {path}\n" for path, digest in computed_sums(directory).items()]
    write_text(directory / FILE_NAME, "".join(lines))


def recorded_sums(directory: Path) -> dict[str, str] | None:
    """Reads `FILE_NAME`.

    Returns:
        Digests by path, as `computed_sums` has them; None if there is no such file.

    Raises:
        TfftError: A line of it is none.
    """
    file = directory / FILE_NAME
    if not file.is_file():
        return None
    with reading(file, "a list of SHA-256 sums"):
        lines = [_LINE.fullmatch(line) for line in file.read_text(encoding="utf-8").splitlines()]
        if not lines or not all(lines):
            raise ValueError("a line is not a digest and a path")
        return {line[2]: line[1] for line in lines if line}


def whole_sums(directory: Path) -> dict[str, str]:
    """Returns the sums of a directory's files, which are those that are recorded, if any are.

    Raises:
        TfftError: A file is missing, has another sum, or has none although others do.
    """
    recorded, computed = recorded_sums(directory), computed_sums(directory)
    if recorded is None or recorded == computed:
        return computed
    what = "it is damaged. Put back a copy, or export the run again"
    if missing := sorted(recorded.keys() - computed.keys()):
        raise TfftError(f"{directory} has no {missing[0]}, which is in its {FILE_NAME}: {what}")
    if changed := [path for path in recorded if recorded[path] != computed[path]]:
        raise TfftError(
            f"{directory / changed[0]} has not the SHA-256 that {FILE_NAME} gives it: {what}"
        )
    added = sorted(computed.keys() - recorded.keys())[0]
    raise TfftError(
        f"{directory / added} is not in {FILE_NAME}: the list was cut off, or the file was added. "
        "If you added it, add the line that sha256sum says of it"
    )
