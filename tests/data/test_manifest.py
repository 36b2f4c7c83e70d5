"""What a CSV file lists for heads of every kind, and what is said of its faults."""

from pathlib import Path

import numpy as np
import pytest

from tfft.config.data import ManifestData
from tfft.data.dataset import Source
from tfft.data.load import check_data, load_data
from tfft.data.sources.manifest import manifest_source
from tfft.errors import DataError
from tfft.system.progress import SILENT

_FOUR = {"label": "classification", "tags": "multi_label", "age": "regression", "box": "box"}


@pytest.fixture
def list_of(photo_folder: Path):
    """Writes a manifest beside the photos: a first line, and what follows each photo's path."""

    def write(columns: str, *lines: str, encoding: str = "utf-8") -> Path:
        names = ("cat/0.jpg", "cat/1.jpg", "dog/0.jpg", "dog/1.jpg", "owl/0.jpg")
        rows = [f"{name},{line}" for name, line in zip(names, lines, strict=False)]
        path = photo_folder / "list.csv"
        path.write_text("\n".join([f"path,{columns}", *rows, ""]), encoding=encoding)
        return path

    return write


def listed(path: Path, targets: dict[str, str]) -> Source:
    return manifest_source(ManifestData(kind="manifest", path=path), targets, SILENT)


def _faults(path: Path, targets: dict[str, str]) -> list[str]:
    with pytest.raises(DataError) as caught:
        listed(path, targets)
    return [line.removeprefix(str(path)) for line in str(caught.value).splitlines()]


def test_each_kind_of_head_has_a_column(list_of):
    path = list_of(
        "label,tags,age,box",
        "cat,wet|old,3.5,0.1 0.2 0.8 0.9",
        "cat,old,-2,0 0 1 1",
        "dog,,1e3,0.25 0.5 0.75 1",
    )
    source = listed(path, _FOUR)
    targets = source.index.targets
    assert targets["label"].tolist() == [0, 0, 1]
    assert targets["tags"].tolist() == [[1, 1], [1, 0], [0, 0]]
    assert targets["age"].tolist() == [[3.5], [-2], [1000]]
    np.testing.assert_array_equal(
        targets["box"], np.array([[0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1], [0.25, 0.5, 0.75, 1]], "f4")
    )
    assert {name: values.dtype.name for name, values in targets.items()} == {
        "label": "int64",
        "tags": "float32",
        "age": "float32",
        "box": "float32",
    }
    assert source.class_names == ("cat", "dog")
    assert source.other_names == {"tags": ("old", "wet")}
    assert source.index.box_targets == ("box",)


def test_a_number_and_a_box_may_be_missing_and_labels_may_be_none(list_of):
    path = list_of("label,tags,age,box", "cat,old,,", "dog, , ,  ")
    targets = listed(path, _FOUR).index.targets
    assert np.isnan(targets["age"]).all() and targets["age"].shape == (2, 1)
    assert np.isnan(targets["box"]).all() and targets["box"].shape == (2, 4)
    assert targets["tags"].tolist() == [[1], [0]]


def test_labels_are_told_apart_by_their_text_alone(list_of):
    path = list_of("tags", " wet | old ", "old|old", "|wet|", "New York|wet")
    source = listed(path, {"tags": "multi_label"})
    assert source.other_names == {"tags": ("New York", "old", "wet")}
    assert source.index.targets["tags"].tolist() == [[0, 1, 1], [0, 1, 0], [0, 0, 1], [1, 0, 1]]


def test_any_column_can_be_a_class(list_of):
    path = list_of("label,coat", "cat,short", "dog,long", "dog,short")
    source = listed(path, {"coat": "classification", "label": "classification"})
    assert source.other_names == {"coat": ("long", "short")}
    assert source.index.targets["coat"].tolist() == [1, 0, 1]
    assert source.index.targets["coat"].dtype == np.int64


def test_without_a_head_for_it_a_label_is_not_needed(list_of):
    path = list_of("age", "1", "2", "3", "4", "5")
    data = load_data(ManifestData(kind="manifest", path=path), targets={"age": "regression"})
    assert data.class_names == {"label": ("all",)}
    assert {split: len(index) for split, index in data.splits.items()} == {
        "train": 3,
        "validation": 1,
        "test": 1,
    }
    report = check_data(ManifestData(kind="manifest", path=path), targets={"age": "regression"})
    assert report.to_json()["class_sizes"] is None
    assert report.size_lines() == []


def test_columns_that_no_head_predicts_are_left_alone(list_of):
    path = list_of("label,notes,age", "cat,no number,nor here", "dog,,")
    assert listed(path, {"label": "classification"}).index.targets.keys() == {"label"}


def test_targets_stay_with_their_images_through_the_splits(list_of):
    path = list_of(
        "tags,age,box,split",
        *("a,1,0 0 1 1,test", "b,2,,train", "a,3,0 0 1 0.5,val", "b,,0 0 0.5 1,train", "a,5,,test"),
    )
    targets = {name: kind for name, kind in _FOUR.items() if name != "label"}
    data = load_data(ManifestData(kind="manifest", path=path), targets=targets)
    train, test = data.splits["train"], data.splits["test"]
    assert train.ids == ("cat/1.jpg", "dog/1.jpg") and test.ids == ("cat/0.jpg", "owl/0.jpg")
    np.testing.assert_array_equal(train.targets["age"], [[2], [np.nan]])
    np.testing.assert_array_equal(train.targets["box"], [[np.nan] * 4, [0, 0, 0.5, 1]])
    np.testing.assert_array_equal(test.targets["tags"], [[1, 0], [1, 0]])
    assert train.box_targets == ("box",)


def test_another_value_is_another_fingerprint(list_of):
    def fingerprint(*ages: str) -> str:
        path = list_of("age,split", *(f"{age},train" for age in ages))
        config = ManifestData(kind="manifest", path=path, validation_fraction=0)
        return load_data(config, targets={"age": "regression"}).fingerprint()

    assert fingerprint("1", "2", "3") == fingerprint("1.0", "2", "3")
    assert len({fingerprint("1", "2", a) for a in ("3", "4", "")}) == 3


@pytest.mark.parametrize(
    ("name", "kind", "text", "fault"),
    [
        ("age", "regression", "old", "must be a number."),
        ("age", "regression", "1 2", "must be a number."),
        ("age", "regression", "nan", "must be a number."),
        ("age", "regression", "-inf", "must be a number."),
        ("box", "box", "0 0 1", "must be four numbers, ymin xmin ymax xmax."),
        ("box", "box", "0 0 1 1 1", "must be four numbers, ymin xmin ymax xmax."),
        ("box", "box", "0 0 1 nan", "must be four numbers, ymin xmin ymax xmax."),
        ("box", "box", "0;0;1;1", "must be four numbers, ymin xmin ymax xmax."),
        ("box", "box", "10 20 90 80", "must be shares of the image,"),
        ("box", "box", "-0.1 0 1 1", "must be shares of the image,"),
        ("box", "box", "0.5 0 0.5 1", "must be shares of the image,"),
        ("box", "box", "0 0.6 1 0.4", "must be shares of the image,"),
    ],
)
def test_a_value_that_is_none_is_named_with_its_line(list_of, name, kind, text, fault):
    path = list_of(name, "", text)
    (line,) = _faults(path, {name: kind})
    assert line.startswith(f":3: {name} {fault}")
    assert line.endswith(f"Received: {text}")


def test_all_faults_come_at_once(list_of):
    path = list_of(
        "label,coat,age,box",
        *("cat,short,x,0 0 1 1", "dog,,3,0 0 2 1", ",long,4,", "dog,long,1 1,0 0"),
    )
    kinds = {
        "label": "classification",
        "coat": "classification",
        "age": "regression",
        "box": "box",
    }
    lines = _faults(path, kinds)
    assert [line.split(". Rec")[0][:33] for line in lines] == [
        ":2: age must be a number",
        ":3: path and label and coat must ",
        ":3: box must be shares of the ima",
        ":4: path and label and coat must ",
        ":5: age must be a number",
        ":5: box must be four numbers, ymi",
    ]


def test_a_column_that_is_missing_is_named(list_of):
    (line,) = _faults(list_of("label,age", "cat,1"), _FOUR)
    assert line == (
        ":1: the first line must name the columns path, label, tags, age, box and, if wanted, "
        "split; missing: tags, box. Received: path, label, age"
    )


def test_a_list_of_nothing_is_refused(list_of):
    for targets in (_FOUR, {"age": "regression"}):
        assert _faults(list_of("label,tags,age,box"), targets) == [
            " lists no images: each line after the first names one"
        ]


def test_columns_with_too_little_to_learn_are_named_at_once(list_of):
    path = list_of("label,coat,tags", "cat,short,", "cat,short,|")
    kinds = {"label": "classification", "coat": "classification", "tags": "multi_label"}
    assert _faults(path, kinds) == [
        ": label needs two classes or more. Received: cat",
        ": coat needs two classes or more. Received: short",
        ": tags is empty on every line; put its labels there, | between them",
    ]


def test_a_list_may_be_of_images_to_evaluate_on_alone(list_of):
    path = list_of("label,split", "cat,test", "cat,test", "dog,test")
    data = load_data(ManifestData(kind="manifest", path=path))
    assert {split: len(index) for split, index in data.splits.items()} == {"test": 3}


def test_excel_s_mark_at_the_start_is_no_part_of_a_name(list_of):
    path = list_of("label,age", "cat,1", "dog,2", encoding="utf-8-sig")
    targets = {"label": "classification", "age": "regression"}
    assert listed(path, targets).index.targets["age"].tolist() == [[1], [2]]


def test_a_head_of_the_wrong_kind_is_told_what_the_data_have(photo_folder: Path):
    from tfft.config.data import ImageFolderData

    folder = ImageFolderData(kind="image_folder", path=photo_folder)
    with pytest.raises(DataError) as caught:
        load_data(folder, targets={"label": "multi_label", "lable": "classification"})
    assert str(caught.value).splitlines() == [
        "a head of kind multi_label predicts 'label', which is a classification; "
        f"{photo_folder.name} has label (classification).",
        "a head of kind classification predicts 'lable', which the data do not have; "
        f"{photo_folder.name} has label (classification). Did you mean 'label'?",
    ]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ("label,label", "the first line names a column twice: label"),
        ("label,split,split", "the first line names a column twice: split"),
        ("label,Split", "a column of splits is called split, .* Received: 'Split'"),
        ("label, split", "a column of splits is called split, .* Received: ' split'"),
    ],
)
def test_a_column_that_could_be_meant_otherwise_is_refused(list_of, columns, message):
    line = ",".join(["cat", "test", "test"][: columns.count(",") + 1])
    with pytest.raises(DataError, match=rf"list\.csv:1: {message}"):
        listed(list_of(columns, line), {"label": "classification"})


def test_a_line_has_a_value_for_each_column(list_of):
    path = list_of("label,split", "cat,train", "dog, brown,train", "dog", '"owl, brown",test')
    quotes = "values than the first line names columns; a text with a comma in it stands in quotes"
    assert _faults(path, {"label": "classification"})[:2] == [
        f":3: has more {quotes}",
        f":4: has fewer {quotes}",
    ]


def test_a_quote_that_does_not_end_is_no_csv(list_of):
    path = list_of("label", "cat", "dog", '"dog', "cat")
    with pytest.raises(DataError, match="is no CSV file in UTF-8: unexpected end of data"):
        listed(path, {"label": "classification"})


def test_of_very_many_faults_the_first_are_shown(photo_folder):
    path = photo_folder / "list.csv"
    path.write_text("path,label\n" + "".join(f"gone/{n}.jpg,cat\n" for n in range(1000)))
    faults = _faults(path, {"label": "classification"})
    assert len(faults) == 31 and faults[-1] == "… and 970 more faults"
