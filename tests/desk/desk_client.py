"""Asks the server of a desk as a browser does, or otherwise."""

import http.client
import json
from typing import Any, NamedTuple

from tfft.desk.desk import OpenDesk


class Response(NamedTuple):
    """What the server answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """Sends requests to a desk."""

    def __init__(self, desk: OpenDesk) -> None:
        _, _, self.host, self.token, _ = desk.address.split("/")

    def get(self, path: str, **headers: str) -> Response:
        """Asks for a path below the token."""
        return self.send("GET", f"/{self.token}/{path}", headers)

    def post(self, path: str, **values: Any) -> Response:
        """Sends a JSON object to a path below the token, as the page does."""
        headers = {"Origin": f"http://{self.host}", "Content-Type": "application/json"}
        return self.send("POST", f"/{self.token}/{path}", headers, json.dumps(values).encode())

    def send(
        self, method: str, path: str, headers: dict[str, str], body: bytes | None = None
    ) -> Response:
        """Sends any request; the host is the desk's unless the headers say."""
        connection = http.client.HTTPConnection(self.host, timeout=60)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            sized = {} if body is None else {"Content-Length": str(len(body))}
            for name, value in ({"Host": self.host} | sized | headers).items():
                connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return Response(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()
