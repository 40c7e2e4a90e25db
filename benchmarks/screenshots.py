"""Photographs every page of the app for the README: `make screenshots` writes docs/images/.

Needs the system's Chromium, or the one that `playwright install chromium` fetched.
"""

import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from benchmarks._browser import DRAWN, launch
from benchmarks._server import APP, ROOT, server

IMAGES = ROOT / "docs" / "images"
SHOTS = (
    ("explore-light", "/", "light", 1440, 900),
    ("explore-dark", "/?model=mobilenet_v2&machine=pi-5", "dark", 1440, 900),
    ("explore-phone", "/", "light", 390, 1500),
    ("search", "/search", "light", 1440, 900),
    ("lab", "/lab", "light", 1440, 900),
    ("models", "/models", "light", 1440, 900),
    ("roofline", "/roofline?model=mobilenet_v2&machine=amd-epyc-avx512-1t", "light", 1440, 900),
    ("deploy", "/deploy?model=mobilenet_v2&batch=32", "light", 1440, 900),
    ("results", "/results", "light", 1440, 900),
    ("learn", "/learn?step=5", "light", 1440, 900),
    ("present", "/present", "light", 1440, 900),
)


def main() -> None:
    """Starts the app with an empty store, visits each page and writes its picture."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as data, server(APP, Path(data)) as url, sync_playwright() as playwright:
        browser = launch(playwright)
        for name, path, scheme, width, height in SHOTS:
            page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
            _photograph(page, f"{url}{path}", IMAGES / f"{name}.png")
            page.close()
        browser.close()


def _photograph(page: Page, url: str, path: Path) -> None:
    page.goto(url)
    page.wait_for_selector('[data-testid="stMain"] h4, [data-testid="stMain"] p', timeout=60_000)
    page.wait_for_timeout(1_500)
    page.wait_for_function(DRAWN, timeout=60_000)
    page.wait_for_timeout(1_000)
    page.screenshot(path=path)
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
