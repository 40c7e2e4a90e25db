"""pages/instant stands before Streamlit's server wherever that serves."""

import json
import urllib.request
from collections.abc import Callable
from typing import Any

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
