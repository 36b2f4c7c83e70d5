"""What is said of data besides their bad files: duplicates, sizes of classes, what is ignored."""

from sample_pictures import encoded, picture

from tfft.config.data import ImageFolderData
from tfft.data.dataset import DataReport
from tfft.data.load import check_data, load_data
from tfft.data.notes import Kind, Notes


def folder(path, **values) -> ImageFolderData:
    return ImageFolderData(kind="image_folder", path=path, **values)


class Told:
    """A progress that remembers its messages."""

    def __init__(self):
        self.messages = []

    def start(self, description, total, unit="images"):
        return self

    def advance(self, steps=1, **values):
        pass

    def close(self):
        pass

    def message(self, text):
        self.messages.append(text)


def test_like_notes_are_one_with_their_number_and_an_example():
    notes = Notes()
    empty = Kind("{} is empty", "{count:,} folders are empty, such as {}")
    for number in range(1_234):
        notes.add(empty, f"{{{number}}}")
    notes.add(Kind("{} is odd", ""), "owl")
    assert notes.lines() == ("1,234 folders are empty, such as {0}", "owl is odd")


def test_what_is_found_is_told_to_who_loads_the_images(photo_folder):
    for number in range(3):
        (photo_folder / f"{number}.txt").touch()
    (photo_folder / "cat" / "broken.jpg").symlink_to("gone.jpg")
    told = Told()
    data = load_data(folder(photo_folder, on_bad_image="skip"), told)
    assert list(data.notes) == told.messages
    assert data.notes == (
        "3 files are ignored, such as 0.txt: they are in no class folder",
        "no test image of: owl",
        "left out: 1 file, such as cat/broken.jpg: a broken link: there is no gone.jpg",
    )
    assert data.to_json()["notes"] == told.messages


def test_images_under_two_labels_are_named_up_to_a_number(tmp_path):
    for label in ("cat", "dog"):
        (tmp_path / label).mkdir()
        for number in range(12):
            image = encoded(picture(20 + number, 20), "PNG")
            (tmp_path / label / f"{number}.png").write_bytes(image)
    told = Told()
    load_data(folder(tmp_path), told)
    lines = told.messages[0].splitlines()
    assert lines[0] == "24 images lie under two labels, byte for byte the same:"
    assert (len(lines), lines[-1]) == (12, "  … 14 more")


def test_a_check_says_which_images_occur_twice_and_where(photo_folder):
    copy = photo_folder / "dog" / "0 copy.jpg"
    copy.write_bytes((photo_folder / "dog" / "0.jpg").read_bytes())
    report = check_data(folder(photo_folder))
    ((first, second),) = report.to_json()["duplicates"]
    assert {first["path"], second["path"]} == {"dog/0.jpg", "dog/0 copy.jpg"}
    for place in (first, second):
        assert place["split"] in report.counts
    (line,) = report.duplicate_lines()
    assert line == (
        f"the same image: {first['path']} ({first['split']}), {second['path']} ({second['split']})"
    )


def test_a_check_says_how_unequal_classes_are_and_which_are_not_tested(photo_folder):
    report = check_data(folder(photo_folder))
    assert report.to_json()["class_sizes"] == {
        "smallest": {"name": "owl", "images": 1},
        "largest": {"name": "cat", "images": 8},
        "ratio": 8.0,
    }
    assert report.size_lines() == ["1 (owl) to 8 (cat) images a class, 8 times as many"]
    assert report.to_json()["untested"] == ["owl"]
    assert "no test image of: owl" in report.notes
    assert check_data(folder(photo_folder, test_fraction=0)).untested == ()


def test_many_classes_without_images_are_one_note(tmp_path):
    for number in range(6):
        label = tmp_path / f"class {number}"
        label.mkdir()
        (label / "a.png").write_bytes(encoded(picture(20 + number, 20), "PNG"))
    for number in range(9):
        (tmp_path / "class 5" / f"{number}.png").write_bytes(
            encoded(picture(30 + number, 20), "PNG")
        )
    notes = check_data(folder(tmp_path)).notes
    assert notes == ("no test image of: 5 classes, such as class 0",)


def test_classes_of_equal_sizes_are_said_to_be_so():
    counts = {"train": {"cat": 2, "dog": 3}, "test": {"cat": 1}}
    report = DataReport("photos", counts, bad=())
    assert report.size_lines() == ["3 images in each class"]
