"""Makes docs/report.png, the picture of a report that the README shows.

    tfft train quickstart --run runs/picture && tfft export runs/picture
    python docs/make_report_picture.py runs/picture

The run is on handwritten digits, which may be shown to everyone (CC BY 4.0). Needs Chromium.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

import tfft

TARGET = Path(__file__).with_name("report.png")
WINDOW_PX = (1240, 5200)
# Parts of the page side by side: (top, bottom) in pixels of the page.
PARTS = ((0, 1500), (1500, 3000), (3000, 4500))
WIDTH_PX = 1500
COLOURS = 96
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def main() -> None:
    """Writes the picture of the run given as the argument."""
    with tempfile.TemporaryDirectory() as directory:
        page, whole = Path(directory, "report.html"), Path(directory, "whole.png")
        tfft.report(sys.argv[1], output=page)
        photograph(page, whole)
        picture = side_by_side(Image.open(whole).convert("RGB"))
    picture.quantize(COLOURS).save(TARGET, optimize=True)
    print(f"{TARGET}: {TARGET.stat().st_size / 1000:.0f} kB, {picture.width} by {picture.height}")


def photograph(page: Path, picture: Path) -> None:
    """Opens a page in a browser without a window and takes a picture of it."""
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        sys.exit(f"no browser is installed: none of {', '.join(BROWSERS)}")
    size = f"--window-size={WINDOW_PX[0]},{WINDOW_PX[1]}"
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", size]
    profile = f"--user-data-dir={page.parent / 'profile'}"
    subprocess.run(
        [browser, *options, profile, f"--screenshot={picture}", page.as_uri()],
        check=True,
        stderr=subprocess.DEVNULL,
    )


def side_by_side(page: Image.Image) -> Image.Image:
    """Returns parts of a long page as columns of one picture."""
    height = max(bottom - top for top, bottom in PARTS)
    columns = Image.new("RGB", (page.width * len(PARTS), height), page.getpixel((0, 0)))
    for number, (top, bottom) in enumerate(PARTS):
        columns.paste(page.crop((0, top, page.width, bottom)), (number * page.width, 0))
    size = (WIDTH_PX, round(height * WIDTH_PX / columns.width))
    return columns.resize(size, Image.Resampling.LANCZOS)


if __name__ == "__main__":
    main()
