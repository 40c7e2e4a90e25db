"""Alpha and bits in Chromium: answered before the server has, and as the server will."""

import json
import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Route, WebSocketRoute, expect

pytestmark = pytest.mark.browser

Visit = Callable[..., Page]
Drawings = Callable[..., list[str]]

BEFORE, AFTER = "0.92", "0.91"
"""Alphas between which MobileNetV2's best policy of weights alone changes."""

WATCH = """
() => {
  window.early = [];
  new MutationObserver(() => {
    const ours = document.querySelector('.aiq-foreseen');
    if (ours && early.at(-1) !== ours.textContent) early.push(ours.textContent);
  }).observe(document.body, {subtree: true, childList: true});
}
"""


def opened(page: Page) -> None:
    """Waits until what is foreseen has come and nothing is to do."""
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(1500)
    page.wait_for_load_state("networkidle")
    page.evaluate(WATCH)


def press(page: Page, key: str) -> None:
    page.get_by_role("slider", name=re.compile("^Alpha")).first.focus()
    page.keyboard.press(key)


def answered(page: Page, alpha: str) -> None:
    """Waits for the server's answer, and until nothing of what was foreseen is left."""
    caption = page.locator('[data-testid="stCaptionContainer"]').filter(has_text=f"alpha {alpha}")
    expect(caption.first).to_be_visible(timeout=20_000)
    expect(page.locator(".aiq-foreseen")).to_have_count(0)


@pytest.mark.thorough
def test_alpha_is_answered_at_once_and_as_the_server_answers(app_server: str, visit: Visit, drawings: Drawings) -> None:
    page = visit(f"{app_server}/?space=weights&model=mobilenet_v2&alpha={BEFORE}")
    opened(page)
    before = drawings(page)
    press(page, "ArrowLeft")
    answered(page, AFTER)
    sentence = page.locator('[data-testid="stMain"] h4').inner_text()
    assert page.evaluate("early") == [sentence]
    other = visit(f"{app_server}/?space=weights&model=mobilenet_v2&alpha={AFTER}")
    assert other.locator('[data-testid="stMain"] h4').inner_text() == sentence
    assert drawings(page) == drawings(other) != before


@pytest.mark.thorough
def test_what_was_foreseen_wrongly_gives_way_to_the_server(app_server: str, visit: Visit, drawings: Drawings) -> None:
    def twisted(route: Route) -> None:
        found = route.fetch().json()
        found["at"] = [0 for _ in found["at"]]
        route.fulfill(body=json.dumps(found), content_type="application/json")

    page = visit(f"{app_server}/results")
    page.route("**/instant/explore?*", twisted)
    page.goto(f"{app_server}/?space=weights&model=mobilenet_v2&alpha={BEFORE}")
    expect(page.locator(".aiq-chart .main-svg").first).to_be_visible(timeout=20_000)
    opened(page)
    press(page, "ArrowLeft")
    answered(page, AFTER)
    assert page.evaluate("early.length") == 1
    page.wait_for_timeout(2000)
    other = visit(f"{app_server}/?space=weights&model=mobilenet_v2&alpha={AFTER}")
    for part in ('[data-testid="stMain"] h4', '[data-testid="stMetricValue"]'):
        assert page.locator(part).all_inner_texts() == other.locator(part).all_inner_texts()
    assert drawings(page) == drawings(other)


FORESEEN = "boxes.some(box => box.foreseen) && boxes.every(box => box.drawn === box.wanted)"


@pytest.mark.thorough
@pytest.mark.parametrize("keys", [("ArrowRight", "Space"), ("ArrowRight", "Space", "ArrowLeft", "ArrowLeft", "Space")])
def test_bits_are_answered_without_the_server_and_as_it_answers(
    app_server: str, visit: Visit, drawings: Drawings, keys: tuple[str, ...]
) -> None:
    sockets: list[WebSocketRoute] = []
    kept: list[str | bytes] | None = None

    def between(socket: WebSocketRoute) -> None:
        sockets.append(socket)
        server = socket.connect_to_server()
        server.on_message(lambda message: socket.send(message) if kept is None else kept.append(message))

    page = visit(f"{app_server}/results")
    page.route_web_socket("**/_stcore/stream", between)
    page.goto(f"{app_server}/lab?space=weights&budget=off&model=mobilenet_v2")
    expect(page.locator(".aiq-chart .main-svg").first).to_be_visible(timeout=20_000)
    opened(page)
    heading = page.locator('[data-testid="stMain"] h4')
    said, before = heading.inner_text(), drawings(page)

    kept = []
    page.get_by_role("radiogroup", name="Bits of").get_by_role("radio", checked=True).focus()
    for key in keys:
        page.keyboard.press(key)
    foreseen = drawings(page, FORESEEN)
    early = page.evaluate("early")
    messages, kept = kept, None
    for message in messages:
        sockets[-1].send(message)

    edited = page.locator('[data-testid="stCaptionContainer"]').filter(has_text="features.18.0 4 bits → ")
    expect(edited.first).to_be_visible(timeout=20_000)
    expect(page.locator(".aiq-foreseen")).to_have_count(0)
    assert early[-1] == heading.inner_text() != said
    assert drawings(page) == foreseen != before
