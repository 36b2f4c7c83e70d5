"""What a person reads when a command has ended: `tfft` on a pseudo-terminal of a certain width."""

import errno
import fcntl
import os
import pty
import select
import struct
import sys
import termios
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import forked
import pyte

_ROWS = 40
_SCROLLED_BACK = 2000


@dataclass(frozen=True)
class Shown:
    """What is on a terminal, with what was scrolled out of its window.

    Attributes:
        code: Exit code of the command.
        lines: Lines from the first to the last with text, without blanks at their ends.
    """

    code: int | None
    lines: list[str]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    @property
    def unwrapped(self) -> str:
        """The text without line breaks: a long line of a terminal is copied as one."""
        return "".join(self.lines)


def tfft(arguments: Sequence[object], cwd: Path, columns: int, timeout: float = 600) -> Shown:
    """Runs `tfft ARGUMENTS` in a directory, on a terminal with this number of columns.

    Raises:
        TimeoutError: It took longer than `timeout` seconds.
    """
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, columns, 0, 0))
    words = ["tfft", *map(str, arguments)]
    inherited = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    environment = {**inherited, "TERM": "xterm-256color"}
    process = forked.PROCESSES.Process(
        target=_command, args=(words, cwd, environment, os.ttyname(slave))
    )
    process.start()
    screen = pyte.HistoryScreen(columns, _ROWS, history=_SCROLLED_BACK)
    stream = pyte.ByteStream(screen)
    end = time.monotonic() + timeout
    try:
        while process.is_alive() or select.select([master], [], [], 0)[0]:
            if time.monotonic() > end:
                process.kill()
                raise TimeoutError(f"{words}: more than {timeout} seconds")
            if select.select([master], [], [], 0.05)[0]:
                stream.feed(_read(master))
    finally:
        process.join()
        os.close(slave)
        os.close(master)
    return Shown(process.exitcode, _lines(screen))


def _read(master: int) -> bytes:
    try:
        return os.read(master, 1 << 16)
    except OSError as error:
        if error.errno != errno.EIO:  # Linux: nobody holds the other end any more
            raise
        return b""


def _lines(screen: pyte.HistoryScreen) -> list[str]:
    scrolled = [
        "".join(row[column].data for column in range(screen.columns)).rstrip()
        for row in screen.history.top
    ]
    shown = [line.rstrip() for line in screen.display]
    return "\n".join([*scrolled, *shown]).strip("\n").split("\n")


def _command(words: list[str], cwd: Path, environment: dict[str, str], terminal: str) -> None:
    os.setsid()
    descriptor = os.open(terminal, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(descriptor, standard)
    sys.stdin, sys.stdout, sys.stderr = (
        os.fdopen(n, mode, closefd=False) for n, mode in enumerate("rww")
    )
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    sys.argv = words
    from tfft.cli.main import main

    main()
