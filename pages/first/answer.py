"""The server's first answer: Streamlit's page, with what it will show drawn over it at once.

Streamlit's page takes a second to start before it asks for anything. Meanwhile a visitor of Explore reads the sentence
and the numbers, which stand in the answer, and sees the roofline, which chart.js draws early and takes over as it is; a
visitor of another page reads what it is for. What goes wrong here costs nothing but that second.
"""

import gzip
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import streamlit as st
from jinja2 import Environment, FileSystemLoader
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from aiq_core.errors import AiqError
from pages.common import controls
from pages.common.charts import CHART_JS, Drawing
from pages.explore import drawings, numbers
from pages.explore.drawings import all_drawings
from pages.explore.foresight import foresight as alpha_foresight
from pages.explore.numbers import Metric
from pages.explore.shown import beneath, has_usual_parts, parts, show
from pages.lab.foresight import foresight as bits_foresight

STREAMLIT_PAGE = Path(st.__file__).parent / "static" / "index.html"
FORESIGHT_JS = (Path(__file__).parents[1] / "common" / "foresight.js").read_text(encoding="utf-8")
BACK_JS = (Path(__file__).parent / "back.js").read_text(encoding="utf-8")
PLOTLY = Path(__file__).parents[2] / "static" / "plotly-cartesian.min.js"
THEMES = ("light", "dark")
TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True
)
COLOURS = (
    "backgroundColor",
    "secondaryBackgroundColor",
    "textColor",
    "borderColor",
    "violetTextColor",
    "grayTextColor",
)

log = logging.getLogger(__name__)


@cache
def _streamlit_page() -> str:
    return STREAMLIT_PAGE.read_text(encoding="utf-8")


PURPOSES = {
    "": "Explore: bits, accuracy and arithmetic intensity of one policy",
    "search": "Search: every run, its moves and what was measured",
    "lab": "Lab: change a layer's bits and see what follows",
    "results": "Results: each claim, recomputed from what was measured",
    "learn": "Learn: rooflines and quantization in six lessons",
    "present": "Present: runs as slides",
}
"""What each page is for, by its address."""


def explore(query: Mapping[str, str]) -> str:
    """Streamlit's page, with Explore's first screen over it where that has the usual parts."""
    view = controls.asked(query, dark=False)
    if not has_usual_parts(view, query):
        return purpose("")
    shown = show(view)
    if shown.pinned or shown.complaint or shown.chosen.note:
        return purpose("")
    found = all_drawings(shown, query)
    # Only the browser knows the theme.
    dark = drawings.roofline(show(controls.asked(query, dark=True)))
    early = {"light": [found[0].payload], "dark": [dark.payload]}
    return _over(parts(shown), early, found, beneath(shown), numbers.metrics(shown.found, view))


def purpose(address: str) -> str:
    """Streamlit's page, with what it is for over it."""
    return _over((PURPOSES[address], "", ""), folded=address in controls.FOLDED)


def _over(
    sentence: tuple[str, str, str],
    early: Mapping[str, Sequence[dict[str, Any]]] | None = None,
    found: Sequence[Drawing] = (),
    beneath: str = "",
    metrics: Sequence[Metric] = (),
    folded: bool = False,
) -> str:
    head = TEMPLATES.get_template("head.html").render(
        scripts=(CHART_JS, FORESIGHT_JS, BACK_JS), charts=early or dict.fromkeys(THEMES, ()), plotly=PLOTLY.name
    )
    body = TEMPLATES.get_template("body.html").render(
        sentence=sentence,
        beneath=beneath,
        metrics=metrics,
        drawings=found,
        folded=folded,
        colours={theme: {name: st.get_option(f"theme.{theme}.{name}") for name in COLOURS} for theme in THEMES},
    )
    return _streamlit_page().replace("<head>", f"<head>{head}", 1).replace("<body>", f"<body>{body}", 1)


def answer(address: str, query: Mapping[str, str]) -> str:
    """The page of an address, whatever happens."""
    if "embed" in query:  # where Streamlit's page looks otherwise
        return _streamlit_page()
    try:
        return purpose(address) if address else explore(query)
    except AiqError as error:  # which the page itself will say
        log.warning("no first screen: %s", error)
    except Exception:
        log.exception("no first screen for %s", dict(query))
    return _streamlit_page()


def _page(address: str, request: Request) -> HTMLResponse:
    return HTMLResponse(answer(address, request.query_params), headers={"Cache-Control": "no-cache"})


def _foresight(found: Callable[[Mapping[str, str]], dict[str, Any]], request: Request) -> JSONResponse:
    try:
        return JSONResponse(found(request.query_params), headers={"Cache-Control": "no-cache"})
    except AiqError as error:
        return JSONResponse({"error": str(error)}, status_code=400)


@cache
def _plotly_gz() -> bytes:
    return gzip.compress(PLOTLY.read_bytes())


def _plotly(request: Request) -> Response:
    """Plotly's file, compressed once: Streamlit compresses it for each visitor, and nobody else is answered then."""
    zipped = "gzip" in request.headers.get("Accept-Encoding", "")
    tag = f'"{PLOTLY.stat().st_mtime_ns:x}{"-gz" if zipped else ""}"'
    headers = {"Cache-Control": "no-cache", "ETag": tag, "Vary": "Accept-Encoding"}
    if request.headers.get("If-None-Match") == tag:
        return Response(status_code=304, headers=headers)
    if zipped:
        headers["Content-Encoding"] = "gzip"
    return Response(_plotly_gz() if zipped else PLOTLY.read_bytes(), media_type="text/javascript", headers=headers)


# Not async: they read stores, so the server runs them in threads of their own.
ROUTES = [
    *(Route(f"/{address}", partial(_page, address)) for address in PURPOSES),
    Route("/first/foresight/alpha", partial(_foresight, alpha_foresight)),
    Route("/first/foresight/bits", partial(_foresight, bits_foresight)),
    Route(f"/app/static/{PLOTLY.name}", _plotly),
]


def warm() -> None:
    """Loads what the first visitor would wait for."""
    answer("", {})
    _plotly_gz()
