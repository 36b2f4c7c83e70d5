"""A page in a real browser without a network: what it shows, says and asks for."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-quic"),
    *("--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr"),
)


def asked_by_pages(events: list[dict]) -> list[str]:
    """The addresses outside that pages asked for; what the browser itself asks has no origin."""
    requests = [event.get("params", {}) for event in events]
    pages = [r for r in requests if r.get("initiator", "not an origin") != "not an origin"]
    return sorted({r["url"] for r in pages if r["url"].startswith(("http:", "https:", "ws"))})


class Seen(NamedTuple):
    """The page after its scripts ran, what it said on the console, what it asked others for."""

    page: str
    console: list[str]
    requests: list[str]


def open_page(text: str, directory: Path, *options: str) -> Seen:
    """Opens a page, which is written to `directory`; skips where no browser is installed."""
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        pytest.skip(f"no browser is installed: none of {', '.join(BROWSERS)}")
    page, log = directory / "page.html", directory / "net.json"
    page.write_text(text, encoding="utf-8")
    own = [f"--user-data-dir={directory / 'profile'}", f"--log-net-log={log}", "--dump-dom"]
    done = subprocess.run(
        [browser, *QUIET, *own, *options, page.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    events = json.loads(log.read_text(encoding="utf-8"))["events"]
    return Seen(done.stdout, console, asked_by_pages(events))
