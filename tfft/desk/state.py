"""All that a desk knows: photos, decisions, what an audit and a model say, and what is shown."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import RLock
from typing import Any

from tfft.data.labels import new_class_fault
from tfft.data.labels_journal import JOURNAL
from tfft.desk.decisions import Decisions, stamp
from tfft.desk.job import Jobs
from tfft.desk.photos import Photos, load_photos
from tfft.desk.recipe import recipe_of_desk
from tfft.errors import UsageError
from tfft.system.progress import SILENT

# What a person may ask to see, beside all photos.
SHOWN = ("audit", "all", "mistakes", "relabelled", "removed", "confirmed", "only_new", "only_old")


@dataclass(frozen=True)
class View:
    """Which photos are shown.

    Attributes:
        show: One of `SHOWN`.
        label: Photos that came with this label or have it now; "" for any.
        kind: Kind of the audit's findings; "" for any.
        search: Part of the path, in any case; "" for any.
        undecided: Leave out what was decided about.
    """

    show: str = "all"
    label: str = ""
    kind: str = ""
    search: str = ""
    undecided: bool = False


@dataclass
class Desk:
    """The state of a desk; the server asks and changes it.

    Attributes:
        data: The folder or manifest.
        photos: The photos.
        decisions: What was decided about them.
        run: The run whose model answers; None until there is one.
        findings: What the audit found of each photo, by path, in the order of its list; None until
            there was one.
        kinds: Names of the kinds of its findings, as they are shown.
        answers: The likeliest classes with their probabilities, by path; empty until a model was
            asked.
        unseen: Whether each answer is that of a model that was not trained on the photo.
        training: Result of the last training: metrics and comparison; None until there was one.
    """

    data: Path
    photos: Photos
    decisions: Decisions
    run: Path | None = None
    findings: dict[str, list[dict[str, Any]]] | None = None
    kinds: dict[str, str] = field(default_factory=dict)
    answers: dict[str, list[tuple[str, float]]] = field(default_factory=dict)
    unseen: bool = False
    training: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        self.jobs = Jobs(self._take)
        # Held by whoever needs photos and what is known of them to belong together.
        self.lock = RLock()
        self._stamp, self._may_differ = self._stamp_of_data(), False

    def refresh(self) -> None:
        """Takes in what others changed: the labels file, and the photos where they were moved.

        Photos are listed again when labels were applied to their folder or the manifest was
        written, after an audit or a training, and when `miss` was called.

        Raises:
            DataError: There is no labels file or there are no photos any more.
        """
        self.decisions.refresh()
        seen = self._stamp_of_data()
        if not self._may_differ and seen == self._stamp:
            return
        self._may_differ = False
        found = load_photos(recipe_of_desk(self.data, self.run, None), SILENT)
        before = self.photos
        self.decisions.forget(before.places.keys() - found.places.keys())
        first = before.first if found.are(before) else before.first + len(before)
        self.photos, self._stamp = replace(found, first=first), seen

    def miss(self) -> None:
        """Notes that a photo is not there any more, so that all are listed again."""
        self._may_differ = True

    def _stamp_of_data(self) -> tuple[int, int]:
        return stamp(self.data / JOURNAL if self.data.is_dir() else self.data)

    def begin(self, kind: str) -> None:
        """Starts an audit or a training.

        Raises:
            TfftError: Another job is running.
        """
        self.jobs.begin(
            kind,
            data=str(self.data.absolute()),
            run=None if self.run is None else str(self.run.absolute()),
            labels=str(self.decisions.file.absolute()),
        )

    def _take(self, kind: str, result: dict[str, Any]) -> None:
        """Takes the result of a job, which may have found other photos than there were."""
        with self.lock:
            self._may_differ = True
            self.answers, self.unseen = result["answers"], result["unseen"]
            if kind == "audit":
                found: dict[str, list[dict[str, Any]]] = {}
                for finding in result["findings"]:
                    found.setdefault(finding["path"], []).append(finding)
                self.findings, self.kinds = found, result["kinds"]
            else:
                self.training = {**result["training"], "before": self.run and str(self.run)}
                self.run = Path(result["training"]["run"])

    def label(self, place: int) -> str:
        """Returns the label that a photo has now; "" if it is removed."""
        return self.decisions.labels.get(self.photos.index.ids[place], self.photos.labels[place])

    def class_names(self) -> list[str]:
        """Returns the classes that there are or were: those of the photos, then new ones."""
        known = dict.fromkeys(self.photos.class_names)
        new = set(self.decisions.labels.values()) - set(known) - {""}
        return [*known, *sorted(new)]

    def require_label(self, label: str | None) -> None:
        """Requires that a label can be given: a class, a name for a new one, "" or None.

        Raises:
            UsageError: No class can be called so.
        """
        if label and label not in self.photos.class_names and (fault := new_class_fault(label)):
            raise UsageError(fault)

    def matching(self, view: View) -> list[int]:
        """Returns the places of the photos of a view, in the order in which they are shown."""
        places: Iterable[int] = range(len(self.photos))
        if view.show == "audit":
            known = self.photos.places
            places = [known[path] for path in self.findings or {} if path in known]
        return [place for place in places if self._matches(place, view)]

    def _matches(self, place: int, view: View) -> bool:
        path, own = self.photos.index.ids[place], self.photos.labels[place]
        decided = self.decisions.labels.get(path)
        now = own if decided is None else decided
        if view.label and view.label not in (own, now):
            return False
        if view.search and view.search.casefold() not in path.casefold():
            return False
        found = (self.findings or {}).get(path, [])
        if view.kind and view.kind not in {finding["kind"] for finding in found}:
            return False
        if view.undecided and decided is not None:
            return False
        if view.show == "mistakes":
            answers = self.answers.get(path, [])
            return bool(answers) and own != answers[0][0]
        if view.show in ("only_new", "only_old"):
            return path in (self.training or {}).get("comparison", {}).get(view.show, ())
        kinds = {
            "relabelled": bool(decided) and decided != own,
            "removed": decided == "",
            "confirmed": decided == own,
        }
        return kinds.get(view.show, True)
