"""A server around the exported small model, and clients of it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest


@pytest.fixture(scope="session")
def served_model(exported):
    """The exported model as a server has loaded it: version 1, called stable."""
    from serving.serving_api import Model

    return Model("colours", exported.savedmodel.parent, labels={"stable": 1})


@pytest.fixture
def start_server(served_model) -> Iterator[Callable]:
    """Starts servers of the model, with the behaviour asked for; stops those that still run."""
    from serving.serving_api import Server

    with ExitStack() as running:

        def start(*, delay_s: float = 0.0, failures: tuple[str, ...] = ()) -> Server:
            served_model.delay_s, served_model.failures = delay_s, list(failures)
            served_model.answered = 0
            return running.enter_context(Server(served_model))

        yield start


@pytest.fixture
def server(start_server):
    """A server that answers at once."""
    return start_server()
