"""The first answer to an address, what is foreseen of a control, and Plotly's file."""

import gzip
import logging
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
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
from pages.common.charts import CHART_JS
from pages.explore import ahead as explore_ahead
from pages.lab import ahead as lab_ahead

ROOM = Path(__file__).parent
STREAMLIT_PAGE = Path(st.__file__).parent / "static" / "index.html"
SCRIPTS = (CHART_JS, *((ROOM / name).read_text(encoding="utf-8") for name in ("foresight.js", "back.js")))
PLOTLY = ROOM.parents[1] / "static" / "plotly-cartesian.min.js"
THEMES = ("light", "dark")
TEMPLATES = Environment(loader=FileSystemLoader(ROOM), autoescape=True, trim_blocks=True, lstrip_blocks=True)
COLOURS = (
    "backgroundColor",
    "secondaryBackgroundColor",
    "textColor",
    "borderColor",
    "violetTextColor",
    "grayTextColor",
)
PURPOSES = {
    "": "Explore: bits, accuracy and arithmetic intensity of one policy",
    "search": "Search: every run, its moves and what was measured",
    "lab": "Lab: change a layer's bits and see what follows",
    "models": "Models: every network, bundled and your own, and how to add one",
    "roofline": "Roofline: what a machine sustains, measured or by its data sheet, and where each layer stands",
    "results": "Results: each claim, recomputed from what was measured",
    "deploy": "Deploy: what a policy gains in real runtimes, measured",
    "learn": "Learn: rooflines and quantization in seven lessons",
    "present": "Present: runs as slides",
}
"""What each page is for, by its address."""
FORESIGHT = {"explore": explore_ahead.foresight, "lab": lab_ahead.foresight}
"""What the controls of a page will show, by the name under which the page asks."""

log = logging.getLogger(__name__)


@cache
def _streamlit_page() -> str:
    return STREAMLIT_PAGE.read_text(encoding="utf-8")


def explore(query: Mapping[str, str]) -> str:
    """Streamlit's page, with Explore's first screen over it where that has the usual parts."""
    first = explore_ahead.first(query)
    return purpose("") if first is None else _over(**first._asdict())


def purpose(address: str) -> str:
    """Streamlit's page, with what it is for over it."""
    return _over(sentence=(PURPOSES[address], "", ""), folded=address in controls.FOLDED)


def _over(early: Mapping[str, Sequence[dict[str, Any]]] | None = None, **parts: Any) -> str:
    """Streamlit's page with body.html's `parts` over it, the charts of `early` by theme."""
    head = TEMPLATES.get_template("head.html").render(
        scripts=SCRIPTS, charts=early or dict.fromkeys(THEMES, ()), plotly=PLOTLY.name
    )
    colours = {theme: {name: st.get_option(f"theme.{theme}.{name}") for name in COLOURS} for theme in THEMES}
    body = TEMPLATES.get_template("body.html").render(colours=colours, **parts)
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


def routes() -> list[Route]:
    """Of the path below which Streamlit serves. Not async: they read stores, so each runs in a thread of its own."""
    base = st.get_option("server.baseUrlPath").strip("/")
    below = f"/{base}/" if base else "/"
    return [
        *(Route(f"{below}{address}", partial(_page, address)) for address in PURPOSES),
        *(Route(f"{below}instant/{page}", partial(_foresight, found)) for page, found in FORESIGHT.items()),
        Route(f"{below}app/static/{PLOTLY.name}", _plotly),
    ]


@asynccontextmanager
async def lifespan(_: st.App) -> AsyncIterator[None]:
    """Loads what the first visitor would wait for while the server starts."""
    threading.Thread(target=warm, name="warm-up", daemon=True).start()
    yield


def warm() -> None:
    answer("", {})
    _plotly_gz()
