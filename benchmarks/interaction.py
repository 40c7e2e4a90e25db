"""How fast the charts follow a key, in Chromium: `PYTHONPATH=. python benchmarks/interaction.py`.

Alpha and batch on Explore and a layer's bits in the Lab, all with MobileNetV2's 53 layers; from the key going down to
the last change of any chart, by the browser's own clock. Beside it, in the same run, an empty Streamlit page that
answers a slider: what no page of Streamlit's can beat. Each visitor is new and presses eight keys; the first, for which
the browser has not compiled what it runs, also stands by itself. Needs playwright and Chromium; prints medians and
their ratios.
"""

import argparse
import os
import statistics
import tempfile
from collections.abc import Callable
from itertools import chain
from pathlib import Path

import plotly
import streamlit
from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks._browser import launch
from benchmarks._common import machine
from benchmarks._server import APP, server
from benchmarks.first_screen import alpha_at_a_change, settle, visitor

MODEL = "mobilenet_v2"
KEYS = 8
"""Pressed by each visitor."""

TARGET_MS = 300
EMPTY = "empty page: slider"
EMPTY_PAGE = """
import streamlit as st
st.title("Empty")
value = st.slider("Number", 0, 100, 50)
st.text(f"it is {value}")
"""

WATCH = """
answer => {
  window.seen = {key: 0, last: 0};
  addEventListener('keydown', () => { if (!seen.key) seen.key = performance.now(); }, {capture: true, once: true});
  window.watching?.disconnect();
  window.watching = new MutationObserver(() => { if (seen.key) seen.last = performance.now(); });
  for (const node of document.querySelectorAll(answer))
    watching.observe(node, {subtree: true, childList: true, characterData: true});
}
"""
"""Remembers when what answers was last touched. It stays the same node: a chart drawn anew would never be seen."""

CHARTS = ".aiq-chart"
TEXT = '[data-testid="stText"]'


def pressed(page: Page, key: str, answer: str) -> float:
    """Milliseconds from a key on what has the focus to the last change of the answer."""
    page.evaluate(WATCH, answer)
    page.keyboard.press(key)
    page.wait_for_function("() => seen.last > 0 && performance.now() - seen.last > 800", timeout=30_000)
    seen = page.evaluate("() => seen")
    return float(seen["last"] - seen["key"])


def slider(page: Page, name: str) -> None:
    page.get_by_role("slider", name=name).first.focus()


def alpha(page: Page) -> list[float]:
    slider(page, "Alpha")
    return [pressed(page, key, CHARTS) for key in ("ArrowLeft", "ArrowRight") * (KEYS // 2)]


def batch(page: Page) -> list[float]:
    slider(page, "Images at once")
    return [pressed(page, "ArrowRight", CHARTS) for _ in range(KEYS)]


def bits(page: Page) -> list[float]:
    """The widths of the picked layer: arrows move among them, space sets one."""
    group = page.get_by_role("radiogroup", name="Bits of")
    group.get_by_role("radio", checked=True).focus()
    found = []
    for arrow in ("ArrowRight", "ArrowLeft") * (KEYS // 2):
        page.keyboard.press(arrow)
        found.append(pressed(page, "Space", CHARTS))
    return found


def empty(page: Page) -> list[float]:
    slider(page, "Number")
    return [pressed(page, key, TEXT) for key in ("ArrowLeft", "ArrowRight") * (KEYS // 2)]


def measure(browser: Browser, app: str, empty_url: str, repeats: int) -> dict[str, list[list[float]]]:
    """The keys of each visitor, in ms; the pages take turns."""
    pages: dict[str, tuple[str, Callable[[Page], list[float]]]] = {
        EMPTY: (empty_url, empty),
        "alpha, Explore": (f"{app}/?model={MODEL}&alpha={alpha_at_a_change(MODEL):.2f}", alpha),
        "batch, Explore": (f"{app}/?model={MODEL}", batch),
        "bits, Lab": (f"{app}/lab?model={MODEL}", bits),
    }
    found: dict[str, list[list[float]]] = {name: [] for name in pages}
    for repeat in range(repeats + 1):
        for name, (url, act) in pages.items():
            with visitor(browser) as page:
                page.goto(url)
                if name == EMPTY:
                    page.wait_for_selector(TEXT)
                else:
                    settle(page)
                values = act(page)
            if repeat:  # the first visit warms the servers
                found[name].append(values)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, help="visits to each page")
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        script = Path(folder) / "empty.py"
        script.write_text(EMPTY_PAGE)
        browser = launch(playwright)
        print(f"{machine(os.cpu_count() or 1)};")
        print(f"streamlit {streamlit.__version__}, plotly {plotly.__version__}, Chromium {browser.version}; {MODEL},")
        print(f"key to last change, median (fastest to slowest) of {repeats} visits of {KEYS} keys")
        with server(APP, Path(folder) / "app") as app, server(script, Path(folder) / "none") as empty_url:
            found = measure(browser, app, empty_url, repeats)
        browser.close()
    base = statistics.median(chain(*found[EMPTY]))
    for name, visits in found.items():
        values = [*chain(*visits)]
        middle, first = statistics.median(values), statistics.median(visit[0] for visit in visits)
        ratio = "" if name == EMPTY else f"   {middle / base:4.1f} × the empty page   target {TARGET_MS} ms"
        print(f"{name:<20} {middle:5.0f} ms ({min(values):.0f} to {max(values):.0f}), first key {first:.0f} ms{ratio}")


if __name__ == "__main__":
    main()
