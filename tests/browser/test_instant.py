"""pages/instant in Chromium: below a path."""

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
        page.goto(f"{server.url}/?model=mobilenet_v2&alpha={BEFORE}")
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
    assert page.evaluate("window.here") is None  # loaded again, not run again
    assert {response.url: response.status for response in seen if response.status >= 400} == {}
    assert [response.url for response in seen if not response.url.startswith((server.url, "blob:"))] == []
