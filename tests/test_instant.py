"""pages/instant stands before Streamlit's server wherever that serves, and leaves it as it is when switched off."""

import json
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest

from pages.instant import answer as instant


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
