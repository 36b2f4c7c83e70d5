"""What the server of a desk answers to requests that it lets in."""

import json
from importlib.resources import files
from pathlib import PurePath
from typing import Any, Literal

from werkzeug.exceptions import NotFound, UnsupportedMediaType
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from tfft.desk.evidence import Evidence
from tfft.desk.page_data import photo_json, photos_json, state_json
from tfft.desk.photos import Photos
from tfft.desk.pictures import Pictures
from tfft.desk.state import SHOWN, Desk, View
from tfft.errors import DataError, UsageError, nearest
from tfft.system.files import json_value
from tfft.system.typed import typed

# A decision names at most the photos of a page, each by a number of some digits.
MOST_BYTES = 100_000
_MOST_PHOTOS = 200
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


class Answers:
    """Answers requests by their paths, without the token that these begin with.

    Args:
        desk: What is shown and changed.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk, self._pictures, self._evidence = desk, Pictures(), Evidence()
        page = files("tfft.desk").joinpath("page").iterdir()
        self._files = {file.name: file.read_bytes() for file in page if file.is_file()}
        looked_at = {
            "/": self._file,
            "/<name>": self._file,
            "/state": self._state,
            "/photos": self._photos,
            "/photos/<int:number>": self._photo,
            "/photos/<int:number>/<any(small, large):size>.jpg": self._picture,
            "/photos/<int:number>/evidence.jpg": self._evidence_picture,
        }
        changed = {
            "/decide": self._decide,
            "/undo": self._undo,
            "/begin": self._begin,
            "/stop": self._stop,
        }
        self._urls = Map(
            [
                *(Rule(path, endpoint=f, methods=["GET"]) for path, f in looked_at.items()),
                *(Rule(path, endpoint=f, methods=["POST"]) for path, f in changed.items()),
            ]
        )

    def __call__(self, request: Request, path: str) -> Response:
        """Returns the answer to a request.

        Args:
            request: The request.
            path: Its path after the token.

        Raises:
            HTTPException: There is no such place, or not by this method.
            TfftError: What was asked for cannot be done.
        """
        answer, arguments = self._urls.bind("", path_info=path).match(method=request.method)
        if answer in (self._picture, self._evidence_picture):  # several at a time
            return answer(request, **arguments)
        with self._desk.lock:
            return answer(request, **arguments)

    def _file(self, request: Request, name: str = "index.html") -> Response:
        if name not in self._files:
            raise NotFound("There is no such file.")
        return Response(self._files[name], content_type=_TYPES[PurePath(name).suffix])

    def _state(self, request: Request) -> Response:
        self._desk.refresh()
        return json_response(state_json(self._desk))

    def _photos(self, request: Request) -> Response:
        wanted = request.args
        view = View(
            show=wanted.get("show", "all"),
            label=wanted.get("label", ""),
            kind=wanted.get("kind", ""),
            search=wanted.get("search", ""),
            undecided="undecided" in wanted,
        )
        if view.show not in SHOWN:
            raise UsageError(
                f"what is shown is one of {', '.join(SHOWN)}.{nearest(view.show, SHOWN)} "
                f"Received: {view.show!r}"
            )
        start, count = wanted.get("from", 0, int), wanted.get("count", 60, int)
        count = min(max(count, 1), _MOST_PHOTOS)
        return json_response(photos_json(self._desk, view, max(start, 0), count))

    def _photo(self, request: Request, number: int) -> Response:
        return json_response(photo_json(self._desk, _place(self._desk.photos, number)))

    def _picture(self, request: Request, number: int, size: str) -> Response:
        photos = self._desk.photos
        picture = {"small": self._pictures.small, "large": self._pictures.large}[size]
        try:
            return _jpeg(picture(photos, _place(photos, number)))
        except DataError:
            self._desk.miss()
            raise

    def _evidence_picture(self, request: Request, number: int) -> Response:
        photos, run = self._desk.photos, self._desk.run
        if run is None:
            raise UsageError("there is no model yet that could be asked: train one")
        place = _place(photos, number)
        return _jpeg(self._evidence(run, photos, place, request.args.get("label", "")))

    def _decide(self, request: Request) -> Response:
        asked = _asked({"photos", "label"}, request)
        numbers = _typed(list[int], asked["photos"], "photos")
        label = _typed(str | None, asked["label"], "label")
        if not 1 <= len(numbers) <= _MOST_PHOTOS:
            raise UsageError(f"1 to {_MOST_PHOTOS} photos are decided about at a time")
        self._desk.require_label(label)
        photos = self._desk.photos
        paths = [photos.index.ids[_place(photos, number)] for number in numbers]
        self._desk.decisions.decide(paths, label)
        return self._changed(paths)

    def _undo(self, request: Request) -> Response:
        _asked(set(), request)
        return self._changed(list(self._desk.decisions.undo().after))

    def _changed(self, paths: list[str]) -> Response:
        """Returns the state, and the photos that were decided about as they are now."""
        known = self._desk.photos.places
        photos = [photo_json(self._desk, known[path]) for path in paths if path in known]
        return json_response({"state": state_json(self._desk), "photos": photos})

    def _begin(self, request: Request) -> Response:
        asked = _asked({"kind"}, request)
        self._desk.begin(_typed(Literal["audit", "train"], asked["kind"], "kind"))
        return json_response(state_json(self._desk))

    def _stop(self, request: Request) -> Response:
        _asked(set(), request)
        self._desk.jobs.stop()
        return json_response(state_json(self._desk))


def _place(photos: Photos, number: int) -> int:
    """Returns the place of a photo by its number."""
    if number < photos.first:
        raise UsageError("the photos were moved or changed since; the page shows them anew")
    if number >= photos.first + len(photos):
        raise NotFound("There is no photo of this number.")
    return number - photos.first


def json_response(value: Any, status: int = 200) -> Response:
    """Returns a JSON document as a response."""
    return Response(
        json.dumps(value, allow_nan=False), status=status, content_type="application/json"
    )


def _jpeg(picture: bytes) -> Response:
    # The address has a token that no other start has, so that it may be kept meanwhile.
    headers = {"Cache-Control": "private, max-age=3600"}
    return Response(picture, content_type="image/jpeg", headers=headers)


def _asked(keys: set[str], request: Request) -> dict[str, Any]:
    """Returns the JSON object of a request, which has these keys and no others."""
    if request.mimetype != "application/json":
        raise UnsupportedMediaType("Expected: application/json.")
    try:
        asked = json_value(request.get_data())
    except (ValueError, RecursionError) as error:
        raise UsageError(f"this is no JSON document: {error}") from error
    if not isinstance(asked, dict) or set(asked) != keys:
        raise UsageError(f"expected: an object with {', '.join(sorted(keys)) or 'no keys'}")
    return asked


def _typed(kind: Any, value: Any, name: str) -> Any:
    try:
        return typed(kind, value, name)
    except ValueError as error:
        raise UsageError(str(error)) from error
