"""The server's first answer to a visitor of Explore: Streamlit's page, with what it will show drawn over it at once.

Streamlit's page takes a second to start before it asks for anything. Meanwhile the visitor reads the sentence and the
numbers, which stand in the answer, and sees the charts, which chart.js draws early and takes over as they are. What
goes wrong here costs the visitor nothing but that second.
"""

import gzip
import logging
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import streamlit as st
from jinja2 import Environment, FileSystemLoader
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from aiq_core.errors import AiqError
from pages.common import controls, known
from pages.common.charts import CHART_JS, payload
from pages.explore import drawings, numbers, panels
from pages.explore.drawings import Drawing
from pages.explore.shown import Shown, beneath, message, show

STREAMLIT_PAGE = Path(st.__file__).parent / "static" / "index.html"
PLOTLY = Path(__file__).parents[2] / "static" / "plotly-cartesian.min.js"
MARK = "|"
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


def page(query: Mapping[str, str]) -> str:
    """Streamlit's page, with the first screen of an address over it where that has the usual parts."""
    views = {theme: controls.asked(query, dark=theme == "dark") for theme in THEMES}
    view = views["light"]
    usual = "embed" not in query and not controls.complaints(query) and view.machine.runs_fp32
    if not usual or not known.is_known(view.model, view.images):
        return _streamlit_page()
    shown = show(view)
    if shown.pinned or shown.complaint or shown.chosen.note:
        return _streamlit_page()
    # Only the browser knows the theme.
    charts = {theme: _drawings(show(view), query) for theme, view in views.items()}
    opened, inside, after = [*message(shown, MARK).split(MARK), "", ""][:3]
    body = TEMPLATES.get_template("first.html").render(
        sentence=(opened, inside, after),
        beneath=beneath(shown),
        metrics=numbers.metrics(shown.found, view),
        drawings=charts["light"],
        colours={theme: {name: st.get_option(f"theme.{theme}.{name}") for name in COLOURS} for theme in THEMES},
    )
    payloads = {theme: [payload(d.key, d.figure, d.name, d.alt) for d in found] for theme, found in charts.items()}
    head = TEMPLATES.get_template("first_head.html").render(chart_js=CHART_JS, charts=payloads)
    return _streamlit_page().replace("<head>", f"<head>{head}", 1).replace("<body>", f"<body>{body}", 1)


def _drawings(shown: Shown, query: Mapping[str, str]) -> list[Drawing]:
    trade_off = drawings.trade_off(shown, shown.chosen.policy, **panels.overlays(query, {}))
    return [drawings.roofline(shown), trade_off, drawings.bits(shown)]


def answer(query: Mapping[str, str]) -> str:
    """The page for an address, whatever happens."""
    try:
        return page(query)
    except AiqError as error:  # which the page itself will say
        log.warning("no first screen: %s", error)
    except Exception:
        log.exception("no first screen for %s", dict(query))
    return _streamlit_page()


def _page(request: Request) -> HTMLResponse:
    return HTMLResponse(answer(request.query_params), headers={"Cache-Control": "no-cache"})


@cache
def _plotly_gz() -> bytes:
    return gzip.compress(PLOTLY.read_bytes())


def _plotly(request: Request) -> Response:
    """Plotly's file, compressed once: Streamlit compresses it for each visitor, and nobody else is answered then."""
    headers = {"Cache-Control": "no-cache", "ETag": f'"{PLOTLY.stat().st_mtime_ns:x}"', "Vary": "Accept-Encoding"}
    if request.headers.get("If-None-Match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    zipped = "gzip" in request.headers.get("Accept-Encoding", "")
    return Response(
        _plotly_gz() if zipped else PLOTLY.read_bytes(),
        media_type="text/javascript",
        headers=headers | ({"Content-Encoding": "gzip"} if zipped else {}),
    )


# Not async: they read stores, so the server runs them in threads of their own.
ROUTES = [Route("/", _page), Route(f"/app/static/{PLOTLY.name}", _plotly)]


def warm() -> None:
    """Loads what the first visitor would wait for."""
    answer({})
    _plotly_gz()
