"""What each alpha will show is what it shows."""

import json
import urllib.request
from urllib.parse import urlencode

import pytest

from pages.common import controls
from pages.common.charts import payload
from pages.explore.drawings import all_drawings
from pages.explore.foresight import ALPHAS, foresight
from pages.explore.shown import parts, show


@pytest.mark.parametrize(
    "query",
    [
        {"model": "resnet20"},
        {"model": "mobilenet_v2", "batch": "64", "machine": "pi-5", "dark": "1"},
        {"model": "digits_cnn", "from": "greedy", "paper": "true"},
        {"model": "resnet20", "budget": "0.5", "policy": "[32]"},
    ],
    ids=str,
)
def test_each_alpha_is_foreseen(query: dict[str, str]) -> None:
    found = foresight(query)
    assert len(found["at"]) == len(ALPHAS) == 101
    assert len(found["shown"]) > 1
    for alpha in (0.0, 0.33, 0.5, 0.74, 0.75, 0.9, 0.91, 0.99, 1.0):
        asked = {name: value for name, value in query.items() if name not in ("budget", "policy")}
        shown = show(controls.asked(asked | {"alpha": str(alpha)}, dark="dark" in query))
        foreseen = found["shown"][found["at"][round(100 * alpha)]]
        assert foreseen["sentence"] == parts(shown)
        assert foreseen["charts"] == [payload(d.key, d.figure, d.name, d.alt) for d in all_drawings(shown, asked)]


@pytest.mark.parametrize("query", [{"machine": "coral-usb"}, {"model": "<b>"}, {"batch": "3"}], ids=str)
def test_what_has_other_parts_is_not_foreseen(query: dict[str, str]) -> None:
    assert foresight(query) == {"at": [], "shown": []}


def test_the_server_tells_it(app_server: str) -> None:
    query = {"model": "digits_cnn", "dark": "1"}
    with urllib.request.urlopen(f"{app_server}/first/foresight?{urlencode(query)}") as got:
        assert json.load(got) == json.loads(json.dumps(foresight(query)))
