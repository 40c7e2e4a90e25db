"""The Lab in Chromium: a click picks a layer, bits move every view, undo and redo, measure, flips, save, a link."""

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from aiq_core.charts.style import GLYPHS
from tests import bundled

pytestmark = pytest.mark.browser

Visit = Callable[..., Page]
Settle = Callable[..., None]
LONG_MS = 100_000
DIGITS = bundled.profile("digits_cnn")


def heading(page: Page) -> str:
    return page.locator('[data-testid="stMain"] h4').first.inner_text()


def metric(page: Page, label: str) -> Any:
    return page.locator('[data-testid="stMetric"]').filter(has_text=label).locator('[data-testid="stMetricValue"]')


def click_layer(page: Page, place: int) -> None:
    """Clicks high above a layer's bar, where only its field is."""
    click_field(page, place, 1)


def click_group(page: Page, place: int) -> None:
    """Clicks far below an activation group's bar."""
    click_field(page, place, -1)


def click_field(page: Page, place: int, side: int) -> None:
    at = page.evaluate(
        """([place, side]) => {
            const plot = document.querySelectorAll('.js-plotly-plot')[0], fields = plot.data.at(-1);
            const {xaxis, yaxis} = plot._fullLayout, box = plot.getBoundingClientRect();
            const x = fields.x.filter((_, index) => fields.y[index] * side > 0)[place];
            const y = side > 0 ? 12 : yaxis._length - 6;
            return [box.left + xaxis._offset + xaxis.d2p(x), box.top + yaxis._offset + y];
        }""",
        [place, side],
    )
    page.mouse.click(*at)


def picked(page: Page, layer: str) -> Any:
    return page.get_by_role("radiogroup", name=f"Bits of {layer}", exact=True)


def choose_bits(page: Page, layer: str, bits: int) -> None:
    picked(page, layer).get_by_role("radio", name=f"{GLYPHS[bits]} {bits}").click()


SHOWN_BITS = "document.querySelector('.js-plotly-plot')?.data?.[0].text?.join()"


def shown_bits(page: Page) -> str | None:
    return page.evaluate(SHOWN_BITS)


def bars_are(page: Page, *bits: int) -> None:
    page.wait_for_function(
        f"bits => {SHOWN_BITS} === bits",
        arg=",".join(map(str, bits)),
        timeout=LONG_MS,
    )


@pytest.mark.thorough
@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 390)])
def test_it_opens_with_three_charts_and_fits(app_server: str, visit: Visit, scheme: str, width: int) -> None:
    page = visit(f"{app_server}/lab?space=weights&model=mobilenet_v2", scheme=scheme, width=width)
    expect(page.locator(".aiq-chart")).to_have_count(3, timeout=LONG_MS)
    assert heading(page).startswith("MobileNetV2: ")
    sideways, hidden = page.evaluate(
        """() => { const root = document.documentElement, main = document.querySelector('[data-testid=stMain]');
            return [root.scrollWidth - root.clientWidth, main.scrollHeight - main.clientHeight]; }"""
    )
    assert sideways <= 0
    assert hidden <= 0 or width < 1000
    for words in ("Bits of weights and activations", "Roofline", "Histogram"):
        assert page.locator(f'[aria-label*="{words}"]').count() > 0


def test_activations_are_edited_in_the_same_bars(app_server: str, visit: Visit, settle: Settle) -> None:
    page = visit(f"{app_server}/lab?space=weights&model=digits_cnn&policy=w8x5+a32x6")
    before = heading(page)
    bars_are(page, 8, 8, 8, 8, 8)
    click_group(page, 0)
    expect(page.get_by_text("activations stay FP32")).to_be_visible(timeout=LONG_MS)
    page.get_by_role("button", name="Switch to weights and activations").click()
    expect(picked(page, "activations of image")).to_be_visible(timeout=LONG_MS)
    expect(page.get_by_text("elements of a tensor")).to_be_visible()
    settle(page)
    choose_bits(page, "activations of image", 8)
    page.wait_for_url(re.compile(r"policy=w8x5\+a8\.32x5.*activations=image|activations=image.*policy=w8x5\+a8\.32x5"))
    settle(page)
    expect(page.locator('[data-testid="stMain"] h4').first).not_to_have_text(before, timeout=LONG_MS)
    expect(page.get_by_text("activations of image FP32 → 8 bits")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    page.wait_for_url(re.compile(r"policy=w8x5\+a32x6"))
    click_layer(page, 1)
    expect(picked(page, "block2.conv")).to_be_visible(timeout=LONG_MS)
    assert "activations=" not in page.url


def test_a_policy_is_edited_measured_saved_and_linked(
    start_server: Callable[..., Any], visit: Visit, settle: Settle
) -> None:
    server = start_server()
    page = visit(f"{server.url}/lab?space=weights&model=digits_cnn&policy=w8x5+a32x6")
    before = heading(page)
    bars_are(page, 8, 8, 8, 8, 8)

    click_layer(page, 1)
    expect(picked(page, "block2.conv")).to_be_visible(timeout=LONG_MS)
    settle(page)
    choose_bits(page, "block2.conv", 2)
    bars_are(page, 8, 2, 8, 8, 8)
    settle(page)
    click_layer(page, 4)
    expect(picked(page, "linear")).to_be_visible(timeout=LONG_MS)
    settle(page)
    # By keyboard too: arrows move among the widths, space sets one.
    picked(page, "linear").get_by_role("radio", checked=True).focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Space")
    bars_are(page, 8, 2, 8, 8, 7)
    settle(page)
    edited = heading(page)
    assert edited != before

    page.keyboard.press("Control+z")
    bars_are(page, 8, 2, 8, 8, 8)
    settle(page)
    page.get_by_role("button", name="Undo").click()
    bars_are(page, 8, 8, 8, 8, 8)
    settle(page)
    assert heading(page) == before
    page.get_by_role("button", name="Redo").click()
    bars_are(page, 8, 2, 8, 8, 8)
    settle(page)
    page.keyboard.press("Control+y")
    bars_are(page, 8, 2, 8, 8, 7)
    settle(page)
    assert heading(page) == edited

    expect(metric(page, "Top-1, report")).to_have_text("not measured")
    page.get_by_role("button", name="Measure accuracy").click()
    expect(metric(page, "Top-1, 500 report")).to_have_text(re.compile(r"\d+\.\d\d %"), timeout=LONG_MS)
    flipped = page.locator('[data-testid="stMain"] [data-testid="stHtml"]')
    expect(flipped).to_contain_text("lost: right before, wrong now", timeout=LONG_MS)
    tiles = flipped.locator("img")
    assert tiles.count() > 0
    text = tiles.first.get_attribute("alt") or ""
    assert re.fullmatch(r"image \d+ of report, a \d: before \d, now \d", text)
    assert tiles.first.evaluate("image => image.naturalWidth") == 8

    settle(page)
    page.get_by_role("button", name="Save").click()
    page.get_by_role("textbox", name="Name").fill("narrow second block")
    page.get_by_role("button", name="Save as a run").click()
    expect(page.get_by_text("(narrow second block)")).to_be_visible(timeout=LONG_MS)

    link = page.url
    assert "policy=w8.2.8x2.7" in link
    again = visit(link)
    bars_are(again, 8, 2, 8, 8, 7)
    assert heading(again) == edited
    expect(picked(again, "linear")).to_be_visible()
    expect(metric(again, "Top-1, 500 report")).to_have_text(re.compile(r"\d+\.\d\d %"))


@pytest.mark.thorough
def test_a_read_only_server_still_answers_every_edit(start_server: Callable[..., Any], visit: Visit) -> None:
    server = start_server(environment={"AIQ_READ_ONLY": "1"})
    page = visit(f"{server.url}/lab?space=weights&model=digits_cnn&policy=w8x5+a32x6&layer=linear")
    choose_bits(page, "linear", 3)
    bars_are(page, 8, 8, 8, 8, 3)
    expect(page.get_by_text("Read-only server: no accuracy is measured.")).to_be_visible(timeout=LONG_MS)
    expect(page.get_by_role("button", name="Measure accuracy")).to_have_count(0)


@pytest.mark.thorough
@pytest.mark.parametrize("gap_ms", [50, 150])
def test_undo_before_the_last_answer_came_loses_nothing(
    app_server: str, visit: Visit, settle: Settle, gap_ms: int
) -> None:
    page = visit(f"{app_server}/lab?space=weights&model=digits_cnn&policy=w8x5+a32x6")
    for place, layer, bits in ((1, "block2.conv", 6), (3, "block4.conv", 5)):
        click_layer(page, place)
        expect(picked(page, layer)).to_be_visible(timeout=LONG_MS)
        settle(page)
        choose_bits(page, layer, bits)
        settle(page)
    bars_are(page, 8, 6, 8, 5, 8)
    page.wait_for_url(re.compile("policy=w8.6.8.5.8"))
    for _ in range(3):
        page.keyboard.press("Control+z")
        page.wait_for_timeout(gap_ms)
    page.wait_for_timeout(1000)
    settle(page)
    expect(picked(page, "block4.conv")).to_be_visible(timeout=LONG_MS)
    redo = page.get_by_role("button", name="Redo")
    for _ in range(20):  # an undo may still be under way
        if redo.is_enabled():
            page.keyboard.press("Control+y")
        elif shown_bits(page) == "8,6,8,5,8":
            break
        page.wait_for_timeout(1000)
        settle(page)
    bars_are(page, 8, 6, 8, 5, 8)
    expect(picked(page, "block4.conv")).to_be_visible(timeout=LONG_MS)


def seen(page: Page) -> list[str]:
    """What is shown and what the address says: sentence, line under it, picked layer."""
    return page.evaluate(
        """() => [location.href, ...['h4', '[data-testid=stCaptionContainer]', '[aria-label^="Bits of"]']
            .map(part => document.querySelector(`[data-testid=stMain] ${part}`))
            .map(found => found?.ariaLabel ?? found?.innerText ?? '')]"""
    )


def test_each_step_back_and_forward_shows_what_its_address_says(app_server: str, visit: Visit, settle: Settle) -> None:
    page = visit(f"{app_server}/?space=weights&model=digits_cnn&from=greedy")
    steps: list[list[str]] = []

    def arrived(address: str, words: str) -> None:
        page.wait_for_url(re.compile(address))
        expect(page.locator('[data-testid="stMain"]')).to_contain_text(re.compile(words), timeout=LONG_MS)
        settle(page)
        steps.append(seen(page))

    alpha = page.get_by_role("slider", name=re.compile("^Alpha")).first
    alpha.press("ArrowLeft")
    arrived("alpha=0.89", "No greedy run at alpha 0.89")
    before = page.evaluate("history.length")
    page.get_by_role("link", name="Lab", exact=True).first.click()
    arrived("/lab(?!.*alpha).*layer=", "started from greedy at alpha 0.9 · not edited")
    click_layer(page, 1)
    expect(picked(page, "block2.conv")).to_be_visible(timeout=LONG_MS)
    arrived("layer=block2.conv", "not edited")
    choose_bits(page, "block2.conv", 2)
    arrived("policy=", "block2.conv . bits → 2 bits")
    assert page.evaluate("history.length") == before + 3

    for move, there in ((page.go_back, steps[-2::-1]), (page.go_forward, steps[1:])):
        for step in there:
            move(wait_until="commit")
            end = time.monotonic() + 20
            while seen(page) != step and time.monotonic() < end:
                page.wait_for_timeout(50)
            assert seen(page) == step
            settle(page)

    # What the Lab does not show of the sidebar is still set.
    page.get_by_role("link", name="Explore", exact=True).first.click()
    arrived(r"/\?(?!.*layer=).*alpha=0.89", "policy you picked")
    alpha.press("ArrowLeft")
    arrived("alpha=0.88.*from=greedy", "No greedy run at alpha 0.88")


@pytest.mark.thorough
def test_a_reload_and_another_model_leave_the_edit_its_start_and_undo(
    app_server: str, visit: Visit, settle: Settle
) -> None:
    page = visit(f"{app_server}/lab?space=weights&model=digits_cnn&policy=w8x5+a32x6&layer=linear")
    choose_bits(page, "linear", 3)
    bars_are(page, 8, 8, 8, 8, 3)
    page.wait_for_url(re.compile("start="))
    page.reload()
    bars_are(page, 8, 8, 8, 8, 3)
    expect(page.get_by_text("started from the link · linear 8 bits → 3 bits")).to_be_visible()

    for model, layers in (("ResNet-20", 20), ("Digits CNN", 5)):
        settle(page)
        page.get_by_role("combobox", name=re.compile("Model")).first.click()
        page.get_by_role("option", name=re.compile(model)).click()
        expect(page.locator('[data-testid="stMain"] h4').first).to_contain_text(model)
        page.wait_for_function(f"count => {SHOWN_BITS}?.split(',').length === count", arg=layers, timeout=LONG_MS)
        settle(page)
        click_layer(page, 1)
        page.wait_for_url(re.compile("layer=(layer1.0.conv1|block2.conv)"))
    bars_are(page, 8, 8, 8, 8, 3)
    settle(page)
    page.keyboard.press("Control+z")
    bars_are(page, 8, 8, 8, 8, 8)
