"""All pages in one visit, in Chromium and Firefox: what one page leaves in the browser must not trouble the next."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from benchmarks._browser import DRAWN

pytestmark = [pytest.mark.browser, pytest.mark.thorough]


def test_every_page_works_after_another(
    app_server: str, visit: Callable[..., Page], settle: Callable[..., None]
) -> None:
    page = visit(f"{app_server}/present")
    for name in ("Explore", "Search", "Lab", "Models", "Roofline", "Deploy", "Results", "Learn", "Present", "Lab"):
        page.get_by_role("link", name=name, exact=True).first.click()
        if name == "Present":
            page.frame_locator(SLIDES).locator("html.drawn").wait_for(timeout=30_000)
            continue
        if name not in ("Search", "Models", "Deploy"):
            expect(page.locator(".aiq-chart .main-svg").first).to_be_visible(timeout=30_000)
        settle(page)


SLIDES = "iframe[title^='Slides:']"
CHARTS = {
    **{
        "": 3,
        "search": 2,
        "lab": 3,
        "models": 0,
        "roofline": 2,
        "deploy": 0,
        "results": 2,
        "learn": 1,
        "learn?step=5": 1,
    },
    "present": 0,
}
"""How many charts each page opens with; Present's are in its frame."""

SETTLED = f"""
const main = document.querySelector('[data-testid="stMain"]');
return main?.innerText && !main.querySelector('[data-stale="true"]') && ({DRAWN})() &&
  document.querySelectorAll('.aiq-chart').length >= arguments[0];
"""

FRAME = """
const within = node => node.shadowRoot?.querySelector(arguments[0]);
return within([...document.querySelectorAll('[data-testid="stMain"] *')].find(within) ?? document.body);
"""

FAULTS = """
const boxes = [...document.querySelectorAll('[data-testid="stException"]')].map(box => box.innerText);
const buttons = document.querySelectorAll('[data-testid="stPopoverButton"]');
if (!buttons.length && !['/models', '/deploy', '/results'].includes(location.pathname)) boxes.push('no popover');
// Not scrollWidth, which is rounded: a label that lacks a sixtieth of a pixel loses letters.
const cut = [...buttons].map(button => button.querySelector('[data-testid="stMarkdownContainer"]')).filter(label => {
  const text = document.createRange();
  text.selectNodeContents(label);
  return text.getBoundingClientRect().width > label.getBoundingClientRect().width + 0.01;
});
return [...boxes, ...cut.map(label => `cut: ${label.textContent}`)];
"""

SAID = """
const events = Cc["@mozilla.org/consoleAPI-storage;1"].getService(Ci.nsIConsoleAPIStorage);
const said = events.getEvents().filter(one => one.level === 'error').map(one => one.arguments.join(' '));
events.clearEvents();
return said;
"""
"""What scripts wrote into the console as errors since the page before."""

THROWN = """
return Services.console.getMessageArray()
  .filter(one => one instanceof Ci.nsIScriptError && !(one.flags & Ci.nsIScriptError.warningFlag))
  .filter(one => one.sourceName.startsWith(arguments[0])).map(one => `${one.errorMessage} (${one.sourceName})`);
"""
"""Errors that no script caught."""


@pytest.mark.timeout(300)
def test_every_page_works_in_firefox(app_server: str, firefox: Any) -> None:
    from marionette_driver import Wait

    def wait_for(script: str, *arguments: Any) -> Any:
        return Wait(firefox, timeout=60).until(lambda client: client.execute_script(script, arguments), message=script)

    found: list[str] = []
    for path, charts in CHARTS.items():
        firefox.navigate(f"{app_server}/{path}")
        wait_for(SETTLED, charts)
        if path == "present":
            firefox.switch_to_frame(wait_for(FRAME, SLIDES))
            wait_for("return document.documentElement?.classList.contains('drawn')")
            firefox.switch_to_frame()
        found += [f"{path}: {fault}" for fault in firefox.execute_script(FAULTS)]
        found += [f"{path}: {error}" for error in firefox.execute_script(SAID, sandbox="system")]
    with firefox.using_context("chrome"):
        found += firefox.execute_script(THROWN, [app_server])
    assert not found, "\n".join(found)


CHARTED = ("", "search", "lab", "roofline", "results", *(f"learn?step={step}" for step in range(1, 8)))

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


@pytest.mark.parametrize(("width", "projector"), [(390, False), (1440, True), (390, True)])
def test_charts_cut_no_text_off(app_server: str, visit: Callable[..., Page], width: int, projector: bool) -> None:
    found: list[str] = []
    for path in CHARTED:
        more = f"{'&' if '?' in path else '?'}projector=true" if projector else ""
        page = visit(f"{app_server}/{path}{more}", width=width)
        expect(page.locator(".aiq-chart .main-svg").first).to_be_visible(timeout=30_000)
        found += page.evaluate(OUTSIDE)
        page.close()
    assert found == []


ROWS = """
rows => rows.map(row => [...row.cells].map(cell => {
  const {left, right, top} = cell.firstElementChild.getBoundingClientRect();
  return {name: getComputedStyle(cell, '::before').content, text: cell.innerText.trim(), left, right, top};
}))
"""


def test_a_claim_is_read_on_a_phone(app_server: str, visit: Callable[..., Page]) -> None:
    page = visit(f"{app_server}/results", width=390)
    rows = page.locator('[data-testid="stTable"]').first.locator("tbody tr").evaluate_all(ROWS)
    assert len(rows) > 10
    for _, claim, *figures in rows:
        assert claim["right"] - claim["left"] > 250
        shown = [figure for figure in figures if figure["text"]]
        assert [figure["name"] for figure in shown] == ['"Paper"', '"Here (95 %)"', '"Run"'][: len(shown)]
        assert all(figure["top"] > claim["top"] and 0 < figure["right"] < 390 for figure in shown)
    page.get_by_role("tab", name="Ours").click()
    ours = page.locator('[data-testid="stTable"]').last.locator("tbody tr").evaluate_all(ROWS)
    assert {cell["name"] for row in ours for cell in row[2:]} == {'"Here (95 %)"', '"Run"'}


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
