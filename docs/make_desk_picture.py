"""Makes docs/desk.png, the picture of a desk that its page shows.

    python docs/make_desk_picture.py

The photos are handwritten digits, which may be shown to everyone (CC BY 4.0); some of them are put
into wrong folders first. Needs the extras `desk` and `dev`, and Chromium.
"""

import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright
from sklearn.datasets import load_digits

import tfft

TARGET = Path(__file__).with_name("desk.png")
DIGITS, WRONG = 600, 20
WINDOW_PX = {"width": 1280, "height": 700}
COLOURS = 200
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
LONGEST_MS = 600_000


def main() -> None:
    """Writes the picture."""
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        sys.exit(f"no browser is installed: none of {', '.join(BROWSERS)}")
    with tempfile.TemporaryDirectory() as directory:
        photos, picture = Path(directory, "digits"), Path(directory, "desk.png")
        write_digits(photos)
        with tfft.open_desk(photos) as desk, sync_playwright() as playwright:
            desk.audit()
            window = playwright.chromium.launch(executable_path=browser)
            page = window.new_page(viewport=WINDOW_PX, color_scheme="light")
            page.goto(desk.address)
            page.locator("#strip").wait_for(timeout=LONGEST_MS)
            page.locator("#strip").wait_for(state="hidden", timeout=LONGEST_MS)
            page.get_by_role("listbox").get_by_role("option").first.focus()
            for key in ("a", "a", "a", "a", "Delete"):
                page.keyboard.press(key)
                page.wait_for_timeout(500)
            page.wait_for_timeout(7000)  # until the last message is gone
            page.screenshot(path=picture)
            window.close()
        shown = Image.open(picture).convert("RGB")
        shown.quantize(COLOURS, dither=Image.Dither.NONE).save(TARGET, optimize=True)
    print(f"{TARGET}: {TARGET.stat().st_size / 1000:.0f} kB")


def write_digits(folder: Path) -> None:
    """Writes digits into a folder for each, the first ones into the folder of another."""
    digits = load_digits()
    generator = np.random.default_rng(0)
    for number in range(DIGITS):
        label = int(digits.target[number])
        if number < WRONG:
            label = (label + int(generator.integers(1, 10))) % 10
        (folder / str(label)).mkdir(parents=True, exist_ok=True)
        pixels = np.minimum(digits.images[number] * 16, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / str(label) / f"{number:04}.png")


if __name__ == "__main__":
    main()
