"""Learn in Chromium: a guess, its ghost, the answer, the next lesson, and a link that restores all of it."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser

MAIN = '[data-testid="stMain"]'
Visit = Callable[..., Page]
Settle = Callable[..., None]


def traces(page: Page) -> list[str]:
    """Names of the first chart's traces."""
    found: list[str] = page.evaluate("[...document.querySelector('.js-plotly-plot').data].map(t => t.name ?? '')")
    return found


def scrolls(page: Page) -> bool:
    hidden = page.evaluate(f"(main => main.scrollHeight - main.clientHeight)(document.querySelector('{MAIN}'))")
    return bool(hidden > 0)


def test_guess_reveal_ghost_next_and_the_link(app_server: str, visit: Visit, settle: Settle) -> None:
    page = visit(f"{app_server}/learn")
    expect(page.locator(f"{MAIN} h4").first).to_contain_text("memory-bound")
    assert "guess first" in traces(page)
    page.locator(MAIN).get_by_text("½ ×: the ridge moved right").click()
    expect(page).to_have_url(re.compile(r"guess=1-2"))
    page.get_by_role("button", name="Check my guess").click()
    expect(page.get_by_text("Not quite.")).to_be_visible(timeout=20_000)
    settle(page)
    assert "your guess" in traces(page)
    assert "guess first" not in traces(page)
    page.get_by_role("button", name="Next").click()
    expect(page.locator(f"{MAIN} h4").first).to_contain_text("batch 1", timeout=20_000)
    expect(page).to_have_url(re.compile(r"step=2"))

    again = visit(page.url.replace("step=2", "step=1"))
    expect(again.get_by_text("Not quite.")).to_be_visible(timeout=20_000)
    assert "your guess" in traces(again)


@pytest.mark.thorough
@pytest.mark.thorough
@pytest.mark.parametrize("step", range(1, 9))
def test_a_lesson_is_one_screen(app_server: str, visit: Visit, step: int) -> None:
    page = visit(f"{app_server}/learn?step={step}")
    assert not scrolls(page)


@pytest.mark.thorough
@pytest.mark.parametrize("step", [3, 5, 7])
def test_a_phone_is_not_scrolled_sideways(app_server: str, visit: Visit, step: int) -> None:
    page = visit(f"{app_server}/learn?step={step}&done={step}", scheme="dark", width=390)
    sideways = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert sideways <= 0


@pytest.mark.thorough
def test_a_search_plays_in_the_browser_and_the_page_follows(app_server: str, visit: Visit) -> None:
    page = visit(f"{app_server}/learn?step=5")
    first = page.evaluate("document.querySelector('.js-plotly-plot').layout.annotations[0].text")
    assert "step 1" in first
    page.locator(".updatemenu-button").first.click()
    page.wait_for_function(
        "() => document.querySelector('.js-plotly-plot').layout.annotations[0].text.includes('step 3')", timeout=20_000
    )
    page.locator(".updatemenu-button").last.click()
    expect(page.locator(f"{MAIN} h4").first).to_contain_text(re.compile(r"Step [3-6] of"), timeout=20_000)
    stopped = page.locator(f"{MAIN} h4").first.inner_text().split()[1]
    assert f"step {stopped}:" in page.evaluate("document.querySelector('.js-plotly-plot').layout.annotations[0].text")
    assert f"move={stopped}" in page.url


@pytest.mark.thorough
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_search_plays_by_keyboard(app_server: str, visit: Visit, scheme: str) -> None:
    page = visit(f"{app_server}/learn?step=5", scheme=scheme)
    play, stop = (page.get_by_role("button", name=name, exact=True) for name in ("play", "stop"))
    page.get_by_role("button", name="CSV").focus()
    page.keyboard.press("Tab")
    expect(play).to_be_focused()
    edges = [each.locator("rect").evaluate("rect => getComputedStyle(rect).stroke") for each in (play, stop)]
    assert edges[0] != edges[1], "the focus cannot be seen"
    page.keyboard.press("Enter")
    page.wait_for_function("document.querySelector('.js-plotly-plot').layout.annotations[0].text.includes('step 2')")
    page.keyboard.press("Tab")
    expect(stop).to_be_focused()
    page.keyboard.press("Space")
    expect(page.locator(f"{MAIN} h4").first).to_contain_text(re.compile(r"Step [2-4] of"), timeout=20_000)
    expect(stop).to_be_focused()


@pytest.mark.thorough
def test_alpha_sweeps_by_keyboard(app_server: str, visit: Visit) -> None:
    page = visit(f"{app_server}/learn?step=6")
    sweep = page.get_by_role("button", name="sweep", exact=True)
    expect(sweep).to_have_count(0)
    page.get_by_role("button", name="Show me").click()
    sweep.focus()
    page.keyboard.press("Space")
    page.wait_for_function("document.querySelector('.js-plotly-plot').layout.annotations[0].text.includes('alpha 0.1')")


@pytest.mark.thorough
def test_a_clicked_bar_picks_its_weight(app_server: str, visit: Visit, settle: Settle) -> None:
    page = visit(f"{app_server}/learn?step=3")
    formula: Any = page.locator(MAIN).get_by_text(re.compile("8 → 4 bits")).first
    before = formula.inner_text()
    box = page.locator(".js-plotly-plot").first.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 0.62 * box["width"], box["y"] + 0.72 * box["height"])
    # The click has to travel to the script first, which a busy machine may leave waiting.
    for _ in range(60):
        page.wait_for_timeout(250)
        settle(page)
        if formula.inner_text() != before:
            break
    assert formula.inner_text() != before
