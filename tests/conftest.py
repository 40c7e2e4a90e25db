"""Fixtures that every test may use: a store of the session's own, servers in their own processes, Chromium, Firefox."""

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright
from playwright.sync_api import Error as PlaywrightError

from benchmarks._browser import DRAWN, launch

ROOT = Path(__file__).resolve().parent.parent
START_S = 60
# Streamlit itself asks for these below a sub-page's address on a deep link and gets a 404.
STREAMLIT_404 = ("/_stcore/health", "/_stcore/host-config")
# What a page says while its server is away: the test stopped it, or fails anyway.
SERVER_AWAY = (
    "ERR_CONNECTION_",
    "reaching server endpoint",
    "Is Streamlit still running",
    "WebSocket connection",
    "disconnected from server",
)
DATA_DIR = pytest.StashKey[tempfile.TemporaryDirectory[str]]()
NO_BROWSER = "no Chromium"
REMEDY = "apt install chromium, or .venv/bin/playwright install chromium"
NO_FIREFOX = "no Firefox"
FIREFOX_REMEDY = "apt install firefox-esr"
NO_GPU = "no NVIDIA GPU"


def pytest_configure(config: pytest.Config) -> None:
    """Sets the environment before anything of aiq_core or torch is imported; AIQ_CACHE_DIR stays as it is."""
    config.stash[DATA_DIR] = tempfile.TemporaryDirectory(prefix="aiq-tests-", ignore_cleanup_errors=True)
    os.environ["AIQ_DATA_DIR"] = config.stash[DATA_DIR].name
    os.environ["OMP_NUM_THREADS"] = "1"  # a worker of pytest's keeps one core busy
    os.environ.pop("COLUMNS", None)  # pytest-xdist sets it, and rich would take it for good


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[DATA_DIR].cleanup()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    # From the reports, as the tests may have run in other processes.
    skipped = [str(report.longrepr) for report in terminalreporter.stats.get("skipped", ())]
    for lacking, remedy in ((NO_BROWSER, REMEDY), (NO_FIREFOX, FIREFOX_REMEDY)):
        without = [reason for reason in skipped if lacking in reason]
        if without:
            terminalreporter.section("BROWSER TESTS SKIPPED", red=True, bold=True)
            terminalreporter.line(f"{len(without)} of them: {lacking}; {remedy}")
    without = [reason for reason in skipped if NO_GPU in reason]
    if without:
        terminalreporter.section("TESTS ON CUDA SKIPPED", red=True, bold=True)
        terminalreporter.line(
            f"{len(without)} of them: {NO_GPU}; nothing that --device cuda computes was compared here"
        )


@pytest.fixture
def gpu() -> Any:
    """An NVIDIA GPU as torch's device. Without one the test is skipped, under CI too, and the summary says so."""
    import torch

    if not torch.cuda.is_available():
        pytest.skip(NO_GPU)
    return torch.device("cuda")


@dataclass
class Server:
    """The app in a process of its own; `log` is what it printed so far, `below` the path that it is served below."""

    port: int
    data_dir: Path
    log: Path
    process: subprocess.Popen[bytes]
    below: str = ""

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}{self.below}"

    def stop(self) -> None:
        """Ends this one process and waits for it; a second call does nothing."""
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("localhost", 0))
        return int(probe.getsockname()[1])


def _start(
    data_dir: Path, log: Path, environment: dict[str, str] | None = None, port: int | None = None, below: str = ""
) -> Server:
    port = port or _free_port()
    command = [sys.executable, "app.py"]
    command += ["--server.port", str(port), "--server.headless", "true", "--server.baseUrlPath", below]
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "AIQ_DATA_DIR": str(data_dir), **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    server = Server(port, data_dir, log, process, below)
    end = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"{server.url}/_stcore/health", timeout=2):
                return server
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    server.stop()
    raise RuntimeError(f"app.py did not start within {START_S} s:\n{log.read_text(errors='replace')[-4000:]}")


@pytest.fixture
def nothing_shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A user's store of the test's own, and none of the measurements that ship with the app."""
    # Imported here: pytest_configure comes first.
    import streamlit as st

    from aiq_core import library

    monkeypatch.setenv("AIQ_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(library, "BUNDLED_MEASUREMENTS", tmp_path / "none.json")
    library.bundled_measurements.cache_clear()
    st.cache_resource.clear()
    yield
    library.bundled_measurements.cache_clear()
    st.cache_resource.clear()


@pytest.fixture(scope="session")
def app_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of one server that the session's tests share, with a user's store of its own."""
    folder = tmp_path_factory.mktemp("server")
    server = _start(folder / "data", folder / "log")
    yield server.url
    server.stop()


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts servers that end with the test, each with a user's store of its own.

    start_server(environment={...}, below="/path").

    start_server(again=server) is a restart of a stopped one: same address, same store.
    """
    servers: list[Server] = []

    def start(environment: dict[str, str] | None = None, again: Server | None = None, below: str = "") -> Server:
        folder = tmp_path / f"server-{len(servers)}"
        folder.mkdir()
        data_dir, port = (again.data_dir, again.port) if again else (folder / "data", None)
        servers.append(_start(data_dir, folder / "log", environment, port, below))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium. Without one the test is skipped and the summary says so; under CI it fails."""
    with sync_playwright() as playwright:
        try:
            chromium = launch(playwright)
        except PlaywrightError as error:
            first = str(error).splitlines()[0]
            reason = f"{NO_BROWSER} ({first}); {REMEDY}"
            if os.environ.get("CI"):
                pytest.fail(reason)
            pytest.skip(reason)
        yield chromium
        chromium.close()


@pytest.fixture
def firefox(tmp_path: Path) -> Iterator[Any]:
    """Firefox with a profile of its own, until the test ends. Without one it is skipped, under CI too, and loudly."""
    found = next(filter(None, map(shutil.which, ("firefox-esr", "firefox"))), None)
    if found is None:
        pytest.skip(f"{NO_FIREFOX}; {FIREFOX_REMEDY}")
    driver = pytest.importorskip("marionette_driver.marionette", reason=f"{NO_FIREFOX} driver on this system")
    own = {"headless": True, "workspace": str(tmp_path), "gecko_log": str(tmp_path / "log")}
    try:
        client = driver.Marionette(app="fxdesktop", bin=found, port=0, **own)
    except OSError as error:  # a snap's, for one, which may not read the profile
        pytest.skip(f"{NO_FIREFOX} that can be driven ({error}); {FIREFOX_REMEDY}")
    try:
        client.start_session()
        client.set_window_rect(width=1440, height=1000)
        yield client
    finally:
        client.cleanup()


def settle(page: Page, timeout_s: float = 60) -> None:
    """Waits until the script has run and every chart on the page is drawn."""
    page.locator('[data-testid="stMain"]').locator("h1, h2, h3, h4, p").first.wait_for(timeout=timeout_s * 1000)
    page.wait_for_function(DRAWN, timeout=timeout_s * 1000)


@pytest.fixture(name="settle")
def settle_fixture() -> Callable[..., None]:
    """`settle(page)`, for after a click or a key."""
    return settle


@pytest.fixture
def drawings() -> Callable[..., list[str]]:
    """`drawings(page, when="true")`: each of three charts' SVG, random names of clips and traces in order.

    Taken at the moment in which `when`, JavaScript on `boxes`, is true of the charts too.
    """
    return _drawings


def _drawings(page: Page, when: str = "true") -> list[str]:
    drawn = f"boxes.length === 3 && boxes.every(box => box.querySelector('.modebar-container')) && ({when})"
    svgs = f"(boxes => {drawn} && boxes.map(box => box.innerHTML))([...document.querySelectorAll('.aiq-chart')])"
    found = []
    for svg in page.wait_for_function(svgs).json_value():
        names = dict.fromkeys(re.findall(r"(?:clip|defs-|trace)([0-9a-f]{6})(?![0-9a-f])", svg))
        for place, name in enumerate(names):
            svg = svg.replace(name, f"name-{place}")
        found.append(svg[: svg.index('<div class="modebar-container')])
    return found


def _is_ours(message: ConsoleMessage) -> bool:
    deep_link = "404" in message.text and message.location["url"].endswith(STREAMLIT_404)
    away = any(part in message.text for part in SERVER_AWAY)
    return message.type == "error" and not deep_link and not away


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens a URL as a new visitor and settles: visit(url, scheme="dark", width=390, height=844).

    When the test ends, an error in any of its consoles, or an error box on a page still open, fails it.
    """
    pages: list[Page] = []
    errors: list[str] = []

    def open_page(url: str, scheme: Literal["light", "dark"] = "light", width: int = 1440, height: int = 900) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        page = context.new_page()
        pages.append(page)
        page.on("pageerror", lambda error: errors.append(f"{url}: {error}"))
        page.on("console", lambda m: errors.append(f"{m.location['url']}: {m.text}") if _is_ours(m) else None)
        page.goto(url)
        settle(page)
        if page.locator(".aiq-chart").count() == 0:
            # Without one, the code that draws them may still be on its way.
            page.wait_for_load_state("networkidle")
            settle(page)
        return page

    yield open_page
    for page in pages:
        if not page.is_closed():
            errors += page.locator('[data-testid="stException"]').all_inner_texts()
        page.context.close()
    assert not errors
