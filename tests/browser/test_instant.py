"""pages/instant in Chromium: below a path, switched off, and what it relies on inside Streamlit."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, Response, expect

pytestmark = pytest.mark.browser

Visit = Callable[..., Page]

HEADING = '[data-testid="stMain"] h4'
FORESEEN = """
() => {
  window.early = [];
  new MutationObserver(() => {
    const ours = document.querySelector('.aiq-foreseen');
    if (ours) early.push(ours.textContent);
  }).observe(document.body, {subtree: true, childList: true});
}
"""
BEFORE, AFTER = "0.92", "0.91"
"""Alphas between which MobileNetV2's best policy changes."""


def says(page: Page, words: str) -> None:
    """Waits for a line of small text that holds these words."""
    expect(page.locator('[data-testid="stCaptionContainer"]').filter(has_text=words).first).to_be_visible(
        timeout=20_000
    )


@pytest.mark.thorough
def test_below_a_path_all_of_it_acts(
    start_server: Callable[..., Any], visit: Visit, settle: Callable[..., None]
) -> None:
    server = start_server(below="/aiq")
    page, seen = visit(f"{server.url}/results"), list[Response]()
    page.on("response", lambda response: seen.append(response))
    with page.expect_response("**/aiq/instant/explore?*"):
        page.goto(f"{server.url}/?space=weights&model=mobilenet_v2&alpha={BEFORE}")
        settle(page)
    assert page.locator(".aiq-chart[data-chart=roofline]").count() == 1
    sentence = page.locator(HEADING).inner_text()
    page.evaluate(FORESEEN)
    page.wait_for_timeout(500)
    page.get_by_role("slider", name=re.compile("^Alpha")).first.focus()
    page.keyboard.press("ArrowLeft")
    says(page, f"alpha {AFTER}")
    expect(page.locator(".aiq-foreseen")).to_have_count(0)
    assert page.evaluate("early")[-1] == page.locator(HEADING).inner_text() != sentence
    page.get_by_role("button", name="Pin as A").click()
    page.wait_for_url("**pin=**")
    page.evaluate("window.here = true")
    page.go_back()
    expect(page.get_by_role("button", name="Pin as A")).to_be_visible(timeout=20_000)
    assert page.evaluate("window.here") is True and "pin=" not in page.url
    assert {response.url: response.status for response in seen if response.status >= 400} == {}
    assert [response.url for response in seen if not response.url.startswith((server.url, "blob:"))] == []


@pytest.mark.thorough
def test_switched_off_the_app_is_whole(
    start_server: Callable[..., Any], visit: Visit, settle: Callable[..., None]
) -> None:
    server, asked = start_server(environment={"AIQ_INSTANT": "0"}), list[str]()
    page = visit(
        f"{server.url}/lab?space=weights&budget=off&model=mobilenet_v2"
    )  # the first visitor, by a link to a sub-page
    page.on("request", lambda request: asked.append(request.url))
    sentence = page.locator(HEADING).inner_text()
    page.get_by_role("radiogroup", name="Bits of").get_by_role("radio", checked=True).focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    says(page, "features.18.0 4 bits → ")
    expect(page.locator(HEADING)).not_to_have_text(sentence)

    page.get_by_role("link", name="Explore", exact=True).first.click()
    settle(page)
    sentence = page.locator(HEADING).inner_text()
    page.get_by_role("slider", name=re.compile("^Alpha")).first.focus()
    page.keyboard.press("Home")
    says(page, "alpha 0.00")
    expect(page.locator(HEADING)).not_to_have_text(sentence)

    for name in ("Search", "Present", "Learn", "Results"):
        before = page.locator(HEADING).first.inner_text()
        page.get_by_role("link", name=name, exact=True).first.click()
        expect(page.locator(HEADING).first).not_to_have_text(before, timeout=20_000)
        settle(page)
    page.evaluate("window.here = true")
    # Streamlit's own steps, of which each value that a page writes into its address is one.
    for _ in range(3):
        page.go_back()
        page.wait_for_timeout(500)
        if page.url.split("?")[0].endswith("/learn"):
            break
    expect(page.get_by_role("button", name="Next")).to_be_visible(timeout=20_000)
    assert page.evaluate("[window.here, window.aiqInstant]") == [True, None]
    assert [url for url in asked if "/instant/" in url] == []


def true_of(page: Page, facts: dict[str, str]) -> None:
    assert {fact: page.evaluate(script) for fact, script in facts.items()} == dict.fromkeys(facts, True)


@pytest.mark.thorough
def test_streamlits_page_is_as_it_is_relied_on(app_server: str, visit: Visit, settle: Callable[..., None]) -> None:
    page = visit(app_server)
    slider = page.get_by_role("slider", name=re.compile("^Alpha")).first
    slider.focus()
    true_of(
        page,
        {
            "the heading's text, and in it what is coloured": """
                document.querySelectorAll('[data-testid="stMain"] h4 [data-heading-text] > .stMarkdownColoredText')
                  .length === 1""",
            "the slider is what has the focus, and says its label and its number": """
                document.activeElement.ariaLabel === 'Alpha: accuracy ↔ intensity'
                  && document.activeElement.ariaValueText === '0.90'""",
            "the sidebar and the header stand above the first screen": """
                ['stSidebar', 'stHeader'].every(
                  name => getComputedStyle(document.querySelector(`[data-testid=${name}]`)).zIndex > 1)""",
            "a component's element is in the page's own DOM": """
                document.querySelector('.aiq-chart').getRootNode() === document""",
            "the theme is kept for the path": """localStorage['stActiveTheme-/-v2'] === '"System"'""",
        },
    )

    page.evaluate("for (const box of document.querySelectorAll('.aiq-chart')) box.before = box.asked")
    thumb = slider.evaluate("node => node.closest('[data-rac]').getBoundingClientRect().toJSON()")
    x, y = thumb["x"] + thumb["width"] / 2, thumb["y"] + thumb["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 300, y, steps=4)
    page.wait_for_timeout(400)
    true_of(page, {"a slider does not ask while it is held": "!location.search.includes('alpha')"})
    page.mouse.up()
    page.wait_for_url("**alpha=0*")
    settle(page)
    page.wait_for_function("document.querySelector('.aiq-chart').asked !== document.querySelector('.aiq-chart').before")
    true_of(
        page,
        {
            "a component's element stays, also one that took its place": """
                [...document.querySelectorAll('.aiq-chart')].every(box => box.before)
                  && document.querySelector('.aiq-chart').dataset.chart === 'roofline'""",
        },
    )

    page.goto(f"{app_server}/lab?space=weights&alpha=7")
    settle(page)
    page.get_by_role("radio", checked=True).first.focus()
    true_of(
        page,
        {
            "a warning": """document.querySelector('[data-testid="stMain"] [data-testid="stAlert"]') !== null""",
            "the segmented control says its label, and its radios, in order, which of them is on": """(() => {
                const group = document.activeElement.closest('[role="radiogroup"]');
                const radios = [...group.querySelectorAll('[role="radio"]')];
                return group.ariaLabel === 'Bits of layer3.0.conv2'
                  && radios.map(radio => radio.ariaChecked).join() === 'false,false,false,false,false,true,false,false'
                  && radios.map(radio => radio.innerText.slice(2)).join() === 'FP32,8,7,6,5,4,3,2';
            })()""",
        },
    )


@pytest.mark.thorough
def test_a_theme_that_was_chosen_is_the_first_answers_too(app_server: str, visit: Visit) -> None:
    page = visit(f"{app_server}/results", scheme="light")
    page.evaluate("""localStorage.setItem('stActiveTheme-/-v2', '"Dark"')""")
    page.goto(app_server)
    expect(page.locator("html")).to_have_class("aiq-dark")
    expect(page.locator('[data-testid="stApp"]')).to_have_css("background-color", "rgb(18, 22, 28)")
