"""The state of a desk as the JSON that its page reads."""

from collections import Counter
from dataclasses import replace
from typing import Any

from tfft.desk.state import Desk, View

# Photos that one is a copy of and that are shown beside it.
_COPIES = 3


def state_json(desk: Desk) -> dict[str, Any]:
    """Returns all but the photos: classes with their sizes, counts, the job, the last training."""
    places = range(len(desk.photos))
    sizes = Counter(desk.label(place) for place in places)
    own = dict(zip(desk.photos.index.ids, desk.photos.labels, strict=True))
    decided = {p: label for p, label in desk.decisions.labels.items() if p in own}
    of_photos = (desk.findings or {}).values()
    kinds = Counter(kind for found in of_photos for kind in {f["kind"] for f in found})
    last, job = desk.decisions.last, desk.jobs.last
    return {
        "name": desk.photos.name,
        "edition": desk.photos.first,
        "labels_file": str(desk.decisions.file),
        "notes": list(desk.photos.notes),
        "classes": [
            {"name": name, "photos": sizes[name], "new": name not in desk.photos.class_names}
            for name in desk.class_names()
        ],
        "counts": {
            "photos": len(desk.photos),
            "decided": len(decided),
            "relabelled": sum(label not in ("", own[p]) for p, label in decided.items()),
            "removed": sum(not label for label in decided.values()),
            "confirmed": sum(label == own[p] for p, label in decided.items()),
            "mistakes": len(desk.matching(View("mistakes"))) if desk.answers else None,
            "audit": None if desk.findings is None else len(desk.matching(View("audit"))),
        },
        "kinds": [
            {"kind": kind, "name": desk.kinds.get(kind, kind), "photos": photos}
            for kind, photos in kinds.items()
        ],
        "unseen": desk.unseen,
        "undo": None if last is None else {"label": last.label, "photos": len(last.after)},
        "run": None if desk.run is None else str(desk.run),
        "job": None if job is None else job.to_json(),
        "training": desk.training,
    }


def photos_json(desk: Desk, view: View, start: int, count: int) -> dict[str, Any]:
    """Returns some photos of a view, and where those before and after them begin.

    A photo keeps its rank in a view when others are decided about, so that none is passed over
    where those that are decided are left out.

    Args:
        desk: The desk.
        view: Which photos are shown.
        start: Rank from which photos are returned.
        count: How many are returned at most.
    """
    every = desk.matching(replace(view, undecided=False))
    left = set(desk.matching(view))
    shown = [(rank, place) for rank, place in enumerate(every) if place in left]
    first = next((k for k, (rank, _) in enumerate(shown) if rank >= start), len(shown))
    after = first + count
    return {
        "edition": desk.photos.first,
        "total": len(shown),
        "before": first,
        "previous": shown[max(0, first - count)][0] if first else None,
        "next": shown[after][0] if after < len(shown) else None,
        "photos": [photo_json(desk, place) for _, place in shown[first:after]],
    }


def photo_json(desk: Desk, place: int) -> dict[str, Any]:
    """Returns what is known of a photo, with the numbers of photos that it is a copy of."""
    path, known = desk.photos.index.ids[place], desk.photos.places
    findings = (desk.findings or {}).get(path, [])
    return {
        "number": desk.photos.first + place,
        "path": path,
        "split": desk.photos.splits[place],
        "own": desk.photos.labels[place],
        "label": desk.label(place),
        "decided": path in desk.decisions.labels,
        "answers": desk.answers.get(path, []),
        "findings": [
            {
                **finding,
                "copies": [
                    {"number": desk.photos.first + known[like], "label": desk.label(known[like])}
                    for like in finding["like"][:_COPIES]
                    if like in known
                ],
            }
            for finding in findings
        ],
    }
