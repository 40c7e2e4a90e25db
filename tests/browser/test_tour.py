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
