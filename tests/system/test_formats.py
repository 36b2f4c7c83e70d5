"""Numbers of formats: each older one has a reader, a newer one is refused by name."""

import json

import numpy as np
import pytest

from tfft.errors import ModelFileError, NewerFormatError
from tfft.system import formats
from tfft.system.formats import BEFORE_REFIT, MODEL, RUN, Format
from tfft.version import __version__

ALL = {name: value for name, value in vars(formats).items() if isinstance(value, Format)}

# Values without which a file is damaged.
NEEDED = {
    "CONVERTED": {"bytes": 3, "sha256": "ab", "outputs": [], "reason": ""},
    "TEMPLATE": {"files": {}, "values": {}},
    "APPLIED_LABELS": {"entries": []},
}


@pytest.mark.parametrize("name", ALL)
def test_what_is_written_has_the_number_and_is_read_without_it(name, tmp_path):
    file = tmp_path / "file.json"
    values = {"key": {}, **NEEDED.get(name, {})}
    ALL[name].write(file, values)
    written = json.loads(file.read_text())
    assert len(written.pop("crc32")) == 8
    assert written == {"format": ALL[name].number, **values}
    assert ALL[name].read(file) == values


@pytest.mark.parametrize("name", ALL)
def test_a_newer_number_is_refused_with_both_numbers_and_what_to_do(name, tmp_path):
    file = tmp_path / "file.json"
    number = ALL[name].number
    file.write_text(json.dumps({"format": number + 1, "key": "value"}))
    with pytest.raises(NewerFormatError) as refused:
        ALL[name].read(file)
    assert str(refused.value) == (
        f"{file} is {ALL[name].what} in format {number + 1}; tfft {__version__} reads formats "
        f"up to {number}. Upgrade tfft: pip install --upgrade tfft"
    )
    assert refused.value.exit_code == 2


def test_each_reader_turns_one_number_into_the_next():
    steps = Format("steps", (lambda v: v | {"a": 1}, lambda v: v | {"b": v["a"] + 1}))
    assert steps.number == 2
    assert steps.upgraded({}, "here") == {"a": 1, "b": 2}
    assert steps.upgraded({"format": 1, "a": 5}, "here") == {"a": 5, "b": 6}
    assert steps.upgraded({"format": 2}, "here") == {}


def test_pixels_have_become_an_input():
    assert MODEL.upgraded({"name": "a", "pixels": {"height": 3}}, "here") == {
        "name": "a",
        "input": {"kind": "image", "height": 3},
    }


def test_a_head_may_be_called_format():
    """Before there were numbers, answers had the names of their heads."""
    answers = np.ones((2, 3))
    upgraded = BEFORE_REFIT.upgraded({"format": answers, "label": answers}, "here")
    assert upgraded.keys() == {"outputs/format", "outputs/label"}
    stamped = {name: np.asarray(value) for name, value in BEFORE_REFIT.stamped(upgraded).items()}
    assert BEFORE_REFIT.upgraded(stamped, "here").keys() == upgraded.keys()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1], "here is not the record of a run: it has no names for its values"),
        ({"format": "new"}, "here is not the record of a run: its format is no number"),
        ({"format": -1}, "here is not the record of a run: its format is no number"),
        ({"format": 1.5}, "here is not the record of a run: its format is no number"),
    ],
)
def test_what_has_another_form_is_named(values, message):
    with pytest.raises(ModelFileError, match=message):
        RUN.upgraded(values, "here")


def test_a_value_that_was_changed_is_no_value(tmp_path):
    file = tmp_path / "run.json"
    RUN.write(file, {"status": "finished", "seed": 0})
    file.write_text(file.read_text().replace('"seed": 0', '"seed": 1'))
    with pytest.raises(ModelFileError, match=r"run.json is damaged: .*changed it by hand, remove"):
        RUN.read(file)
    RUN.write(file, json.loads(file.read_text()))
    assert RUN.read(file)["seed"] == 1


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"status": 3}, "is not the record of a run: status must be text"),
        ({"data": {"fingerprint": []}}, "data.fingerprint must be text"),
        ({"exports": {}}, "exports must be a list"),
    ],
)
def test_without_a_checksum_values_have_their_types(values, message, tmp_path):
    file = tmp_path / "run.json"
    file.write_text(json.dumps(values))
    with pytest.raises(ModelFileError, match=message):
        RUN.read(file)


def test_a_value_that_is_missing_names_the_file(tmp_path):
    file = tmp_path / "run.json"
    file.write_text('{"machine": {}}')
    with pytest.raises(ModelFileError, match=r"run.json is damaged: it has no 'processors'"):
        RUN.read(file)["machine"]["processors"]
