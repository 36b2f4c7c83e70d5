"""Why a process ended that could not say so itself."""

import signal


def killed_text(returncode: int) -> str | None:
    """Returns that a process was killed, with the likely reason; None if it ended by itself.

    Args:
        returncode: Exit code of the process, or the number of the signal that ended it with a minus
            sign, as `subprocess` has it.
    """
    if returncode >= 0:
        return None
    try:
        name = signal.Signals(-returncode).name
    except ValueError:
        name = f"signal {-returncode}"
    if name == "SIGKILL":
        return "its process was killed (SIGKILL), probably because the machine ran out of memory"
    return f"its process was ended by {name}"
