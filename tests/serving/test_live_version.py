"""Which version a server answers from, as far as its REST interface says so."""

import pytest

from tfft.errors import ModelFileError, ServerError
from tfft.runtime.served.address import parse_address
from tfft.runtime.served.rest import RestTransport
from tfft.runtime.served.transport import RefusedError


def _version(monkeypatch, answer: object) -> int | None:
    transport = RestTransport(parse_address("http://host:8501/v1/models/m"), 1.0)

    def ask(method, url, body, most, seconds):
        assert (method, url, body) == ("GET", "http://host:8501/v1/models/m", None)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(transport, "_ask", ask)
    return transport.answering_version()


def _states(*states: tuple[object, str]) -> dict:
    return {"model_version_status": [{"version": v, "state": state} for v, state in states]}


def test_it_is_the_highest_that_is_available(monkeypatch):
    said = _states(("12", "LOADING"), ("9", "AVAILABLE"), ("10", "AVAILABLE"), ("11", "END"))
    assert _version(monkeypatch, said) == 10


@pytest.mark.parametrize(
    "answer",
    [
        {},
        [],
        {"model_version_status": {"version": "1"}},
        {"model_version_status": [1, None]},
        _states(("12", "LOADING")),
        _states(("1" * 5000, "AVAILABLE"), ("-1", "AVAILABLE"), ("٣", "AVAILABLE"), (None, "x")),
        RefusedError("no such method"),
        ModelFileError("a gateway that only knows predict"),
    ],
)
def test_a_server_that_does_not_say_is_no_error(monkeypatch, answer):
    assert _version(monkeypatch, answer) is None


def test_a_server_that_is_gone_is_one(monkeypatch):
    with pytest.raises(ServerError, match="gone"):
        _version(monkeypatch, ServerError("gone"))
