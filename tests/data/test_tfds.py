"""Sets of TensorFlow Datasets are read where they lie, and refused with what to do."""

import io
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import scipy.io
from sample_pictures import encoded, picture

from tfft.config.data import TfdsData
from tfft.data import scan
from tfft.data.graph.pipeline import evaluation_batches
from tfft.data.load import check_data, load_data
from tfft.data.sources import tfds_quiet, tfds_source
from tfft.data.sources.stanford_dogs import StanfordDogsArchives
from tfft.data.sources.tfds_quiet import quiet_preparation, tensorflow_datasets
from tfft.errors import DataError
from tfft.images.pixels import encoded_to_pixels
from tfft.images.spec import PixelSpec

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
BREEDS = ("n01-Poodle", "n02-Beagle", "n03-Boxer")


def config(**values) -> TfdsData:
    return TfdsData(kind="tfds", **{"name": "stanford_dogs", **values})


def add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def annotation(height: int, width: int, boxes: list[tuple[int, int, int, int]]) -> bytes:
    objects = "".join(
        f"<object><bndbox><xmin>{x0}</xmin><ymin>{y0}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax>"
        "</bndbox></object>"
        for y0, x0, y1, x1 in boxes
    )
    size = f"<size><width>{width}</width><height>{height}</height></size>"
    return f"<annotation>{size}{objects}</annotation>".encode()


def listing(files: list[str]) -> bytes:
    content = io.BytesIO()
    cells = np.array(files, dtype=object).reshape(-1, 1)
    scipy.io.savemat(content, {"file_list": cells})
    return content.getvalue()


def write_archives(directory, leave_out: str = "") -> None:
    """Three breeds with four photos each, two for training; Boxer has none for training."""
    files = {"train": [], "test": []}
    with (
        tarfile.open(directory / "images.tar", "w") as images,
        tarfile.open(directory / "annotation.tar", "w") as annotations,
    ):
        for breed in BREEDS:
            for number in range(4):
                height, width = 60 + number, 80 + len(breed)
                name = f"{breed}/{breed.split('-')[0]}_{number}"
                split = "train" if number < 2 and breed != "n03-Boxer" else "test"
                files[split].append(f"{name}.jpg")
                boxes = [(0, 0, 5, 5), (10, 20, 50, 70)]
                add(annotations, f"Annotation/{name}", annotation(height, width, boxes))
                if name != leave_out:
                    photo = encoded(picture(height, width), "JPEG")
                    add(images, f"Images/{name}.jpg", photo)
    with tarfile.open(directory / "lists.tar", "w") as lists:
        for split, listed in files.items():
            add(lists, f"{split}_list.mat", listing(listed))


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    directory = tmp_path_factory.mktemp("archives")
    write_archives(directory)
    return directory


def test_a_declared_subset_is_prepared_from_its_archives(archives):
    data = load_data(config(archives=archives, subset=True, validation_fraction=0))
    assert data.class_names == {"label": tuple(breed.lower() for breed in BREEDS)}
    assert {split: len(index) for split, index in data.splits.items()} == {"train": 4, "test": 8}
    assert data.notes[0] == "no training image of: n03-boxer"
    index = data.splits["train"]
    with tarfile.open(archives / "images.tar") as images:
        for position, image_id in enumerate(index.ids):
            assert index.read(position) == images.extractfile(image_id).read()


def test_boxes_are_the_annotated_ones_the_largest_first(archives):
    index = load_data(config(archives=archives, subset=True, crop_to_box=True)).splits["test"]
    position = index.ids.index("Images/n02-Beagle/n02_3.jpg")
    np.testing.assert_allclose(index.boxes[position], [10 / 63, 20 / 90, 50 / 63, 70 / 90], 1e-6)
    (batch,) = evaluation_batches(index, PixelSpec(20, 20), 32)
    exact = encoded_to_pixels(index.read(position), PixelSpec(20, 20), index.boxes[position])
    np.testing.assert_allclose(batch["inputs"][position], exact, atol=0.001)


def must_not_happen(*_, **__):
    raise AssertionError("this work is not necessary")


def test_the_second_time_nothing_is_prepared_or_read_again(archives, monkeypatch):
    first = load_data(config(archives=archives, subset=True))
    monkeypatch.setattr(StanfordDogsArchives, "prepared", must_not_happen)
    monkeypatch.setattr(tfds_source, "tensorflow_datasets", must_not_happen)
    monkeypatch.setattr(scan, "inspect_image", must_not_happen)
    monkeypatch.setattr(tarfile, "open", must_not_happen)
    second = load_data(config(archives=archives, subset=True))
    assert {split: index.ids for split, index in first.splits.items()} == {
        split: index.ids for split, index in second.splits.items()
    }


def test_leftovers_of_a_killed_preparation_are_swept(tmp_path, own_cache):
    write_archives(tmp_path)
    wanted = config(archives=tmp_path, subset=True)
    load_data(wanted)
    home = max(
        (own_cache / "datasets").glob("stanford_dogs-*[!k]"), key=lambda p: p.stat().st_mtime
    )
    leftover = home.with_name(f".{home.name}.tfft-abc")
    (leftover / "incomplete.XYZ").mkdir(parents=True)
    home.rename(home.with_name("moved away"))
    load_data(wanted)
    assert home.is_dir() and not leftover.exists()


def test_archives_that_are_not_official_must_be_declared(archives):
    with pytest.raises(DataError, match=r"not the official ones .* set data.subset to true"):
        load_data(config(archives=archives))


def test_missing_archives_are_named(tmp_path):
    (tmp_path / "lists.tar").touch()
    with pytest.raises(DataError, match=r"missing: annotation.tar, images.tar"):
        load_data(config(archives=tmp_path, subset=True))


def test_photos_that_the_lists_promise_must_be_there(tmp_path):
    write_archives(tmp_path, leave_out="n02-Beagle/n02_1")
    fault = r"1 of 4 photos of train_list.mat are not in images.tar: n02_1.jpg"
    with pytest.raises(DataError, match=fault):
        load_data(config(archives=tmp_path, subset=True))


def test_damaged_archives_are_refused(tmp_path):
    write_archives(tmp_path)
    (tmp_path / "images.tar").write_bytes(b"no archive")
    with pytest.raises(DataError, match="archives of Stanford Dogs are damaged"):
        load_data(config(archives=tmp_path, subset=True))


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(
        DataError, match=r"Did you mean 'stanford_dogs'\? Received: name=stanford_dog"
    ):
        load_data(config(name="stanford_dog"))


def test_a_set_that_cannot_be_downloaded_fails_before_it_is_tried(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(111, "Connection refused")

    monkeypatch.setattr(tfds_quiet.socket, "create_connection", refuse)
    monkeypatch.setattr(tfds_quiet.urllib.request, "getproxies", dict)
    monkeypatch.setattr(tfds_source, "quiet_preparation", must_not_happen)
    with pytest.raises(DataError, match=r"cannot be downloaded \(vision.*Connection refused\)"):
        load_data(config(data_dir=tmp_path))


@pytest.fixture(scope="module")
def prepared_set(tmp_path_factory):
    """A set of TFDS's own making: grey PNG images, no file names, no test split."""
    tfds = tensorflow_datasets()

    class TfftTinySquares(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            return tfds.core.DatasetInfo(
                builder=self,
                features=tfds.features.FeaturesDict(
                    {
                        "image": tfds.features.Image(shape=(8, 8, 1)),
                        "label": tfds.features.ClassLabel(names=["dark", "light"]),
                    }
                ),
                supervised_keys=("image", "label"),
            )

        def _split_generators(self, dl_manager):
            return {"train": self._generate_examples()}

        def _generate_examples(self):
            for number in range(20):
                image = np.full((8, 8, 1), 6 * number + 100 * (number % 2), np.uint8)
                yield number, {"image": image, "label": number % 2}

    directory = tmp_path_factory.mktemp("tfds")
    with quiet_preparation():
        TfftTinySquares(data_dir=str(directory)).download_and_prepare()
    return directory


def test_a_host_that_answers_nothing_is_asked_twice_and_not_for_minutes(monkeypatch):
    from tensorflow_datasets.core.download import downloader

    class Unavailable(BaseHTTPRequestHandler):
        asked = 0

        def do_GET(self):
            Unavailable.asked += 1
            self.send_error(503)

        def log_message(self, *values):
            pass

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    patience = downloader.MAX_RETRIES
    with ThreadingHTTPServer(("127.0.0.1", 0), Unavailable) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/set.tar"
        try:
            with quiet_preparation(), pytest.raises(OSError, match="503"):
                downloader._open_url(url).__enter__()
        finally:
            server.shutdown()
    assert Unavailable.asked == 2
    assert patience == downloader.MAX_RETRIES


def test_any_classification_set_of_tfds_works(prepared_set):
    wanted = {"name": "tfft_tiny_squares", "data_dir": prepared_set}
    data = load_data(config(**wanted, test_split=None, test_fraction=0.3))
    assert sum(data.counts.values()) == 20 and all(data.counts.values())
    (batch,) = evaluation_batches(data.splits["train"], PixelSpec(8, 8), 32)
    levels = batch["inputs"][:, 0, 0, 0].numpy()
    np.testing.assert_array_equal(batch["targets"]["label"], levels % 12 == 10)
    report = check_data(config(**wanted, test_split="train"))
    assert report.formats == {"PNG": 40}


def test_a_split_that_the_set_lacks_is_named(prepared_set):
    with pytest.raises(
        DataError, match=r"no split 'test'; it has train. Set data.test_split to null"
    ):
        load_data(config(name="tfft_tiny_squares", data_dir=prepared_set))


def test_boxes_that_the_set_lacks_are_named(prepared_set):
    with pytest.raises(DataError, match="needs annotated boxes"):
        load_data(
            config(
                name="tfft_tiny_squares", data_dir=prepared_set, test_split=None, crop_to_box=True
            )
        )


@pytest.mark.slow
@pytest.mark.shared
def test_the_originals_prepare_with_every_photo(shared_data):
    data = load_data(config(archives=shared_data / "stanford_dogs_originals", subset=True))
    assert sum(map(len, data.splits.values())) == 575
    assert len(data.splits["test"]) == 217
    assert len(data.class_names["label"]) == 120


@pytest.mark.shared
@pytest.mark.slow
def test_the_crops_prepare_with_every_photo(shared_data):
    data = load_data(config(archives=shared_data / "stanford_dogs_crops160", subset=True))
    assert data.counts["train"] + data.counts["validation"] == 12_000
    assert data.counts["test"] == 8_580
    assert abs(data.counts["validation"] - 1_200) < 100
