"""A desk over a few pictures, and who asks it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from desk.desk_client import Client

import tfft

pytest.importorskip("waitress", reason="needs the extra `desk`")


@pytest.fixture(scope="module")
def labels(tmp_path_factory) -> Path:
    """Where the desk keeps what is decided."""
    return tmp_path_factory.mktemp("desk") / "labels.csv"


@pytest.fixture(scope="module")
def client(pictures, labels) -> Iterator[Client]:
    """Sends requests to a desk over `pictures`, about which nothing is decided."""
    with tfft.open_desk(pictures, labels=labels) as desk:
        yield Client(desk)


@pytest.fixture
def client_of(tmp_path) -> Iterator[Callable[..., Client]]:
    """Opens a desk over a folder, as `tfft.open_desk` does, and returns who asks it."""
    with ExitStack() as stack:

        def opened(data: Path, **options: Any) -> Client:
            options = {"labels": tmp_path / "labels.csv", **options}
            return Client(stack.enter_context(tfft.open_desk(data, **options)))

        yield opened
