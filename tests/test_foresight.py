"""What each alpha and each width of a layer will show is what they show."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from aiq_core.errors import SettingError
from aiq_core.records import OFFERED_BITS, Site, SiteKind
from pages.common import controls
from pages.common.charts import payload
from pages.explore import ahead as alphas
from pages.explore import panels
from pages.explore.ahead import ALPHAS, foresight
from pages.explore.drawings import all_drawings
from pages.explore.shown import parts, show
from pages.lab import ahead as widths
from pages.lab import drawings as lab
from pages.lab.history import Entry
from pages.lab.shown import Shown
from pages.lab.shown import parts as parts_of_the_lab
from tests import bundled


@pytest.mark.parametrize(
    "query",
    [
        {"model": "resnet20"},
        {"model": "mobilenet_v2", "batch": "64", "machine": "pi-5", "dark": "1"},
        {"model": "digits_cnn", "from": "greedy", "paper": "true", "space": "weights"},
        {"model": "resnet20", "traffic": "fused"},
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
    with pytest.raises(SettingError, match="other parts than usual"):
        foresight(query)


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"model": "mobilenet_v2", "from": "greedy", "alpha": "0.33", "images": "2000", "projector": "true"},
        {"model": "digits_cnn", "budget": "0.5", "machine": "pi-5", "batch": "64", "dark": "1"},
        {"policy": "w8x20 a32x14", "pin": "w4x20 a32x14"},
    ],
    ids=str,
)
def test_an_address_asks_for_its_view(query: dict[str, str]) -> None:
    view = controls.asked(query, dark="dark" in query)
    assert controls.query(view).items() >= query.items()
    assert controls.asked(controls.query(view), dark="dark" in query) == view


def queried(address: str) -> dict[str, str]:
    """What an address asks for."""
    return dict(parse_qsl(urlsplit(address).query, keep_blank_values=True))


def test_all_alphas_have_one_address() -> None:
    asked = [{"alpha": "0.1", "budget": "0.5"}, {"alpha": "0.9", "policy": "w8x20 a32x14"}, {}]
    addresses = {alphas.address(show(controls.asked(query, dark=False)), panels.overlays(query, {})) for query in asked}
    assert len(addresses) == 1
    assert foresight(queried(addresses.pop()))["at"]


LAB = {
    "unedited": Shown(
        view=controls.asked({"model": "mobilenet_v2"}, dark=False),
        policy=bundled.profile("mobilenet_v2").uniform(8),
        start=Entry(bundled.profile("mobilenet_v2").uniform(8), "all at 8 bits", is_start=True),
        against="start",
        site=bundled.profile("mobilenet_v2").weight_sites[51],
    ),
    "edited, beside A": Shown(
        view=controls.asked({"batch": "64", "machine": "pi-5", "pin": "w4x20 a32x14", "projector": "true"}, dark=True),
        policy=bundled.profile("resnet20").policy(
            dict.fromkeys(bundled.profile("resnet20").quantizable_names, 4) | {"layer1.0.conv2": 7}
        ),
        start=Entry(bundled.profile("resnet20").uniform(4), "a link & more", is_start=True),
        against="pinned",
        site=bundled.profile("resnet20").weight_sites[3],
    ),
    "activations": Shown(
        view=controls.asked({}, dark=False),
        policy=bundled.profile("resnet20").uniform(4, 8),
        start=Entry(bundled.profile("resnet20").uniform(4), "INT4", is_start=True),
        against="start",
        site=Site(SiteKind.ACTIVATIONS, "conv1"),
    ),
    "no roofline, beside FP32": Shown(
        view=controls.asked({"model": "digits_cnn", "machine": "coral-usb"}, dark=False),
        policy=bundled.profile("digits_cnn").uniform(32),
        start=Entry(bundled.profile("digits_cnn").uniform(8), "", is_start=True),
        against="fp32",
        site=bundled.profile("digits_cnn").weight_sites[0],
    ),
}


@pytest.mark.parametrize("shown", LAB.values(), ids=LAB)
def test_each_width_is_foreseen(shown: Shown) -> None:
    address = widths.address(shown)
    found = widths.foresight(queried(address))
    assert len(found["at"]) == len(OFFERED_BITS)
    for place, bits in enumerate(OFFERED_BITS):
        then = shown.at(bits)
        assert widths.address(then) == address
        assert then.profile.width(then.policy, shown.site) == bits
        foreseen = found["shown"][found["at"][place]]
        assert foreseen["sentence"] == parts_of_the_lab(then)
        charts = [lab.bits(then), *([lab.weights(then)] if then.is_layer else [])]
        if then.view.machine.runs_fp32:
            charts.append(lab.roofline(then))
        assert foreseen["charts"] == [payload(d.key, d.figure, d.name, d.alt) for d in charts]
    assert len({str(shown["charts"]) for shown in found["shown"]}) == len(OFFERED_BITS)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"layer": "<b>"}, "'<b>' is not offered; choose from conv1, "),
        ({"layer": None, "activations": "linear"}, "'linear' is not offered; choose from image, conv1, "),
        ({"against": "pinned"}, "'pinned' is not offered; choose from start, fp32"),
        ({"start": "w9x20 a32x14"}, "with widths from"),
        ({"policy": ""}, "with widths from"),
    ],
    ids=str,
)
def test_what_is_no_address_of_the_lab_is_said(app_server: str, wrong: dict[str, str | None], words: str) -> None:
    shown = replace(LAB["edited, beside A"], view=controls.asked({}, dark=False), against="start")
    query = {name: value for name, value in (queried(widths.address(shown)) | wrong).items() if value is not None}
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{app_server}/instant/lab?{urlencode(query)}")
    assert caught.value.code == 400
    assert words in json.load(caught.value)["error"]


@pytest.mark.parametrize(("name", "found"), [("explore", foresight), ("lab", widths.foresight)])
def test_the_server_tells_it(app_server: str, name: str, found: Callable[..., dict[str, Any]]) -> None:
    query = {"model": "digits_cnn", "dark": "1"}
    if name == "lab":
        query = queried(widths.address(LAB["no roofline, beside FP32"]))
    with urllib.request.urlopen(f"{app_server}/instant/{name}?{urlencode(query)}") as got:
        assert json.load(got) == json.loads(json.dumps(found(query)))
