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
# Two columns of the picture, each a few sections of the page.
COLUMNS = ("header.top, #trained, #training", "#head-label, #mistakes-label")
SHOWN = """<style>
nav, main > * {{ display: none; }} {sections} {{ display: block; }}
.layout {{ display: block; }} main {{ padding: 1.5rem; }} header.top {{ min-height: 8rem; }}
#head-label {{ height: 43.5rem; overflow: hidden; margin-top: 0; }}
</style></head>"""
WINDOW_PX = (860, 1290)
COLOURS = 160
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def main() -> None:
    """Writes the picture of the run given as the argument."""
    with tempfile.TemporaryDirectory() as directory:
        page = Path(directory, "report.html")
        text = tfft.report(sys.argv[1], output=page).path.read_text(encoding="utf-8")
        columns = []
        for number, sections in enumerate(COLUMNS):
            page.write_text(text.replace("</head>", SHOWN.format(sections=sections), 1), "utf-8")
            photo = Path(directory, f"{number}.png")
            photograph(page, photo)
            columns.append(Image.open(photo).convert("RGB"))
    picture = side_by_side(columns)
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(TARGET, optimize=True)
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


def side_by_side(columns: list[Image.Image]) -> Image.Image:
    """Returns pictures of one size beside each other."""
    width, height = columns[0].size
    together = Image.new("RGB", (width * len(columns), height))
    for number, column in enumerate(columns):
        together.paste(column, (number * width, 0))
    return together


if __name__ == "__main__":
    main()
