"""pages/instant stands before Streamlit's server wherever that serves, and leaves it as it is when switched off.

What it relies on inside Streamlit is there; tests/browser/ holds the rest of that.
"""

import json
import re
import tomllib
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from packaging.requirements import Requirement
from packaging.version import Version
from streamlit.runtime.pages_manager import PagesManager

import pages.instant
from pages.common import known
from pages.instant import answer as instant

ROOT = Path(__file__).resolve().parent.parent


def got(url: str, **headers: str) -> tuple[str, bytes, Any]:
    """Where a URL leads, what is answered there, and its headers."""
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
        return answer.url, answer.read(), answer.headers


def test_it_stands_below_a_path_too(start_server: Callable[..., Any]) -> None:
    server = start_server(below="/some/where")
    url, _, _ = got(server.url)
    assert url == f"{server.url}/"
    for address in instant.PURPOSES:
        _, html, _ = got(f"{server.url}/{address}")
        assert b"aiq-first" in html, address
    _, found, _ = got(f"{server.url}/instant/explore?model=digits_cnn")
    assert len(json.loads(found)["at"]) == 101
    _, _, headers = got(f"{server.url}/app/static/{instant.PLOTLY.name}", **{"Accept-Encoding": "gzip"})
    assert headers["Content-Encoding"] == "gzip"
    assert headers["ETag"].endswith('-gz"')


@pytest.mark.parametrize("off", ["0", "no"])
def test_switched_off_it_leaves_streamlits_pages(start_server: Callable[..., Any], off: str) -> None:
    server = start_server(environment={"AIQ_INSTANT": off})
    for address in (*instant.PURPOSES, "instant/explore?model=digits_cnn"):
        _, html, _ = got(f"{server.url}/{address}")
        assert html == instant.STREAMLIT_PAGE.read_bytes(), address


def test_one_minor_of_streamlit_is_admitted_and_it_is_the_one_that_was_looked_at() -> None:
    lines = (ROOT / "requirements-view.txt").read_text(encoding="utf-8").splitlines()
    (admitted,) = (Requirement(line).specifier for line in lines if line.startswith("streamlit"))
    major, minor = Version(st.__version__).release[:2]
    remedy = f"go through what pages/instant relies on, then name {major}.{minor} in its docstring and requirements"
    assert f"inside Streamlit, seen with {major}.{minor}." in str(pages.instant.__doc__), remedy
    assert [n for n in range(minor - 3, minor + 4) if admitted.contains(f"{major}.{n}.0")] == [minor], remedy
    assert admitted.contains(st.__version__)


def test_streamlits_page_can_be_written_over() -> None:
    page = instant.STREAMLIT_PAGE.read_text(encoding="utf-8")
    assert [page.count(part) for part in ("<head>", "<body>", '<div id="root">')] == [1, 1, 1]
    addresses = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert len(addresses) > 2
    assert [address for address in addresses if not address.startswith("./")] == []


def test_streamlit_still_names_an_exception_so() -> None:
    scripts = (instant.STREAMLIT_PAGE.parent / "static" / "js").glob("*.js")
    assert any("`stException`" in script.read_text(encoding="utf-8") for script in scripts)


def test_caches_and_colours_are_there_where_no_script_runs() -> None:
    assert known.library() is known.library()
    theme = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))["theme"]
    for name in instant.THEMES:
        assert {colour: st.get_option(f"theme.{name}.{colour}") for colour in instant.COLOURS} == {
            colour: theme[name][colour] for colour in instant.COLOURS
        }


def test_a_folder_named_pages_is_streamlits_old_way_unless_serve_says_no(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PagesManager, "uses_pages_directory", None)
    PagesManager(str(ROOT / "app.py"))
    assert PagesManager.uses_pages_directory is True
