"""The server's first answer in Chromium: seen without Streamlit's page, and handed over to it without a jump."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

pytestmark = pytest.mark.browser

Visit = Callable[..., Page]

PLACES = """
root => ['h4', '[data-chart], .aiq-chart'].flatMap(part => {
  const nodes = [...document.querySelectorAll(`${root} :is(${part})`)];
  return nodes.map(node => node.getBoundingClientRect()).map(({x, y, width}) => [x, y, width]);
})
"""
"""Left, top and width of the sentence and of each chart."""


@pytest.fixture
def alone(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens a URL in a browser that Streamlit's scripts do not reach."""
    pages: list[Page] = []

    def open_page(url: str, scheme: str = "light", width: int = 1440, height: int = 900) -> Page:
        page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]
        pages.append(page)
        page.route("**/static/js/**", lambda route: route.abort())
        page.goto(url)
        page.wait_for_function("() => document.querySelectorAll('#aiq-first [data-chart] .main-svg').length >= 3")
        page.evaluate("() => document.fonts.ready")
        return page

    yield open_page
    for page in pages:
        page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_message_and_the_charts_need_no_streamlit(app_server: str, alone: Visit, scheme: str) -> None:
    page = alone(f"{app_server}/?alpha=0.9", scheme)
    expect(page.locator("#aiq-first h4")).to_contain_text("more work per byte")
    background = page.locator("#aiq-first").evaluate("node => getComputedStyle(node).backgroundColor")
    assert background == {"light": "rgb(255, 255, 255)", "dark": "rgb(18, 22, 28)"}[scheme]


@pytest.mark.thorough
@pytest.mark.parametrize(("width", "height"), [(1440, 900), (390, 844)])
def test_nothing_jumps(app_server: str, alone: Visit, visit: Visit, width: int, height: int) -> None:
    url = f"{app_server}/?model=mobilenet_v2&alpha=0.5"
    before = alone(url, width=width, height=height).evaluate(PLACES, "#aiq-first")
    page = visit(url, width=width, height=height)
    expect(page.locator("#aiq-first")).not_to_be_visible()
    after = page.evaluate(PLACES, '[data-testid="stMain"]')
    assert len(before) == len(after) == 4
    # On a phone the sentence and the first chart; what is further down is not on the screen.
    for early, late in list(zip(before, after, strict=True))[: 4 if width > 1000 else 2]:
        assert early == pytest.approx(late, abs=2)


COLOURS = """
nodes => nodes.map(node => getComputedStyle(node)).map(({color, backgroundColor}) => [color, backgroundColor])
"""


@pytest.mark.thorough
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_changes_have_the_pages_colours(app_server: str, alone: Visit, visit: Visit, scheme: str) -> None:
    before = alone(app_server, scheme).locator("#aiq-first .numbers span").evaluate_all(COLOURS)
    after = visit(app_server, scheme=scheme).locator('[data-testid="stMetricDelta"]').evaluate_all(COLOURS)
    assert before == after
    assert len(before) == 6


@pytest.mark.thorough
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_takes_the_charts_over_as_it_would_draw_them(
    app_server: str, browser: Browser, visit: Visit, drawings: Callable[[Page], list[str]], scheme: str
) -> None:
    url = f"{app_server}/?alpha=0.5"
    page = visit(url, scheme=scheme)
    assert page.locator(".aiq-chart[data-chart=roofline]").count() == 1
    without = browser.new_page(viewport={"width": 1440, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    without.add_init_script("Object.defineProperty(window, 'aiqInstant', {get() {}, set() {}})")
    without.goto(url)
    expected = drawings(without)
    assert without.locator(".aiq-chart[data-chart]").count() == 0
    assert drawings(page) == expected
    without.close()


def test_a_chart_taken_over_is_alive(app_server: str, visit: Visit) -> None:
    page = visit(app_server)
    page.locator(".aiq-chart").first.hover()
    expect(page.locator(".aiq-chart").first.locator(".modebar-btn").first).to_be_visible()
    width = page.locator(".aiq-chart .main-svg").first.evaluate("node => node.clientWidth")
    page.set_viewport_size({"width": 1200, "height": 900})
    page.wait_for_function(
        "width => document.querySelector('.aiq-chart .main-svg').clientWidth < width - 20", arg=width
    )
