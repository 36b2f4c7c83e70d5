"""Which phases are cached, what for, and what one pass over the images yields."""

import hashlib
import shutil
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from small_classifier import SIZE_PX, small_classifier

from tfft.config.recipe import Recipe
from tfft.data.examples import Images
from tfft.data.index import index_of_files
from tfft.errors import RecipeError
from tfft.images.spec import PixelSpec
from tfft.system.progress import SILENT, Progress
from tfft.transfer.frozen.function import fastest_function
from tfft.transfer.frozen.part import CutContent, FrozenPart, View
from tfft.transfer.plan.plan import FreezePlan, make_plan, plans_of_one_pass
from tfft.transfer.plan.too_large import solvable_recipe

_HEADS = {"unfreeze": "none", "epochs": 2, "learning_rate": 0.01}
_LAST = {"unfreeze": {"last_blocks": 1}, "epochs": 2, "learning_rate": 0.01}
_ALL = {"unfreeze": "all", "epochs": 2, "learning_rate": 0.01}
_LINEAR = {"solver": "linear"}
_IMAGES = {"train": 100, "validation": 20}


def _recipe(*phases: Mapping[str, object], **cache: object) -> Recipe:
    return Recipe.model_validate(
        {
            "name": "small",
            "data": {"kind": "digits"},
            "backbone": {"kind": "lite"},
            "train": {"phases": phases, "cache": cache},
        }
    )


def _plan(*phases: Mapping[str, object], decided=(), **cache: object) -> FreezePlan:
    return make_plan(_recipe(*phases, **cache), small_classifier(), _IMAGES, decided)


@pytest.mark.parametrize(
    ("phase", "cache", "cached", "reason"),
    [
        (_HEADS, {}, True, "computed once for all epochs"),
        (_LAST, {}, True, "computed once for all epochs"),
        (_ALL, {}, False, "nothing is frozen"),
        (_LAST, {"mode": "off"}, False, "mode: off"),
        (_LINEAR, {"mode": "off"}, True, "a solved phase"),
        ({**_LAST, "mix": {"kind": "mixup"}}, {"mode": "on"}, False, "images are mixed"),
        ({**_LAST, "epochs": 1}, {}, False, "one pass"),
        ({**_LAST, "epochs": 1}, {"mode": "on"}, True, "mode: on"),
        ({**_LAST, "augment": "flip"}, {}, False, "train.cache.views"),
        ({**_LAST, "augment": "flip"}, {"views": 1}, True, "1 augmented view of each"),
        ({**_LAST, "augment": "flip"}, {"views": 2}, False, "as much as 2 epochs"),
        (_LAST, {"max_gb": 1e-6}, False, "more than train.cache.max_gb"),
    ],
)
def test_a_phase_is_cached_where_it_is_exact_and_pays(phase, cache, cached: bool, reason: str):
    (plan,) = _plan(phase, **cache).phases
    assert plan.cached == cached
    assert reason in plan.reason
    assert (plan.cache_bytes > 0) == cached


def test_the_plan_says_what_the_cache_will_take():
    heads, last = _plan(_HEADS, _LAST).phases
    assert heads.cut_shapes == ((6,),)
    assert heads.cache_bytes == 120 * 6 * 4
    assert last.cut_shapes == ((SIZE_PX, SIZE_PX, 4),)
    (halved,) = _plan({**_HEADS, "augment": "flip", "epochs": 4}, views=3, dtype="float16").phases
    assert halved.cache_bytes == (3 * 100 + 20) * 6 * 2


@pytest.mark.parametrize(("images", "read_again"), [(10**6, False), (10**8, True)])
def test_the_plan_says_when_a_solver_reads_the_features_in_each_pass(images: int, read_again: bool):
    counts = {"train": images, "validation": 0}
    linear = {**_LINEAR, "inverse_regularization": [0.1]}
    (plan,) = make_plan(_recipe(linear), small_classifier(), counts).phases
    assert plan.reason.endswith("in each pass of the solver") == read_again


def test_a_bound_too_small_for_a_phase_that_must_be_cached_is_a_fault():
    with pytest.raises(RecipeError, match=r"train.cache.max_gb: phase 1 needs .* GB"):
        _plan(_LINEAR, max_gb=1e-6)


def test_a_resumed_run_keeps_what_was_decided_when_it_was_started():
    (plan,) = _plan(_LAST, decided=[False]).phases
    assert not plan.cached
    assert "when the run was started" in plan.reason
    not_now = {**_LAST, "epochs": 1}
    (plan,) = _plan(not_now, decided=[True]).phases
    assert plan.cached
    assert plan.cache_bytes == 120 * SIZE_PX * SIZE_PX * 4 * 4


def test_a_single_epoch_is_cached_where_an_earlier_pass_yields_its_tensors():
    once = {**_LAST, "epochs": 1}
    assert [phase.cached for phase in _plan(_LINEAR, once).phases] == [True, True]
    assert [phase.cached for phase in _plan(_ALL, once).phases] == [False, False]


def test_one_pass_serves_later_phases_whose_frozen_part_stays_as_it_is():
    def shared(*phases: Mapping[str, object], max_gb: float = 20) -> list[int]:
        plans = _plan(*phases).phases
        return [plan.number for plan in plans_of_one_pass(plans, plans[0], max_gb)]

    assert shared(_LINEAR, _LAST) == [1, 2]
    assert shared(_LINEAR, _HEADS, _LAST) == [1, 3]
    assert shared(_LINEAR, _ALL, _LAST) == [1]
    assert shared(_LINEAR, {**_LAST, "augment": "flip"}) == [1]
    assert shared(_LINEAR, _LAST, max_gb=1e-6) == [1]


@pytest.fixture(scope="module")
def examples(pictures) -> Images:
    files = sorted(file for file in pictures.rglob("*") if file.is_file())
    names, labels = [file.name for file in files], np.zeros(len(files), np.int64)
    digests = b"".join(hashlib.sha256(file.read_bytes()).digest() for file in files)
    index = index_of_files(files, names, labels)
    index = replace(index, digests=np.frombuffer(digests, np.uint8).reshape(-1, 32))
    return Images(index, PixelSpec(SIZE_PX, SIZE_PX))


class _Told:
    """Progress that keeps what it is told, and how many examples are computed."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self.messages: list[str] = []
        self.computed = 0

    def start(self, description: str, total: int | None, unit: str = "images") -> "_Told":
        return self

    def advance(self, steps: int = 1, **figures: float) -> None:
        self.computed += steps

    def close(self) -> None:
        pass

    def message(self, text: str) -> None:
        self.messages.append(text)


def _frozen(*cuts: int, told: Progress = SILENT) -> FrozenPart:
    about = [{"what": "features" if cut == 2 else f"cut {cut}"} for cut in cuts]
    model = small_classifier()
    contents = [
        CutContent({"cut": cut}, text, model.cut_shapes(cut))
        for cut, text in zip(cuts, about, strict=True)
    ]
    config = _recipe(_HEADS).train.cache
    return FrozenPart(partial(fastest_function, model.below(cuts)), contents, config, told)


def _read(
    frozen: FrozenPart, examples: Images, view: View | None = None, split: str = "train"
) -> np.ndarray:
    with closing(frozen.outputs(examples, split, view)) as rows:
        return rows.tensors[0][:]


@pytest.fixture(scope="module")
def computed(examples: Images, tmp_path_factory) -> tuple[Path, np.ndarray, FrozenPart, _Told]:
    """A cache with the features of the first 20 of 24 examples, those of all, and what made them.

    Its progress is told of all that is computed.
    """
    place, told = tmp_path_factory.mktemp("computed"), _Told()
    frozen = _frozen(2, told=told)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TFFT_CACHE_DIR", str(place / "all"))
        every = _read(frozen, examples)
        patch.setenv("TFFT_CACHE_DIR", str(place / "some"))
        _read(frozen, examples.take(np.arange(20)))
    return place / "some", every, frozen, told


@pytest.mark.parametrize(
    ("positions", "split", "computed_now", "said"),
    [
        (range(20), "train", 0, "20 training images: features from the cache"),
        (range(19, 9, -1), "train", 0, "10 training images: features from the cache"),
        ((3, 7, 3), "validation", 0, "3 validation images: features from the cache"),
        ((21, 5, 21, 23), "train", 2, "4 training images: 2 features from the cache, 2 computed"),
    ],
    ids=["same", "fewer, in another order", "another split", "added, one of them twice"],
)
def test_only_examples_without_features_are_computed_as_one_pass_would_have(
    examples, computed, tmp_path, monkeypatch, positions, split, computed_now, said
):
    place, every, frozen, told = computed
    told.forget()
    shutil.copytree(place, tmp_path / "cache")
    monkeypatch.setenv("TFFT_CACHE_DIR", str(tmp_path / "cache"))
    features = _read(frozen, examples.take(np.array(positions)), split=split)
    np.testing.assert_array_equal(features, every[list(positions)])
    assert told.computed == computed_now
    assert told.messages == [said]


def test_labels_names_and_places_do_not_decide_features(examples, computed, tmp_path, monkeypatch):
    place, every, frozen, told = computed
    monkeypatch.setenv("TFFT_CACHE_DIR", str(place))
    told.forget()
    moved = [Path(shutil.copy(file, tmp_path)) for file in reversed(examples.index.files[:20])]
    index = index_of_files(moved, [file.stem for file in moved], np.ones(20))
    digests = np.ascontiguousarray(examples.index.digests[:20][::-1])
    again = Images(replace(index, digests=digests), examples.pixels)
    np.testing.assert_array_equal(_read(frozen, again), every[:20][::-1])
    assert told.computed == 0


def test_a_pass_keeps_the_tensors_of_every_cut(examples, tmp_path, monkeypatch):
    monkeypatch.setenv("TFFT_CACHE_DIR", str(tmp_path / "one"))
    features = _read(_frozen(2, 1), examples)
    other = _frozen(1)
    monkeypatch.setattr(other, "_compute", None)  # it is there already
    activations = _read(other, examples)
    monkeypatch.setenv("TFFT_CACHE_DIR", str(tmp_path / "each"))
    np.testing.assert_allclose(features, _read(_frozen(2), examples), atol=1e-5)
    np.testing.assert_allclose(activations, _read(_frozen(1), examples), atol=1e-5)


@pytest.mark.slow
def test_views_differ_from_each_other_and_stay_the_same(examples, tmp_path, monkeypatch):
    def views(place: str) -> list[np.ndarray]:
        monkeypatch.setenv("TFFT_CACHE_DIR", str(tmp_path / place))
        frozen = _frozen(1)
        return [_read(frozen, examples, View("random_crop", 3, number)) for number in (0, 1)]

    first, second = views("a")
    assert not np.allclose(first, second)
    np.testing.assert_array_equal(views("b"), [first, second])
    told, order = _Told(), np.array([5, 3, 3, 0])
    again = _read(_frozen(1, told=told), examples.take(order), View("random_crop", 3, 0))
    assert told.computed == 1  # a copy is seen differently
    np.testing.assert_array_equal(again[[0, 1, 3]], first[[5, 3, 0]])
    assert not np.allclose(again[2], again[1])


def test_heads_that_take_too_much_memory_to_solve_are_trained_by_steps(
    monkeypatch: pytest.MonkeyPatch,
):
    classifier, recipe, told = small_classifier(), _recipe(_LINEAR), _Told()
    sizes = {name: head.size for name, head in classifier.heads.items()}
    features = classifier.cut_shapes(len(classifier.backbone.blocks))
    assert solvable_recipe(recipe, features, sizes, told) == recipe
    monkeypatch.setattr("tfft.transfer.plan.too_large.memory_bytes", lambda: 2_000)
    changed = solvable_recipe(recipe, features, sizes, told)
    (phase,) = make_plan(changed, classifier, _IMAGES).phases
    assert (phase.config.unfreeze, phase.config.epochs) == ("none", 20)
    (message,) = told.messages
    assert "when_too_large: solve" in message
    kept = _recipe({**_LINEAR, "when_too_large": "solve"})
    assert solvable_recipe(kept, features, sizes, told) == kept
