"""Explore in Chromium: what only a browser can see. `visit` fails a test on any error box or console error of ours."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote_plus

import pytest
from playwright.sync_api import Page, expect

from tests import bundled

pytestmark = pytest.mark.browser

HEADING = '[data-testid="stMain"] h4'
Visit = Callable[..., Page]
Settle = Callable[..., None]


def chart(page: Page, place: int) -> Any:
    """The chart in this place: roofline, trade-off, bits."""
    return page.locator(".aiq-chart").nth(place)


def heading(page: Page) -> str:
    return page.locator(HEADING).first.inner_text()


def caption(page: Page, words: str) -> None:
    """Waits for a line of small text that holds these words."""
    expect(page.locator('[data-testid="stCaptionContainer"]').filter(has_text=words).first).to_be_visible(
        timeout=20_000
    )


def press_alpha(page: Page, key: str) -> None:
    page.get_by_role("slider", name=re.compile("^Alpha")).first.focus()
    page.keyboard.press(key)


def mark_named(page: Page, key: str) -> dict[str, float]:
    """Where the trade-off's mark of a policy stands on the screen, in pixels."""
    found: dict[str, float] | None = page.evaluate(
        """key => {
            const plot = document.querySelectorAll('.js-plotly-plot')[1];
            const {xaxis, yaxis} = plot._fullLayout;
            const box = plot.getBoundingClientRect();
            for (const trace of plot.data) {
                const at = [...(trace.customdata ?? [])].indexOf(key);
                if (at >= 0) return {
                    x: box.left + xaxis._offset + xaxis.d2p(trace.x[at]),
                    y: box.top + yaxis._offset + yaxis.d2p(trace.y[at]),
                };
            }
            return null;
        }""",
        key,
    )
    assert found is not None, f"no mark of {key}"
    return found


@pytest.mark.parametrize(
    ("scheme", "width"),
    [
        ("light", 1440),
        *(pytest.param(*more, marks=pytest.mark.thorough) for more in (("dark", 1440), ("light", 390), ("dark", 390))),
    ],
)
def test_it_opens_with_its_message_and_three_charts(app_server: str, visit: Visit, scheme: str, width: int) -> None:
    page = visit(app_server, scheme=scheme, width=width)
    assert "more work per byte" in heading(page)
    expect(page.locator(".aiq-chart .main-svg").first).to_be_visible()
    expect(page.locator(".aiq-chart")).to_have_count(3, timeout=20_000)
    sideways = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert sideways <= 0


def test_the_first_screen_fits_without_scrolling(app_server: str, visit: Visit) -> None:
    page = visit(app_server)
    hidden = page.evaluate(
        "(main => main.scrollHeight - main.clientHeight)(document.querySelector('[data-testid=stMain]'))"
    )
    assert hidden <= 0


def test_a_chart_opens_in_full_screen_and_offers_no_upload(app_server: str, visit: Visit) -> None:
    page = visit(app_server)
    chart(page, 1).hover()
    buttons = chart(page, 1).locator(".modebar-btn")
    titles = buttons.evaluate_all("buttons => buttons.map(button => button.dataset.title)")
    assert titles == ["Download plot", "Zoom in", "Zoom out", "Reset axes", "Full screen"]
    buttons.last.click()
    page.wait_for_function("document.fullscreenElement?._fullLayout.width === innerWidth")
    page.evaluate("document.exitFullscreen()")
    fits = "box => Math.abs(box.clientWidth - box._fullLayout.width) < 1"
    page.wait_for_function(f"[...document.querySelectorAll('.aiq-chart')].every({fits})")


def test_a_popover_is_filled_when_it_opens_and_empty_when_it_closed(app_server: str, visit: Visit) -> None:
    page = visit(app_server)
    button = page.get_by_role("button", name="Share", exact=False).first
    body = page.locator('[data-testid="stPopoverBody"]')
    button.click()
    expect(body.get_by_text("more work per byte")).to_be_visible()
    expect(body.get_by_text("http://")).to_be_visible()
    page.keyboard.press("Escape")
    expect(body).to_have_count(0)
    button.click()
    expect(body.get_by_text("http://")).to_be_visible()


@pytest.mark.thorough
def test_a_chart_changed_in_place_is_the_chart_of_a_new_visit(
    app_server: str, visit: Visit, settle: Settle, drawings: Callable[[Page], list[str]]
) -> None:
    page = visit(f"{app_server}/?space=weights&alpha=0.95&model=mobilenet_v2")
    before = drawings(page)
    for _ in range(5):
        press_alpha(page, "ArrowLeft")
    caption(page, "alpha 0.90")
    settle(page)
    page.wait_for_timeout(500)
    changed = drawings(page)
    assert [one != other for one, other in zip(before, changed, strict=True)] == [True, True, True]
    assert changed == drawings(visit(f"{app_server}/?space=weights&alpha=0.90&model=mobilenet_v2"))


def test_every_chart_gives_its_data(app_server: str, visit: Visit) -> None:
    page = visit(app_server)
    found = {}
    for button in page.get_by_role("button", name="CSV").all():
        with page.expect_download() as started:
            button.click()
        found[started.value.suggested_filename] = started.value.path().read_text(encoding="utf-8").splitlines()
    assert sorted(found) == ["resnet20-bits.csv", "resnet20-roofline.csv", "resnet20-trade-off.csv"]
    assert len(found["resnet20-bits.csv"]) == 1 + len(bundled.profile("resnet20").sites)
    assert found["resnet20-roofline.csv"][0].startswith("model,machine,batch,layer,")
    assert len(found["resnet20-trade-off.csv"]) > 100


@pytest.mark.thorough
def test_every_chart_has_a_text_for_screen_readers(app_server: str, visit: Visit) -> None:
    page = visit(app_server)
    for place, word in enumerate(("Roofline", "FLOPs per byte", "Bits of weights and activations")):
        labelled = chart(page, place).locator(f'xpath=ancestor-or-self::*[contains(@aria-label, "{word}")]')
        inside = chart(page, place).locator(f'[aria-label*="{word}"]')
        assert labelled.count() + inside.count() > 0


def test_an_arrow_key_on_alpha_changes_the_page_and_its_address(app_server: str, visit: Visit) -> None:
    page = visit(app_server)
    press_alpha(page, "ArrowLeft")
    caption(page, "alpha 0.89")
    expect(page).to_have_url(re.compile(r"[?&]alpha=0\.89"))


@pytest.mark.thorough
def test_a_click_on_a_mark_drives_every_view(app_server: str, visit: Visit) -> None:
    page = visit(f"{app_server}/?space=weights")
    key = bundled.profile("resnet20").uniform(8).key
    at = mark_named(page, key)
    page.mouse.click(at["x"], at["y"])
    caption(page, "all 20 layers at 8 bits")
    caption(page, "the policy you picked")
    page.wait_for_function(
        "[...document.querySelectorAll('.js-plotly-plot')[2]?.data[0].text ?? []].join() == Array(20).fill(8).join()"
    )
    # The ring lies where the mark does, as on a new visit.
    ring = "JSON.stringify(document.querySelectorAll('.js-plotly-plot')[1].layout.shapes.at(-1))"
    page.wait_for_timeout(500)
    found = page.evaluate(ring)
    assert found == visit(f"{app_server}/?space=weights&policy={quote_plus(key)}").evaluate(ring)
    assert found != visit(f"{app_server}/?space=weights").evaluate(ring)


def test_a_deep_link_is_followed_by_the_first_visitor(start_server: Callable[..., Any], visit: Visit) -> None:
    server = start_server()
    key = bundled.profile("mobilenet_v2").uniform(4).key
    page = visit(f"{server.url}/?space=weights&model=mobilenet_v2&machine=pi-5&policy={quote_plus(key)}")
    assert heading(page).startswith(bundled.model("mobilenet_v2").title)
    assert "Raspberry Pi 5" in heading(page)
    caption(page, "layers at 4 bits")


def test_a_pinned_policy_is_compared_with_the_next(app_server: str, visit: Visit, settle: Settle) -> None:
    page = visit(app_server)
    page.get_by_role("button", name="Pin as A").click()
    expect(page).to_have_url(re.compile("pin="))
    press_alpha(page, "Home")
    caption(page, "alpha 0.00")
    settle(page)
    expect(page.locator('[data-testid="stMarkdown"]').filter(has_text="B differs from A in")).to_be_visible()
    page.get_by_role("button", name="Unpin A").click()
    expect(page.get_by_role("button", name="Pin as A")).to_be_visible()


@pytest.mark.thorough
def test_the_way_back_draws_the_overlays_of_its_address(app_server: str, visit: Visit, settle: Settle) -> None:
    points = (
        "document.querySelectorAll('.js-plotly-plot')[1]?.data?.reduce((n, trace) => n + (trace.x?.length ?? 0), 0)"
    )
    page = visit(f"{app_server}/?paper=true")
    with_paper = page.evaluate(points)
    page.get_by_role("button", name="Pin as A").click()
    page.wait_for_url(re.compile("pin="))
    page.get_by_role("button", name="Table").first.click()
    page.get_by_text("The paper's points").click()
    page.wait_for_function(f"{points} < {with_paper}")
    settle(page)
    page.go_back(wait_until="commit")
    page.wait_for_url(f"{app_server}/?paper=true")
    page.wait_for_function(f"{points} === {with_paper}")


def test_a_search_runs_to_its_end_and_joins_the_views(
    start_server: Callable[..., Any], visit: Visit, settle: Settle
) -> None:
    server = start_server()
    page = visit(f"{server.url}/?model=digits_cnn&from=greedy&alpha=0.77")
    page.get_by_role("button", name="Search exactly here").click()
    expect(page.locator('[data-testid="stCaptionContainer"]').filter(has_text="is done").first).to_be_visible(
        timeout=100_000
    )
    settle(page)
    caption(page, "greedy at alpha 0.77")
    expect(page.get_by_role("button", name="Search exactly here")).to_have_count(0)


def test_a_bad_link_says_so(app_server: str, visit: Visit) -> None:
    page = visit(f"{app_server}/?alpha=7")
    expect(page.get_by_text("alpha='7' is not offered")).to_be_visible()
    assert "more work per byte" in heading(page)
