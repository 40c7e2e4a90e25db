"""What Explore will show, told before its page runs: its first screen, and its charts at each alpha."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple
from urllib.parse import urlencode

import streamlit as st

from aiq_core.errors import SettingError
from pages.common import controls
from pages.common.charts import Drawing
from pages.common.picked import beneath, wish
from pages.common.selection import select
from pages.explore import drawings, numbers, panels
from pages.explore.drawings import all_drawings
from pages.explore.numbers import Metric
from pages.explore.shown import Shown, has_usual_parts, parts, show

ALPHAS = tuple(step / 100 for step in range(101))
"""The slider's."""


class First(NamedTuple):
    """The first screen; `early` is what is drawn of it at once, by theme."""

    sentence: tuple[str, str, str]
    beneath: str
    metrics: list[Metric]
    drawings: list[Drawing]
    early: dict[str, list[dict[str, Any]]]


def first(query: Mapping[str, str]) -> First | None:
    """The first screen of an address; None where it has other parts than usual."""
    view = controls.asked(query, dark=False)
    if not has_usual_parts(view, query):
        return None
    shown = show(view)
    if shown.pinned or shown.complaint or shown.chosen.note:
        return None
    found = all_drawings(shown, query)
    # Only the browser knows the theme.
    dark = drawings.roofline(show(controls.asked(query, dark=True)))
    early = {"light": [found[0].payload], "dark": [dark.payload]}
    return First(parts(shown), beneath(shown), numbers.metrics(shown.found, view), found, early)


def address(shown: Shown, overlays: Mapping[str, bool]) -> str:
    """Asks for the foresight of what is shown: the same for every alpha, as to touch it drops budget and picked policy.

    Another one when the stores hold more.
    """
    asked = controls.query(replace(shown.view, alpha=controls.DEFAULT_ALPHA, budget=None, policy=None))
    toggles = {name: str(value).lower() for name, value in overlays.items()}
    return f"explore?{urlencode(asked | toggles | {'version': shown.version})}"


def foresight(query: Mapping[str, str]) -> dict[str, Any]:
    """`at` gives the place in `shown` of each step of the slider named `control`, for an address and its theme.

    Raises SettingError where the page has other parts than usual.
    """
    view = replace(controls.asked(query, dark="dark" in query), policy=None, budget=None)
    if not has_usual_parts(view, query):
        raise SettingError("nothing is foreseen of an address whose page has other parts than usual; open it instead")
    shown, overlays = show(view), panels.overlays(query, {})
    return _foresight(f"{shown.charted} {view.source} {overlays}", shown, query)


@st.cache_resource(max_entries=50, show_spinner=False)
def _foresight(key: str, _shown: Shown, _query: Mapping[str, str]) -> dict[str, Any]:
    view, table = _shown.view, _shown.table
    places: dict[str, int] = {}
    at: list[int] = []
    found: list[dict[str, Any]] = []
    for alpha in ALPHAS:
        asked = replace(view, alpha=alpha)
        policy = select(table, wish(asked), _shown.finished, _shown.front.policies).policy.key
        if policy not in places:
            places[policy] = len(found)
            shown = show(asked)
            charts = [drawing.payload for drawing in all_drawings(shown, _query)]
            found.append({"sentence": parts(shown), "charts": charts})
        at.append(places[policy])
    return {"control": controls.ALPHA, "at": at, "shown": found}
