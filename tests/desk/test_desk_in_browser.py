"""The desk in a real browser, used as a person does: by keyboard, mouse and what is read aloud."""

import csv
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

import tfft
from tfft.data.labels_file import read_labels

pytestmark = pytest.mark.slow

playwright = pytest.importorskip("playwright.sync_api", reason="drives the browser")
expect = playwright.expect
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WIDE, PHONE = {"width": 1280, "height": 860}, {"width": 390, "height": 780}
# Time for a process that starts TensorFlow on a busy machine.
LONG_MS = 300_000


def photos_on(page, **described):
    """The photos of the grid, as they are read aloud."""
    return page.get_by_role("listbox", name="Photos").get_by_role("option", **described)


class Seen:
    """A page, what it asked for, and what it complained of."""

    def __init__(self, page) -> None:
        self.page, self.asked, self.complaints = page, [], []
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("dialog", lambda dialog: self.complaints.append(dialog.message))


@pytest.fixture(scope="module")
def browser() -> Iterator:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no browser is installed: none of {', '.join(BROWSERS)}")
    with playwright.sync_playwright() as running:
        yield running.chromium.launch(executable_path=found)


@pytest.fixture
def opened(browser) -> Iterator[Callable[..., Seen]]:
    """Opens an address, and returns the page with what is noted of it."""
    contexts = []

    def open_page(address: str, **options) -> Seen:
        contexts.append(browser.new_context(viewport=WIDE, **options))
        seen = Seen(contexts[-1].new_page())
        seen.page.goto(address)
        expect(photos_on(seen.page).first).to_be_visible()
        return seen

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture
def started(tmp_path) -> Iterator[Callable[..., tuple[subprocess.Popen, str]]]:
    """Starts `tfft desk`, and returns its process and address."""
    processes = []

    def start(*arguments: str) -> tuple[subprocess.Popen, str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "tfft", "desk", *arguments, "--no-browser"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(Path(tfft.__file__).parents[1])},
            stdout=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        return process, process.stdout.readline().strip()

    yield start
    for process in processes:
        process.terminate()
        process.wait()
        process.stdout.close()


def write_colours(folder: Path, each: int, wrong: int) -> dict[str, str]:
    """Writes pictures of three colours; returns the true class of those in a wrong folder."""
    generator = np.random.default_rng(0)
    colours = {"blue": (40, 60, 230), "green": (60, 200, 50), "red": (220, 50, 40)}
    names, true = list(colours), {}
    for place, name in enumerate(names):
        for number in range(each):
            label = names[(place + 1) % 3] if number < wrong else name
            (folder / label).mkdir(parents=True, exist_ok=True)
            ground = Image.fromarray(generator.integers(90, 160, (4, 4, 3), np.uint8))
            image = ground.resize((64, 64), Image.Resampling.BICUBIC)
            x, y, w, h = generator.integers((2, 2, 28, 28), (18, 18, 44, 44)).tolist()
            ImageDraw.Draw(image).ellipse([x, y, x + w, y + h], colours[name])
            path = f"{label}/{name}{number}.png"
            image.save(folder / path)
            if label != name:
                true[path] = name
    return true


def test_wrong_labels_are_mended_and_the_new_model_is_seen_beside_the_old(
    tmp_path, started, opened
):
    true = write_colours(tmp_path / "photos", each=50, wrong=11)
    labels = tmp_path / "photos.labels.csv"
    overrides = {"image.size_px": 64, "image.resize_px": 64, "data.test_fraction": 0.4}
    first = tfft.train(
        "classifier", data=tmp_path / "photos", overrides=overrides, run=tmp_path / "first"
    )

    process, address = started("photos", "--model", "first")
    page = opened(address).page
    show = page.get_by_label("Show", exact=True)
    expect(show).to_have_value("audit", timeout=LONG_MS)  # the audit has ended
    page.get_by_label("Finding", exact=True).select_option("wrong_label")
    photos = photos_on(page)
    expect(photos.first).to_contain_text("?")
    assert photos.count() >= 20
    photos.first.focus()
    for number in range(1, 21):
        page.keyboard.press("a")
        expect(page.locator("#summary")).to_contain_text(f" {number} relabelled")
    assert len(read_labels(labels)) == 20
    page.keyboard.press("u")
    expect(page.locator("#said")).to_contain_text("Undone")
    decided = read_labels(labels)
    assert len(decided) == 19
    assert sum(true.get(path) == label for path, label in decided.items()) >= 17

    process.send_signal(signal.SIGKILL)
    process.wait()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("alert")).to_contain_text("The desk has ended", timeout=10_000)
    assert read_labels(labels) == decided

    _, address = started("photos", "--model", "first", "--no-audit")
    page = opened(address).page
    expect(page.locator("#summary")).to_contain_text("19 relabelled")
    page.get_by_label("Show", exact=True).select_option("relabelled")
    expect(photos_on(page)).to_have_count(19)
    page.get_by_role("button", name="Training").click()
    page.get_by_role("button", name="Train", exact=True).click()
    expect(page.get_by_role("progressbar").first).to_be_visible()
    better = page.get_by_role("heading", name="Is the new model better?")
    expect(better).to_be_visible(timeout=LONG_MS)
    numbers = [
        float(cell.rstrip(" %"))
        for cell in page.locator("#result tbody tr").first.locator("td").all_inner_texts()[:2]
    ]
    assert numbers[1] >= numbers[0]
    run = tfft.load_predictor(tmp_path / "runs" / "classifier")
    assert run.info.data["labels"] == str(labels)
    assert first.model_file.is_file()
    gained = page.get_by_role("button", name="only the new one gets right")
    count = int(re.match(r"\d+", gained.inner_text())[0])
    if count:
        gained.click()
        expect(photos_on(page)).to_have_count(count)


def test_names_are_text_and_nobody_else_is_asked(tmp_path, opened):
    hostile = "<img src=x onerror=alert(1)>"
    for label in (hostile, "<script>alert(2)<script>", "rot & weiß"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for name in ("a", '"onload="alert(3)', "<b>b<b>"):
            image = Image.new("RGB", (20, 20), (len(name), 9, len(label)))
            image.save(tmp_path / "photos" / label / f"{name}.png")
    with tfft.open_desk(tmp_path / "photos", labels=tmp_path / "labels.csv") as desk:
        seen = opened(desk.address)
        page = seen.page
        expect(photos_on(page)).to_have_count(9)
        expect(photos_on(page).first).to_contain_text(hostile)
        photos_on(page).first.click()
        page.keyboard.press("l")
        picker = page.get_by_role("dialog", name="Label")
        picker.get_by_label("Class, or the name of a new one").fill("<svg onload=alert(4)>")
        page.keyboard.press("Enter")
        expect(page.locator("#said")).to_contain_text("<svg onload=alert(4)>")
        page.keyboard.press("Escape")
        expect(photos_on(page).first).to_contain_text("<svg onload=alert(4)>")
        page.wait_for_load_state("networkidle")
        assert {url for url in seen.asked if not url.startswith(desk.address)} == set()
        assert seen.complaints == []
        page.evaluate("fetch('http://example.com/').catch(() => {})")
        page.evaluate("try { document.body.innerHTML = '<b>x</b>' } catch {}")
        page.wait_for_timeout(200)
        assert any("Content Security Policy" in text for text in seen.complaints)
        assert any("TrustedHTML" in text for text in seen.complaints)


def test_all_of_it_can_be_done_by_keyboard_and_heard(pictures, tmp_path, opened):
    labels = tmp_path / "labels.csv"
    with tfft.open_desk(pictures, labels=labels) as desk:
        page = opened(desk.address).page
        page.get_by_label("Class", exact=True).select_option("green")
        expect(photos_on(page)).to_have_count(8)
        photos_on(page).first.focus()
        page.keyboard.press("Space")
        page.keyboard.press("Shift+ArrowRight")
        page.keyboard.press("Shift+ArrowRight")
        chosen = photos_on(page, selected=True)
        expect(chosen).to_have_count(3)
        expect(page.get_by_text("3 chosen")).to_be_visible()
        page.keyboard.press("3")
        expect(page.locator("#said")).to_have_text("3 photos: red")
        expect(chosen).to_have_count(0)
        assert list(read_labels(labels).values()) == ["red"] * 3
        heard = photos_on(page, name="green/0.jpg: red , came as green")
        expect(heard).to_have_count(1)
        page.keyboard.press("u")
        expect(page.locator("#said")).to_contain_text("Undone: green/0.jpg is green")
        page.keyboard.press("End")
        page.keyboard.press("Delete")
        expect(page.locator("#said")).to_have_text("green/7.jpg: removed")
        page.keyboard.press("Home")
        page.keyboard.press("Enter")
        look = page.get_by_role("dialog", name="green/0.jpg")
        expect(look.get_by_role("img", name="green/0.jpg")).to_be_visible()
        page.keyboard.press("c")
        expect(page.get_by_role("dialog", name="green/1.jpg")).to_be_visible()
        page.keyboard.press("l")
        page.get_by_label("Class, or the name of a new one").fill("turquoise")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog", name="green/2.jpg")).to_be_visible()
        page.keyboard.press("Escape")
        expect(look).to_be_hidden()
        expect(photos_on(page, name="green/2.jpg")).to_be_focused()
        page.keyboard.press("?")
        expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
        page.keyboard.press("Escape")
    with labels.open(newline="") as stream:
        assert list(csv.reader(stream))[1:] == [
            ["green/7.jpg", ""],
            ["green/0.jpg", "green"],
            ["green/1.jpg", "turquoise"],
        ]


def test_photos_that_are_moved_meanwhile_are_shown_where_they_are(pictures, tmp_path, opened):
    photos, labels = shutil.copytree(pictures, tmp_path / "photos"), tmp_path / "labels.csv"
    with tfft.open_desk(photos, labels=labels) as desk:
        page = opened(desk.address).page
        photos_on(page).first.focus()
        page.keyboard.press("3")
        expect(page.locator("#said")).to_have_text("blue/0.jpg: red")
        page.keyboard.press("Enter")
        look = page.get_by_role("dialog", name="blue/1.jpg")
        expect(look).to_be_visible()
        tfft.apply_labels(photos, labels)
        expect(page.locator("#said")).to_contain_text("The photos have changed", timeout=20_000)
        expect(look).to_be_visible()
        page.keyboard.press("c")
        expect(page.get_by_role("dialog", name="blue/2.jpg")).to_be_visible()
        page.keyboard.press("Escape")
        expect(photos_on(page, name="red/0-2.jpg: red ✓")).to_have_count(1)
        expect(photos_on(page, name="blue/0.jpg")).to_have_count(0)
        pictures_of_grid = "[...document.querySelectorAll('#grid img')]"
        broken = f"{pictures_of_grid}.filter((i) => i.complete && !i.naturalWidth).length"
        assert page.evaluate(broken) == 0
    assert read_labels(labels) == {"red/0-2.jpg": "red", "blue/1.jpg": "blue"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_all_of_it(pictures, tmp_path, opened, scheme):
    with tfft.open_desk(pictures, labels=tmp_path / "labels.csv") as desk:
        page = opened(desk.address, color_scheme=scheme).page
        page.set_viewport_size(PHONE)
        photos_on(page).nth(1).click()
        for name in ("Label…", "Remove", "Right as it is", "Previous", "Next", "Close"):
            button = page.get_by_role("dialog").get_by_role("button", name=re.compile(name))
            box = button.first.bounding_box()
            assert box is not None
            assert min(box["width"], box["height"]) >= 24
            assert 0 <= box["x"] <= PHONE["width"] - box["width"]
        page.get_by_role("dialog").get_by_role("button", name="Remove").click()
        expect(page.locator("#said")).to_contain_text("blue/1.jpg: removed")
        page.get_by_role("button", name="Close").click()
        page.get_by_role("button", name="Training").click()
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", ground)[:3])) < 200) == (scheme == "dark")
