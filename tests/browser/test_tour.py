"""All pages in one visit in Chromium: what one page leaves in the browser must not trouble the next."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.thorough]


def test_every_page_works_after_another(
    app_server: str, visit: Callable[..., Page], settle: Callable[..., None]
) -> None:
    page = visit(f"{app_server}/present")
    for name in ("Explore", "Search", "Lab", "Results", "Learn", "Present", "Lab"):
        page.get_by_role("link", name=name, exact=True).first.click()
        if name == "Present":
            page.frame_locator("iframe[title^='Slides:']").locator("html.drawn").wait_for(timeout=30_000)
            continue
        if name != "Search":
            expect(page.locator(".aiq-chart .main-svg").first).to_be_visible(timeout=30_000)
        settle(page)


CHARTED = ("", "search", "lab", "results", *(f"learn?step={step}" for step in range(1, 7)))

OUTSIDE = """
() => [...document.querySelectorAll('.aiq-chart')].flatMap(box => {
  const around = box.getBoundingClientRect();
  return [...box.querySelectorAll('text')].filter(text => {
    const {left, right, top, bottom, width} = text.getBoundingClientRect();
    const beyond = Math.max(around.left - left, right - around.right, around.top - top, bottom - around.bottom);
    return width > 0 && getComputedStyle(text).opacity !== '0' && beyond > 1;
  }).map(text => `${box.asked.key}: ${text.textContent}`);
})
"""
"""Texts that a chart's edge cuts off."""


@pytest.mark.parametrize(("width", "projector"), [(390, False), (1440, True)])
def test_charts_cut_no_text_off(app_server: str, visit: Callable[..., Page], width: int, projector: bool) -> None:
    found: list[str] = []
    for path in CHARTED:
        more = f"{'&' if '?' in path else '?'}projector=true" if projector else ""
        page = visit(f"{app_server}/{path}{more}", width=width)
        expect(page.locator(".aiq-chart .main-svg").first).to_be_visible(timeout=30_000)
        found += page.evaluate(OUTSIDE)
        page.close()
    assert found == []


def test_back_and_forward_show_what_their_address_says(app_server: str, visit: Callable[..., Page]) -> None:
    page = visit(f"{app_server}/learn")
    message = page.locator('[data-testid="stMain"] h4').first
    first = message.inner_text()
    page.get_by_role("button", name="Next").click()
    expect(message).to_contain_text("at batch 1", timeout=20_000)
    page.wait_for_url("**/learn?step=2")
    page.go_back()
    expect(message).to_have_text(first, timeout=20_000)
    assert page.url == f"{app_server}/learn"
    page.go_forward()
    expect(message).to_contain_text("at batch 1", timeout=20_000)
    # From page to page they are Streamlit's.
    page.get_by_role("link", name="Results", exact=True).first.click()
    expect(message).to_contain_text("claims", timeout=20_000)
    page.go_back()
    expect(message).to_contain_text("at batch 1", timeout=20_000)
