"""axe-core over every page of the app and the exported slides, in both themes: nothing serious, nothing critical."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from aiq_core.deck import build, html
from aiq_core.hardware import PRESETS
from aiq_core.library import BUNDLED_RESULTS, Library
from aiq_core.store import Store
from tests import bundled

pytestmark = [pytest.mark.browser, pytest.mark.thorough]

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(path.parent.name for path in (ROOT / "pages").glob("*/page.py"))
SCHEMES = ("light", "dark")
GRAVE = ("serious", "critical")
OPTIONS = {"resultTypes": ["violations"]}

OFF = "[disabled], [aria-disabled='true'], [data-disabled='true']"
EXCUSED = (
    # Streamlit writes white on the accent (chips, primary buttons) and the accent on the page (selected options), and
    # no accent on a dark page reaches 4.5 to 1 for both. Ours stands between, at 4.0 and 4.1; light reaches both.
    ("color-contrast", "dark", "[data-testid='stMultiSelect'] span[title]"),
    ("color-contrast", "dark", "[data-testid='stBaseButton-primary']"),
    ("color-contrast", "dark", "[data-testid='stButtonGroup'] [data-selected='true']"),
    # The label of a switched-off control is faint like the control: WCAG 1.4.3 leaves inactive controls out, and axe
    # knows only of the browser's own.
    *(("color-contrast", scheme, f":has({OFF}) > [data-testid='stWidgetLabel']") for scheme in SCHEMES),
)
"""Rule, theme and elements inside Streamlit's own widgets that nothing of ours can change."""

AT_REST = """() => !document.querySelector('[data-stale="true"], [data-testid="stStatusWidget"]')
    && document.getAnimations().every(one => one.playState !== 'running' || one.effect.getTiming().iterations > 1)"""


def findings(page: Page, scheme: str) -> list[str]:
    """What axe finds grave and is not excused, a line an element."""
    page.wait_for_function(AT_REST)
    found: list[dict[str, Any]] = Axe().run(page, options=OPTIONS).response["violations"]
    return [
        f"{violation['id']} ({violation['impact']}): {node['target']} {node['html'][:300]} {node['failureSummary']}"
        for violation in found
        if violation["impact"] in GRAVE
        for node in violation["nodes"]
        if not is_excused(page, violation["id"], scheme, node["target"][0])
    ]


def is_excused(page: Page, rule: str, scheme: str, target: str) -> bool:
    """Whether an element lies in one that is excused from a rule in a theme."""
    inside = "([target, excused]) => document.querySelector(target)?.closest(excused) != null"
    return any(
        page.evaluate(inside, [target, excused])
        for its_rule, its_scheme, excused in EXCUSED
        if (its_rule, its_scheme) == (rule, scheme)
    )


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", PAGES)
def test_a_page(app_server: str, visit: Callable[..., Page], name: str, scheme: str) -> None:
    page = visit(f"{app_server}/{'' if name == 'explore' else name}", scheme=scheme)
    found = findings(page, scheme)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_exported_slides(browser: Browser, tmp_path: Path, scheme: Any) -> None:
    library = Library(None, Store(BUNDLED_RESULTS, immutable=True))
    runs = [build.default_run(library, bundled.model(model)) for model in ("resnet20", "digits_cnn")]
    path = tmp_path / "deck.html"
    made = build.build(library, [run.id for run in runs if run is not None], PRESETS["a100-tf32"])
    path.write_text(html.page(made), encoding="utf-8")
    context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    page.goto(path.as_uri())
    page.locator("html.drawn").wait_for()
    found = []
    for _ in made.slides:
        found += findings(page, scheme)
        page.keyboard.press("ArrowRight")
    context.close()
    assert not found, "\n".join(dict.fromkeys(found))
