"""Progress that presses Ctrl-C, and progress that listens."""


class Interrupting:
    """Presses Ctrl-C in the middle of the nth piece of training."""

    def __init__(self, piece: int) -> None:
        self._left = piece

    def start(self, description: str, total: int | None, unit: str = "images"):
        self._armed = description.startswith("phase")
        return self

    def advance(self, steps: int = 1, **figures: float) -> None:
        if self._armed and figures:
            self._left -= 1
            if self._left == 0:
                raise KeyboardInterrupt

    def close(self) -> None:
        pass

    def message(self, text: str) -> None:
        pass


class Listening:
    """Keeps the messages."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def start(self, description: str, total: int | None, unit: str = "images"):
        return self

    def advance(self, steps: int = 1, **figures: float) -> None:
        pass

    def close(self) -> None:
        pass

    def message(self, text: str) -> None:
        self.messages.append(text)
