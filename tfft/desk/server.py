"""The server of a desk: what it answers, and what it refuses.

It listens on the loopback address only. Every address on it begins with a random token; a request
without the token, for another host, or from a page of another origin is refused before anything is
looked up. Photos are asked for by number, never by a path.
"""

import secrets
import socket
import threading
from collections.abc import Callable
from typing import Any

from tfft.desk.state import Desk
from tfft.errors import TfftError, UsageError
from tfft.system.printable import unicode
from tfft.system.readable import install_command

HOST = "127.0.0.1"
_THREADS = 8
# The page is made of its own files, asks nobody else, and cannot be framed or sent elsewhere. With
# trusted types no text can become markup, whatever a photo or a class is called.
_POLICY = "; ".join(
    [
        "default-src 'none'",
        *(f"{what}-src 'self'" for what in ("img", "script", "style", "connect")),
        *(f"{what} 'none'" for what in ("base-uri", "form-action", "frame-ancestors")),
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    ]
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}


class DeskServer:
    """Serves a desk from threads of this process, until it is closed.

    Args:
        desk: What is shown and changed.
        port: Port to listen on; 0: any that is free.

    Raises:
        UsageError: The extra `desk` is not installed.
        TfftError: The port is taken.
    """

    def __init__(self, desk: Desk, port: int = 0) -> None:
        try:
            from waitress.server import create_server

            from tfft.desk.answers import MOST_BYTES
        except ImportError as error:
            raise UsageError(
                f"the desk needs the extra `desk`: {install_command('desk')} ({error})"
            ) from error
        self._desk = desk
        self._token = secrets.token_urlsafe(24)
        listening = _listening(port)
        port = listening.getsockname()[1]
        self._hosts = (f"{HOST}:{port}", f"localhost:{port}")
        self._sockets: dict[int, Any] = {}
        self._server: Any = create_server(
            self._application(),
            map=self._sockets,
            sockets=[listening],
            threads=_THREADS,
            ident=None,
            max_request_body_size=MOST_BYTES,
            clear_untrusted_proxy_headers=True,
        )
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """The address of the page, with the token that no other program knows."""
        return f"http://{self._hosts[0]}/{self._token}/"

    def wait(self) -> None:
        """Waits until the server ends, as long as nothing interrupts."""
        while self._thread.is_alive():
            self._thread.join(1.0)  # without a limit, no interrupt would arrive

    def close(self) -> None:
        """Stops what is running, and listens no longer; a second time it does nothing."""
        from waitress.wasyncore import close_all

        self._desk.jobs.close()
        if not self._thread.is_alive():
            return
        self._server.trigger.pull_trigger(lambda: close_all(self._sockets))
        self._thread.join()
        self._server.task_dispatcher.shutdown()

    def _application(self) -> Callable[..., Any]:
        from werkzeug.exceptions import HTTPException
        from werkzeug.wrappers import Request, Response

        from tfft.desk.answers import Answers, json_response

        answers = Answers(self._desk)

        @Request.application
        def application(request: Request) -> Response:
            try:
                if refusal := self._refusal(request):
                    response = Response(refusal, status=403)
                else:
                    response = answers(request, request.path.removeprefix(f"/{self._token}"))
            except HTTPException as error:
                text = f"{error.code} {error.name}: {error.description}"
                response = Response(text, status=error.code, mimetype="text/plain")
            except TfftError as error:
                status = 400 if isinstance(error, UsageError) else 500
                response = json_response({"error": unicode(str(error))}, status)
            for name, value in _HEADERS.items():
                response.headers.setdefault(name, value)
            return response

        return application

    def _refusal(self, request: Any) -> str:
        """Returns why a request is refused, or ""."""
        if request.headers.get("Host") not in self._hosts:
            return "This desk answers for its own address only."
        origin = request.headers.get("Origin")
        if origin not in (None, f"http://{request.host}"):
            return "This desk answers its own page only."
        if origin is None and request.method not in ("GET", "HEAD"):
            return "What changes something must say from which page it comes."
        token = request.path.split("/")[1] if "/" in request.path else ""
        if not secrets.compare_digest(token.encode(), self._token.encode()):
            return "Open the address that `tfft desk` printed: this one has not its token."
        return ""


def _listening(port: int) -> socket.socket:
    """Returns a socket bound to a port of the loopback address; 0: any that is free."""
    opened = socket.socket()
    try:
        # As servers do: a port that another desk left a moment ago is free.
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((HOST, port))
    except OSError as error:
        opened.close()
        raise TfftError(
            f"cannot listen on port {port}: {error.strerror}. Choose another --port, or none."
        ) from error
    return opened
