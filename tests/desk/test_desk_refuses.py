"""What the server of a desk refuses: it answers its own page, and nobody else."""

import shutil
import socket

import pytest

import tfft
from tfft.errors import TfftError

PAGE = ("", "script.js", "state", "photos", "photos/0", "photos/0/small.jpg", "photos/0/large.jpg")
CHANGES = ("decide", "undo", "begin", "stop")
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize("path", PAGE)
def test_nothing_is_answered_without_the_token(client, path):
    assert client.get(path).status == 200
    for token in ("", "x", client.token[:-1], client.token + "x", client.token.lower()):
        refused = client.send("GET", f"/{token}/{path}" if token else f"/{path}", {})
        assert (refused.status, refused.headers["Content-Type"]) == (
            403,
            "text/plain; charset=utf-8",
        )
        assert client.token.encode() not in refused.body


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "127.0.0.1.x:{port}", ""],
)
def test_a_request_for_another_host_is_refused(client, host):
    """A name of a stranger that leads to this machine: DNS rebinding."""
    port = client.host.partition(":")[2]
    assert client.get("state", Host=host.format(port=port)).status == 403
    assert client.get("state", Host=f"localhost:{port}").status == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "https://{host}", "http://127.0.0.1:1"]
)
def test_a_request_of_another_page_is_refused(client, labels, origin):
    origin = origin.format(host=client.host)
    assert client.get("state", Origin=origin).status == 403
    body = b'{"photos": [0], "label": ""}'
    for path in CHANGES:
        address = f"/{client.token}/{path}"
        assert client.send("POST", address, {"Origin": origin, **JSON}, body).status == 403
        assert client.send("POST", address, JSON, body).status == 403  # says of no page at all
    assert not labels.exists()


@pytest.mark.parametrize(
    "path",
    [
        *("photos/24", "photos/-1", "photos/1e3", "photos/24/small.jpg", f"photos/{10**30}"),
        *("photos/../../../../etc/passwd", "photos/%2e%2e%2f%2e%2e%2fetc%2fpasswd"),
        *("../page/script.js", "%2e%2e/answers.py", "..%2fanswers.py", "photos//etc/passwd"),
        *("photos/0/../../../labels.csv", "labels.csv", "page/script.js", "photos/blue/0.jpg"),
        *("photos/0/small.png", "photos/0/huge.jpg"),
    ],
)
def test_nothing_outside_of_the_photos_has_an_address(client, path):
    assert client.get(path).status in (403, 404)


def test_a_photo_is_never_passed_on_as_it_is(client, pictures):
    """Place, time and comments in a file stay where they are."""
    (photo,) = client.get("photos?search=red/2.jpg").json["photos"]
    original = (pictures / "red" / "2.jpg").read_bytes()
    assert b"Exif" in original
    for size in ("small", "large"):
        served = client.get(f"photos/{photo['number']}/{size}.jpg")
        assert served.headers["Content-Type"] == "image/jpeg"
        assert b"Exif" not in served.body


def test_a_photo_that_became_something_else_is_not_shown(tmp_path, pictures, client_of):
    shutil.copytree(pictures, tmp_path / "photos")
    secret = tmp_path / "secret"
    secret.write_text("of somebody")
    client = client_of(tmp_path / "photos")
    photo = tmp_path / "photos" / "blue" / "0.jpg"
    photo.unlink()
    assert (
        client.get("photos/0/small.jpg").json["error"]
        == "blue/0.jpg cannot be read: No such file or directory"
    )
    photo.symlink_to(secret)
    answer = client.get("photos/0/small.jpg")
    assert answer.status == 400
    assert b"somebody" not in answer.body


def test_every_answer_forbids_what_the_page_does_not_need(client):
    answers = [client.get(path) for path in ("", "state", "photos/0/small.jpg", "nowhere")]
    for answer in (*answers, client.send("GET", "/", {})):
        text = answer.headers["Content-Security-Policy"]
        policy = text.split("; ")
        assert {"default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"} <= set(policy)
        assert "require-trusted-types-for 'script'" in policy
        assert not any(word in text for word in ("unsafe", "data:", "http", "*"))
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]
        assert "Server" not in answer.headers


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("decide", b"no JSON", 400),
        ("decide", b"[" * 100_000, 413),
        ("decide", b"[" * 5_000, 400),
        ("decide", b'{"photos": [0]}', 400),
        ("decide", b'{"photos": [0], "label": "", "more": 1}', 400),
        ("decide", b'{"photos": ["blue/0.jpg"], "label": ""}', 400),
        ("decide", b'{"photos": [true], "label": ""}', 400),
        ("decide", b'{"photos": [], "label": ""}', 400),
        ("decide", b'{"photos": [24], "label": ""}', 404),
        ("decide", b'{"photos": [0], "label": 7}', 400),
        ("decide", b'{"photos": [0], "label": "../up"}', 400),
        ("decide", b'{"photos": [0], "label": " red"}', 400),
        ("decide", b'{"photos": [0], "label": "line\\nbreak"}', 400),
        ("decide", b'{"photos": [0], "label": "\\ud800"}', 400),
        ("decide", b'{"photos": [0], "label": "' + b"x" * 300 + b'"}', 400),
        ("begin", b'{"kind": "rm -rf"}', 400),
        ("undo", b"{}", 400),
        ("state", b"{}", 405),
        ("nowhere", b"{}", 405),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_cannot_be_decided_changes_nothing_and_is_said(client, labels, path, body, status):
    headers = {"Origin": f"http://{client.host}", **JSON}
    assert client.send("POST", f"/{client.token}/{path}", headers, body).status == status
    assert not labels.exists()


def test_only_json_is_taken(client, labels):
    """What a form of another page can send without being asked is no JSON."""
    body = b'{"photos": [0], "label": ""}'
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
        headers = {"Origin": f"http://{client.host}", "Content-Type": kind}
        assert client.send("POST", f"/{client.token}/decide", headers, body).status == 415
    assert not labels.exists()


def test_it_listens_on_this_machine_only(client):
    host, _, port = client.host.partition(":")
    assert host == "127.0.0.1"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", int(port)), timeout=10)


def test_a_port_that_is_taken_is_named(client, pictures, labels):
    port = int(client.host.partition(":")[2])
    with pytest.raises(TfftError, match=f"cannot listen on port {port}: .* Choose another --port"):
        tfft.open_desk(pictures, labels=labels, port=port)


def test_each_desk_has_another_token(client, pictures, labels):
    with tfft.open_desk(pictures, labels=labels) as other:
        assert client.token not in other.address
    assert len(client.token) >= 32


def test_a_desk_that_was_closed_listens_no_longer(pictures, labels):
    desk = tfft.open_desk(pictures, labels=labels)
    port = int(desk.address.split("/")[2].partition(":")[2])
    desk.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=10)
