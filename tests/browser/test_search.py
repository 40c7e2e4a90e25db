"""Search in Chromium: a job is started, watched, found again after a reload, cancelled, resumed, compared, archived."""

import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psutil
import pytest
from playwright.sync_api import Locator, Page, expect

from aiq_core.records import Run
from aiq_core.store import Store

pytestmark = pytest.mark.browser

LONG_MS = 90_000
CANCEL_S = 10
"""Generous: what is promised is two seconds on a machine that does nothing else."""

HULL_END = """() => {
    const chart = document.querySelector('.js-plotly-plot'), {xaxis, yaxis} = chart._fullLayout;
    const hull = chart.data.find(trace => trace.mode === 'lines+markers'), box = chart.getBoundingClientRect();
    const along = (axis, values) => axis._offset + axis.l2p(values[values.length - 1]);
    return {x: box.x + along(xaxis, hull.x), y: box.y + along(yaxis, hull.y)};
}"""
"""Where the point of highest AI stands in the first chart, in pixels of the window."""

Visit = Callable[..., Page]
Settle = Callable[..., None]


def sidebar(page: Page) -> Locator:
    return page.locator('[data-testid="stSidebar"]')


def choose(place: Page | Locator, label: str, option: str) -> None:
    """Picks an option that begins like this; typed first, as a long list draws only what is in sight."""
    page = place if isinstance(place, Page) else place.page
    found = page.get_by_role("option", name=re.compile(re.escape(option))).first
    for attempt in range(20):
        place.get_by_role("combobox", name=label).first.click()
        page.keyboard.type(option)
        try:
            expect(found).to_have_attribute("data-focused", "true", timeout=LONG_MS / 20)
            break
        except AssertionError:
            # A run that is new to the list makes a new list.
            page.keyboard.press("Escape")
            if attempt == 19:
                raise
    # By key: while the page grows, the list may hang below the window's edge.
    page.keyboard.press("Enter")


def progress(page: Page) -> Locator:
    return page.locator('[data-testid="stProgress"]')


def status(page: Page, word: str) -> None:
    """Waits until the shown run has this status."""
    badge = page.locator('[data-testid="stMarkdown"]').filter(has_text=re.compile(rf"{word}.*run ")).first
    expect(badge).to_be_visible(timeout=LONG_MS)


def heading(page: Page) -> str:
    return page.locator('[data-testid="stMain"] h4').first.inner_text()


def evaluations(page: Page) -> int:
    found = re.search(r"([\d,]+) evaluations", progress(page).first.inner_text())
    return int(found[1].replace(",", "")) if found else 0


class Workers:
    """The workers that a server started. Held when something has happened, a search is still going then,
    however fast the machine and slow the browser are.
    """

    def __init__(self, server: Any) -> None:
        self._server = server
        self._store: Store | None = None
        self._held: list[psutil.Process] = []

    def runs(self) -> list[Run]:
        """What the server's store holds, with steps."""
        # Opened once: the last connection to close takes the write-ahead log away.
        self._store = self._store or Store(self._server.data_dir / "store.sqlite")
        return [self._store.run(run.id) for run in self._store.runs()]

    def hold_when(self, has_happened: Callable[[list[Run]], bool]) -> None:
        """Waits until it has, and stops the workers there."""
        end = time.monotonic() + LONG_MS / 1000
        while not has_happened(self.runs()):
            assert time.monotonic() < end
            time.sleep(0.02)
        children = psutil.Process(self._server.process.pid).children(recursive=True)
        self._held = [child for child in children if "aiq_core.worker" in child.cmdline()]
        assert self._held
        self._suspend()
        while self._is_locked():
            # Stopped in the middle of a write, a worker would keep everybody else from writing.
            for worker in self._held:
                worker.resume()
            time.sleep(0.01)
            self._suspend()

    def _suspend(self) -> None:
        for worker in self._held:
            worker.suspend()

    def _is_locked(self) -> bool:
        connection = sqlite3.connect(self._server.data_dir / "store.sqlite", timeout=0.2, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        except sqlite3.OperationalError:
            return True
        finally:
            connection.close()
        return False

    def let_go(self) -> None:
        for worker in self._held:
            worker.resume()
        self._held.clear()

    def close(self) -> None:
        self.let_go()
        if self._store is not None:
            self._store.close()


@pytest.fixture
def workers_of() -> Iterator[Callable[[Any], Workers]]:
    """Workers of a server; let go when the test ends, so that they can end too."""
    made: list[Workers] = []

    def make(server: Any) -> Workers:
        made.append(Workers(server))
        return made[-1]

    yield make
    for workers in made:
        workers.close()


def start_a_long_sweep(page: Page) -> None:
    """Every width at 21 alphas, all measured here: many seconds even of the small network."""
    form = sidebar(page)
    choose(form, "Run", "A sweep over alphas")
    choose(form, "Algorithm", "Coordinate descent")
    every = form.get_by_role("slider", name="Every")
    expect(every).to_be_visible()
    every.focus()
    page.keyboard.press("ArrowLeft")
    form.get_by_text("Layers, floor, name").click()
    for bits in (7, 6, 5, 3, 2):
        form.get_by_role("button", name=str(bits), exact=True).click()
        expect(form.get_by_text(f"Held at {bits} bits")).to_be_visible(timeout=LONG_MS)
    form.get_by_text("Use what ships with the app").click()
    start = form.get_by_role("button", name="Start 21 searches")
    expect(start).to_be_enabled(timeout=LONG_MS)
    expect(form.get_by_text("no rate yet")).to_be_visible()
    start.click()


@pytest.mark.timeout(400)
def test_a_job_from_start_to_archive(
    start_server: Callable[..., Any],
    workers_of: Callable[[Any], Workers],
    visit: Visit,
    settle: Settle,
    tmp_path: Path,
) -> None:
    server = start_server()
    page = visit(f"{server.url}/search?space=weights&model=digits_cnn")
    settle(page)
    start_a_long_sweep(page)

    # It moves, and its charts grow.
    workers = workers_of(server)
    workers.hold_when(lambda runs: any(run.request.alpha == 0.95 and run.steps for run in runs))
    choose(page, "Show a run", "coordinate descent at alpha 0.95 ")
    page.wait_for_url(re.compile("run="), timeout=LONG_MS)
    run_id = parse_qs(urlsplit(page.url).query)["run"][0]
    expect(progress(page).first).to_contain_text("step", timeout=LONG_MS)
    expect(page.locator(".aiq-chart").nth(1)).to_be_visible(timeout=LONG_MS)
    first = evaluations(page)
    workers.let_go()
    workers.hold_when(lambda runs: any(run.id == run_id and run.evaluations > first + 1 for run in runs))
    page.wait_for_function(
        """before => {
            const text = document.querySelector('[data-testid="stProgress"]')?.innerText ?? '';
            const found = text.match(/([0-9,]+) evaluations/);
            return found && Number(found[1].replace(',', '')) > before;
        }""",
        arg=first,
        timeout=LONG_MS,
    )

    # A reload in the middle finds it again.
    page.reload()
    settle(page)
    assert run_id in page.locator('[data-testid="stMain"]').inner_text()
    expect(progress(page).first).to_contain_text("step", timeout=LONG_MS)
    expect(page.locator(".aiq-chart").nth(1)).to_be_visible(timeout=LONG_MS)
    page.locator(f".st-key-cancel-{run_id} button").first.click()
    expect(page.get_by_text("stopping after this chunk")).to_be_visible(timeout=LONG_MS)
    page.get_by_role("button", name=re.compile("^Cancel all")).click()
    expect(page.get_by_role("button", name=re.compile("^Cancel all"))).to_be_visible(timeout=LONG_MS)

    # Cancelled, it keeps what it has; so does the rest of the sweep.
    asked = time.monotonic()
    workers.let_go()
    status(page, "cancelled")
    assert time.monotonic() - asked < CANCEL_S
    expect(progress(page)).to_have_count(0, timeout=LONG_MS)
    expect(page.get_by_text("everything evaluated so far is kept").first).to_be_visible()
    kept = page.get_by_text(re.compile(r"^\d+ new$")).first
    expect(kept).to_be_visible()

    # Resumed after a restart of the server, it ends.
    server.stop()
    start_server(again=server)
    page.goto(f"{server.url}/search?space=weights&model=digits_cnn&run={run_id}")
    settle(page)
    page.get_by_role("button", name="Resume").click()
    status(page, "done")
    settle(page)
    finished = heading(page)
    assert "coordinate descent at alpha" in finished

    # Compared with a bundled run of the same images.
    page.get_by_test_id("stPopoverButton").filter(has_text="Compare").click()
    choose(page, "Compare with", "greedy at alpha 0.9 · ships with the app")
    page.get_by_role("button", name="Compare the two").click()
    expect(page.get_by_text("two runs compared")).to_be_visible(timeout=LONG_MS)
    expect(page.get_by_text(re.compile("(same|On) 500 search images")).first).to_be_visible(timeout=LONG_MS)
    settle(page)
    page.get_by_role("button", name="Close").click()
    expect(page.get_by_text("two runs compared")).to_be_hidden(timeout=LONG_MS)

    # Archived and restored.
    page.get_by_role("button", name="Archive", exact=True).click()
    expect(page.get_by_role("button", name="Restore")).to_be_visible(timeout=LONG_MS)
    page.get_by_role("button", name="Restore").click()
    expect(page.get_by_role("button", name="Archive", exact=True)).to_be_visible(timeout=LONG_MS)

    # Exported, as a file that names itself.
    with page.expect_download() as download:
        page.get_by_role("button", name="Export").click()
    exported = tmp_path / "run.json"
    download.value.save_as(exported)
    assert exported.read_text().startswith('{"format":"aiq-explorer run"')

    # Opened in Explore, whose address shows it to the next visitor too.
    page.get_by_role("button", name="Open in Explore").click()
    page.wait_for_url(re.compile(r"/\?model=digits_cnn.*policy="), timeout=LONG_MS)
    settle(page)
    asked_for = parse_qs(urlsplit(page.url).query)
    assert asked_for["model"] == ["digits_cnn"]
    assert asked_for["from"] == ["coordinate"]
    expect(page.get_by_text("the policy you picked")).to_be_visible(timeout=LONG_MS)
    message = heading(page)
    assert heading(visit(page.url)) == message

    # On another machine the export is taken in, with its origin.
    elsewhere = start_server()
    other = visit(f"{elsewhere.url}/search?space=weights&model=digits_cnn")
    other.get_by_test_id("stPopoverButton").filter(has_text="Import").click()
    other.locator('input[type="file"]').set_input_files(exported)
    expect(other.get_by_text(re.compile("^Imported Digits CNN"))).to_be_visible(timeout=LONG_MS)
    expect(other.get_by_text(re.compile("imported from")).first).to_be_visible()

    # A truncated one is not.
    exported.write_text(exported.read_text()[:2000])
    other.goto(f"{elsewhere.url}/search?space=weights&model=digits_cnn")
    settle(other)
    other.get_by_test_id("stPopoverButton").filter(has_text="Import").click()
    other.locator('input[type="file"]').set_input_files(exported)
    expect(other.get_by_text(re.compile("may be truncated"))).to_be_visible(timeout=LONG_MS)


@pytest.mark.thorough
def test_a_front_comes_in_its_points_are_clicked_and_explore_marks_them(
    start_server: Callable[..., Any], visit: Visit, settle: Settle
) -> None:
    server = start_server()
    page = visit(f"{server.url}/search?model=digits_cnn")
    form = sidebar(page)
    form.get_by_label("Points", exact=True).fill("4")
    page.keyboard.press("Enter")
    expect(form.get_by_text("4 evaluations")).to_be_visible(timeout=LONG_MS)
    form.get_by_role("button", name="Start").click()
    # The run shown before is done too.
    expect(page.locator("h4").filter(has_text="frontier, 4 points")).to_be_visible(timeout=LONG_MS)
    status(page, "done")
    settle(page)
    expect(page.locator(".aiq-chart")).to_have_count(4, timeout=LONG_MS)  # front, bits, prediction, costs
    bits = page.get_by_test_id("stMarkdown").filter(has_text="Bits of weights and activations")
    shown = bits.inner_text()
    at = page.evaluate(HULL_END)
    page.mouse.click(at["x"], at["y"])
    expect(bits).not_to_have_text(shown, timeout=LONG_MS)
    page.get_by_role("button", name="Open in Explore").click()
    page.wait_for_url(re.compile("from=frontier"), timeout=LONG_MS)
    settle(page)
    # With those of the front that ships.
    expect(page.get_by_text(re.compile(r"^\d+ points, marked in the trade-off"))).to_be_visible(timeout=LONG_MS)


def test_a_link_to_a_bundled_run_is_the_first_visit(start_server: Callable[..., Any], visit: Visit) -> None:
    server = start_server(environment={"AIQ_READ_ONLY": "1"})
    page = visit(f"{server.url}/search?space=weights&model=resnet20", scheme="dark", width=390)
    assert "ResNet-20" in heading(page)
    expect(page.get_by_text("History")).to_be_visible()
    expect(page.get_by_role("button", name="Start")).to_have_count(0)
    wide = page.evaluate(
        "() => { const m = document.querySelector('[data-testid=stMain]'); return m.scrollWidth - m.clientWidth }"
    )
    assert wide <= 0
    assert not server.data_dir.exists()
