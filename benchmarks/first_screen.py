"""How fast the first screen is, beside an empty Streamlit page in the same run:
`PYTHONPATH=. python benchmarks/first_screen.py`.

Needs playwright and Chromium. Both servers run from the start and were visited once; every repetition is a new
browser context. Prints medians in seconds with the targets they are held to on two idle cores.
"""

import json
import math
import os
import platform
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import plotly
import streamlit
from playwright.sync_api import Browser, Page, sync_playwright

from aiq_core.envelope import envelope
from aiq_core.library import open_library
from benchmarks._browser import DRAWN, launch
from benchmarks._server import APP, server

REPEATS = 7
EMPTY_PAGE = "import streamlit as st\nst.title('Empty')\n"
PARTS = {
    "title": '[data-testid="stMain"] h1',
    # The sentence and the charts: in the server's first answer, or where that has none, on Streamlit's page.
    "heading": '#aiq-first h4, [data-testid="stMain"] h4',
    "chart": "[data-chart] .main-svg, .aiq-chart .main-svg",
    # From here on the page answers.
    "controls": '[data-testid="stSidebar"] [data-testid="stSlider"]',
}
OTHERS = {
    "search": ("heading", "chart"),
    "lab": ("heading", "chart"),
    "roofline": ("heading", "chart"),
    "results": ("heading", "chart"),
    "learn": ("heading", "chart"),
    "present": ("heading",),
}
"""What is waited for on the pages beside Explore; their heading says at first what they are for."""

PAINTED = """
parts => {
  window.painted = {};
  const waiting = new Set(Object.keys(parts));
  new MutationObserver(() => {
    for (const part of waiting) {
      if (!document.querySelector(parts[part])) continue;
      waiting.delete(part);
      requestAnimationFrame(() => setTimeout(() => (painted[part] = performance.now())));
    }
  }).observe(document, {subtree: true, childList: true});
}
"""
"""Remembers when each part was first painted, by the browser's own clock, which starts with the navigation."""

WATCH = """
() => {
  const heading = document.querySelector('[data-testid="stMain"] h4');
  const before = heading.textContent;
  window.seen = {key: 0, sentence: 0, chart: 0};
  addEventListener('keydown', () => { if (!seen.key) seen.key = performance.now(); }, {capture: true, once: true});
  new MutationObserver(changes => {
    const now = performance.now();
    const text = document.querySelector('[data-testid="stMain"] h4')?.textContent;
    if (seen.key && !seen.sentence && text && text !== before) seen.sentence = now;
    const drawn = n => n.nodeType === 1 &&
      (n.closest('.aiq-chart') || n.querySelector?.('.main-svg'));
    if (seen.key && changes.some(c => drawn(c.target) || [...c.addedNodes].some(drawn))) seen.chart = now;
  }).observe(document.querySelector('[data-testid="stMain"]'), {subtree: true, childList: true, characterData: true});
}
"""
"""Remembers when the sentence changed and when a chart was last touched, by the browser's own clock."""


@contextmanager
def visitor(browser: Browser) -> Iterator[Page]:
    """A page in a new context: nothing cached."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.add_init_script(f"({PAINTED})({json.dumps(PARTS)})")
    yield context.new_page()
    context.close()


def painted(page: Page, *parts: str) -> list[float]:
    """Seconds from the navigation until each part was painted; waits for them."""
    page.wait_for_function("parts => parts.every(part => painted[part])", arg=parts, timeout=60_000)
    seen = page.evaluate("() => painted")
    return [seen[part] / 1000 for part in parts]


def settle(page: Page) -> None:
    """Waits until every chart is drawn and the page rests: what alpha will show is fetched half a second later."""
    page.wait_for_function(f"() => document.querySelectorAll('.aiq-chart').length >= 3 && ({DRAWN})()", timeout=60_000)
    page.wait_for_timeout(500)
    page.wait_for_load_state("networkidle")


def alpha_at_a_change(model: str = "resnet20") -> float:
    """An alpha of the slider that shows another policy than the next one below, as near 0.9 as there is one."""
    library = open_library()
    known = library.model(model)
    table = library.table(known, known.dataset.search.size)
    segments = envelope(table, table.usual_goal)
    edges = [segment.low for segment in segments[1:] if 0.02 < segment.low < 0.98]
    nearest = min(edges, key=lambda edge: abs(edge - 0.9))
    return (math.floor(nearest * 100) + 1) / 100


def key_press(page: Page, key: str) -> tuple[float, float]:
    """Seconds from an arrow key on alpha to the new sentence, and to the last change of a chart."""
    page.evaluate(WATCH)
    slider = page.get_by_role("slider", name="Alpha").first
    slider.focus()
    page.keyboard.press(key)
    page.wait_for_function("() => seen.sentence > 0", timeout=20_000)
    page.wait_for_function("() => seen.chart > 0 && performance.now() - seen.chart > 700", timeout=20_000)
    seen = page.evaluate("() => seen")
    return (seen["sentence"] - seen["key"]) / 1000, (seen["chart"] - seen["key"]) / 1000


def measure(browser: Browser, app: str, empty: str) -> dict[str, list[float]]:
    """Every figure, a value a repetition; the two servers take turns."""
    alpha = alpha_at_a_change()
    found: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        found.setdefault(name, []).append(value)

    for repeat in range(REPEATS + 1):
        with visitor(browser) as page:
            page.goto(empty, wait_until="commit")
            (title,) = painted(page, "title")
        with visitor(browser) as page:
            page.goto(f"{app}/?alpha={alpha:.2f}", wait_until="commit")
            first = painted(page, "heading", "chart", "controls")
            settle(page)
            page.reload(wait_until="commit")
            again = painted(page, "chart", "controls")
            settle(page)
            pressed = [key_press(page, key) for key in ("ArrowLeft", "ArrowRight")]
        others: dict[str, float] = {}
        for name, parts in OTHERS.items():
            with visitor(browser) as page:
                page.goto(f"{app}/{name}", wait_until="commit")
                seen = painted(page, *parts)
            others |= {f"{name}: {part}": value for part, value in zip(parts, seen, strict=True)}
        if repeat == 0:
            continue  # the servers' own first visit
        note("empty page: title", title)
        note("heading", first[0])
        note("first chart", first[1])
        note("controls", first[2])
        note("reload: first chart", again[0])
        note("reload: controls", again[1])
        for sentence, last in pressed:
            note("alpha key: new sentence", sentence)
            note("alpha key: last chart", last)
        for name, value in others.items():
            note(name, value)
    return found


TARGETS = {
    "heading": 1.0,
    "first chart": 2.3,
    "reload: first chart": 0.7,
    "alpha key: new sentence": 0.1,
    "alpha key: last chart": 0.3,
    **{f"{name}: heading": 1.0 for name in OTHERS},
}


def main() -> None:
    cores, load = os.cpu_count(), os.getloadavg()[0]
    print(f"{platform.machine()}, {cores} cores, load {load:.1f}; Python {platform.python_version()},")
    print(f"streamlit {streamlit.__version__}, plotly {plotly.__version__}; median (fastest to slowest) of {REPEATS}")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        script = Path(folder) / "empty.py"
        script.write_text(EMPTY_PAGE)
        browser = launch(playwright)
        with server(APP, Path(folder) / "app") as app, server(script, Path(folder) / "empty") as empty:
            found = measure(browser, app, empty)
        browser.close()
    for name, values in found.items():
        target = f"   target {TARGETS[name]:.1f} s" if name in TARGETS else ""
        print(f"{name:<26} {statistics.median(values):5.2f} s ({min(values):.2f} to {max(values):.2f}){target}")


if __name__ == "__main__":
    main()
