"""Present in Chromium: keys, address and files, and the saved deck without app and network."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, FrameLocator, Locator, Page, expect

from aiq_core.deck import build, html
from aiq_core.deck.text import look_up
from aiq_core.documents import run_document
from aiq_core.hardware import PRESETS
from aiq_core.library import BUNDLED_RESULTS, Library
from aiq_core.store import Store
from tests import bundled

pytestmark = pytest.mark.browser

Visit = Callable[..., Page]
LIBRARY = Library(None, Store(BUNDLED_RESULTS, immutable=True))
WAIT_MS = 30_000


def usual(model: str) -> str:
    run = build.default_run(LIBRARY, bundled.model(model))
    assert run is not None
    return run.id


def frame(page: Page) -> FrameLocator:
    """The deck in the page, drawn."""
    deck = page.frame_locator("iframe[title^='Slides:']")
    deck.locator("html.drawn").wait_for(timeout=WAIT_MS)
    return deck


def current(deck: FrameLocator | Page) -> Locator:
    return deck.locator(".slide.current")


# In the page


@pytest.mark.thorough
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_it_opens_with_its_message(app_server: str, visit: Visit, scheme: str, width: int) -> None:
    page = visit(f"{app_server}/present", scheme=scheme, width=width, height=900)
    deck = frame(page)
    expect(current(deck).locator("h2")).to_contain_text("more work per byte")
    expect(deck.locator("html")).to_have_attribute("data-theme", scheme)
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    assert deck.locator("#deck").evaluate("deck => deck.scrollWidth - deck.clientWidth") <= 0
    hidden = page.evaluate(
        "(main => main.scrollHeight - main.clientHeight)(document.querySelector('[data-testid=stMain]'))"
    )
    assert hidden <= 0


def test_keys_turn_the_slides_and_write_the_address(app_server: str, visit: Visit) -> None:
    page = visit(f"{app_server}/present")
    deck = frame(page)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    expect(current(deck)).to_have_attribute("id", "slide-3")
    expect(page).to_have_url(re.compile(r"[?&]slide=3"))
    deck.locator("#next").click()  # now the keys go to the deck itself
    page.keyboard.press("PageDown")
    expect(page).to_have_url(re.compile(r"[?&]slide=5"))
    page.keyboard.press("End")
    expect(deck.locator("#next")).to_be_disabled()
    page.keyboard.press("Home")
    expect(page).not_to_have_url(re.compile("slide="))


@pytest.mark.thorough
def test_a_deep_link_opens_its_slide(app_server: str, visit: Visit) -> None:
    runs = f"{usual('mobilenet_v2')},{usual('digits_cnn')}"
    page = visit(f"{app_server}/present?run={runs}&machine=pi-5&slide=4")
    deck = frame(page)
    expect(current(deck)).to_have_attribute("id", "slide-4")
    expect(current(deck).locator(".kicker")).to_contain_text("Raspberry Pi 5")
    expect(page).to_have_url(re.compile(r"slide=4"))


@pytest.mark.thorough
def test_the_way_back_leads_to_the_same_slide_of_the_same_runs(app_server: str, visit: Visit) -> None:
    page = visit(f"{app_server}/present?run={usual('digits_cnn')}&slide=3")
    frame(page)
    page.get_by_role("link", name="Results", exact=True).first.click()
    expect(page.locator('[data-testid="stMain"] h4').first).to_contain_text("claims", timeout=WAIT_MS)
    page.go_back(wait_until="commit")
    expect(page.locator('[data-testid="stMultiSelect"]')).to_contain_text(usual("digits_cnn"), timeout=WAIT_MS)
    expect(current(frame(page))).to_have_attribute("id", "slide-3")


@pytest.mark.thorough
def test_keys_in_a_field_stay_there(app_server: str, visit: Visit) -> None:
    page = visit(f"{app_server}/present")
    deck = frame(page)
    page.get_by_role("combobox").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.type("digits ")
    expect(current(deck)).to_have_attribute("id", "slide-1")


@pytest.mark.thorough
def test_another_machine_keeps_the_slide(app_server: str, visit: Visit, settle: Callable[..., None]) -> None:
    # Of weights alone: bits of activations make it faster there too.
    greedy = (run for run in LIBRARY.runs(bundled.model("resnet20")) if run.request.algorithm == "greedy")
    papers = next(run.id for run in greedy if run.request.alpha == 0.9 and run.request.is_ordinary)
    page = visit(f"{app_server}/present?run={papers}&slide=7")
    frame(page)
    page.get_by_test_id("stExpandSidebarButton").click()
    page.get_by_role("combobox", name=re.compile("Hardware")).click()
    page.get_by_role("option", name="Raspberry Pi 5").click()
    expect(current(page.frame_locator("iframe")).locator("h2")).to_contain_text(
        "No faster on Raspberry Pi 5", timeout=WAIT_MS
    )
    expect(page).to_have_url(re.compile(r"machine=pi-5"))
    expect(page).to_have_url(re.compile(r"slide=7"))


def test_the_page_shows_the_file_that_it_saves(app_server: str, visit: Visit, tmp_path: Path) -> None:
    page = visit(f"{app_server}/present?run={usual('digits_cnn')}")
    deck = frame(page)
    with page.expect_download() as started:
        page.get_by_role("button", name="Save as HTML").click()
    assert started.value.suggested_filename == f"aiq-digits_cnn-{usual('digits_cnn')}.html"
    saved = Path(started.value.path()).read_text(encoding="utf-8")
    assert saved == html.page(build.build(LIBRARY, [usual("digits_cnn")], PRESETS["a100-tf32"]))
    shown = page.locator("iframe").get_attribute("srcdoc")
    assert shown == saved.replace(html.plotly_script(), "")  # which the page brings itself
    expect(deck.locator(".slide")).to_have_count(saved.count('class="slide"'))


# The file


@pytest.fixture
def offline(browser: Browser, tmp_path: Path) -> Iterator[Callable[..., Page]]:
    """Opens a deck from its file, without a network: offline("resnet20"). Fails on any request and console error."""
    trouble: list[str] = []
    contexts = []

    def open_deck(*models: str, machine: str = "a100-tf32", scheme: Any = "light", width: int = 1440) -> Page:
        path = tmp_path / "deck.html"
        deck = build.build(LIBRARY, [usual(model) for model in models], PRESETS[machine])
        path.write_text(html.page(deck), encoding="utf-8")
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        context.set_offline(True)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("console", lambda said: trouble.append(said.text) if said.type in ("error", "warning") else None)
        allowed = (path.as_uri(), "data:", "blob:")
        page.on("request", lambda asked: None if asked.url.startswith(allowed) else trouble.append(asked.url))
        page.goto(path.as_uri())
        page.locator("html.drawn").wait_for(timeout=WAIT_MS)
        return page

    yield open_deck
    for context in contexts:
        context.close()
    assert not trouble


@pytest.mark.parametrize(
    ("model", "machine"),
    [
        ("resnet20", "a100-tf32"),
        pytest.param("mobilenet_v2", "pi-5", marks=pytest.mark.thorough),
        pytest.param("digits_cnn", "coral-usb", marks=pytest.mark.thorough),
    ],
)
def test_the_file_works_alone(offline: Callable[..., Page], model: str, machine: str) -> None:
    page = offline(model, machine=machine)
    slides = page.locator(".slide").count()
    charts = page.locator(".chart").count()
    expect(page.locator(".chart .main-svg:first-child")).to_have_count(charts)
    for place in range(1, slides + 1):
        expect(current(page)).to_have_attribute("id", f"slide-{place}")
        expect(current(page).locator("h2")).to_be_visible()
        hidden = current(page).evaluate("slide => slide.scrollHeight - slide.clientHeight")
        assert hidden <= 0, f"slide {place} does not fit"
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Home")
    expect(current(page)).to_have_attribute("id", "slide-1")


def test_what_the_file_displays_is_what_show_prints(offline: Callable[..., Page]) -> None:
    page = offline("resnet20")
    document = json.loads(json.dumps(run_document(LIBRARY, LIBRARY.run(usual("resnet20")))))
    embedded = page.evaluate("JSON.parse(document.getElementById('data').textContent).runs[0]")
    assert embedded == document
    shown = page.locator("data").evaluate_all("all => all.map(one => [one.value, one.textContent])")
    assert len(shown) > 40
    for field, text in shown:
        value = look_up(document, field)
        if isinstance(value, float) and re.fullmatch(r"−?[\d.]+", text):
            digits = len(text.partition(".")[2])
            assert f"{abs(value):.{digits}f}" == text.lstrip("−"), field


@pytest.mark.thorough
def test_the_address_holds_the_slide(offline: Callable[..., Page]) -> None:
    page = offline("digits_cnn")
    page.keyboard.press("End")
    expect(page).to_have_url(re.compile(r"#9$"))
    page.reload()
    page.locator("html.drawn").wait_for(timeout=WAIT_MS)
    expect(current(page)).to_have_attribute("id", "slide-9")


@pytest.mark.thorough
def test_it_follows_the_system_and_its_own_switch(offline: Callable[..., Page]) -> None:
    page = offline("digits_cnn", scheme="dark")
    background = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(background)
    page.keyboard.press("t")
    assert page.evaluate(background) != dark
    page.keyboard.press("t")
    assert page.evaluate(background) == dark


@pytest.mark.thorough
def test_charts_answer_the_pointer(offline: Callable[..., Page]) -> None:
    """They are drawn larger than designed, and a mark under the pointer is still the one that answers."""
    page = offline("resnet20")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    at = page.evaluate(
        """() => {
            const plot = document.querySelector('.slide.current .plot');
            const trace = plot.data[plot.data.length - 1];
            const at = trace.x.indexOf(Math.min(...trace.x));  // it stands alone
            const {xaxis, yaxis} = plot._fullLayout;
            const box = plot.getBoundingClientRect(), scale = box.width / plot.offsetWidth;
            return {
                x: box.left + scale * (xaxis._offset + xaxis.d2p(trace.x[at])),
                y: box.top + scale * (yaxis._offset + yaxis.d2p(trace.y[at])),
                said: trace.customdata[at],
            };
        }"""
    )
    page.mouse.move(at["x"], at["y"])
    name = re.match(r"<b>([\w.]+)", at["said"])
    assert name is not None
    expect(page.locator(".slide.current .hoverlayer")).to_contain_text(name[1])


@pytest.mark.thorough
def test_it_prints_one_slide_a_page(offline: Callable[..., Page], tmp_path: Path) -> None:
    page = offline("resnet20", scheme="dark")
    content = page.pdf(prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page\b", content)) == page.locator(".slide").count()
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    sizes = page.locator(".slide").evaluate_all("all => all.map(one => [one.offsetWidth, one.scrollHeight])")
    assert all(width == 1280 and height <= 720 for width, height in sizes)
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(27, 35, 48)"


@pytest.mark.thorough
def test_it_saves_its_data(offline: Callable[..., Page]) -> None:
    page = offline("digits_cnn")
    page.keyboard.press("End")
    for name, ending in (("JSON", "json"), ("CSV", "csv")):
        with page.expect_download() as started:
            page.get_by_role("button", name=re.compile(name)).click()
        assert started.value.suggested_filename == f"aiq-digits_cnn-{usual('digits_cnn')}.{ending}"


@pytest.mark.thorough
def test_it_reads_on_a_phone(offline: Callable[..., Page]) -> None:
    page = offline("resnet20", width=390)
    for _ in range(9):
        assert current(page).evaluate("slide => slide.scrollWidth - slide.clientWidth") <= 0
        page.keyboard.press("ArrowRight")
    smallest = page.locator(".plot text").evaluate_all(
        "all => Math.min(...all.filter(one => one.textContent && one.getBoundingClientRect().height)"
        ".map(one => one.getBoundingClientRect().height))"
    )
    assert smallest >= 8
