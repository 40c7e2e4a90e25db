"""The app's pages without a browser: what the controls change, what a link restores, and what a bad link says."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from aiq_core.hardware import PRESETS
from aiq_core.intensity import intensity, moved_bytes, stored_bytes, weight_bytes
from aiq_core.wording import size
from tests import bundled

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def app() -> Callable[..., AppTest]:
    """Runs the app at an address in the paper's space, at an alpha unless told otherwise: app(alpha="0.5")."""

    def run(**query: str) -> AppTest:
        test = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
        for name, value in ({"space": "weights", "budget": "off"} | query).items():
            test.query_params[name.rstrip("_")] = value
        return healthy(test.run())

    return run


def healthy(test: AppTest) -> AppTest:
    """The same test, seen to show neither an exception nor an error."""
    assert not test.exception
    assert not test.error
    return test


def heading(test: AppTest) -> str:
    """The page's sentence."""
    return next(element.value for element in test.markdown if element.value.startswith("#### "))


def subline(test: AppTest) -> str:
    """The line under the sentence."""
    return next(element.value for element in test.caption if "layers" in element.value)


def test_the_first_screen_says_its_message(app: Callable[..., AppTest]) -> None:
    first = app()
    assert "ResNet-20 does" in heading(first)
    assert "more work per byte" in heading(first)
    assert "A100 (TF32)" in heading(first)
    assert "alpha 0.90" in subline(first)
    assert len(first.metric) >= 5
    assert not first.warning


def test_numbers_give_intervals_as_a_to_b(app: Callable[..., AppTest]) -> None:
    texts = [f"{metric.label} {metric.value} {metric.delta} {metric.help}" for metric in app().metric]
    assert any(" to " in text for text in texts)
    assert not any("±" in text for text in texts)


def test_alpha_changes_the_policy(app: Callable[..., AppTest]) -> None:
    test = app()
    assert "13 layers at 4 bits, 7 at 8" in subline(test)
    test.slider(key="alpha").set_value(0.0)
    healthy(test.run())
    assert "11 layers at 4 bits, 9 at 8" in subline(test)
    test.slider(key="alpha").set_value(1.0)
    healthy(test.run())
    # Only AI counts, and 4,588 right are above the floor of 4,524.
    assert "alpha 1.00" in subline(test) and "all 20 layers at 4 bits" in subline(test)


def test_the_control_touched_last_decides(app: Callable[..., AppTest]) -> None:
    test = app()
    test.select_slider(key="budget").set_value("0.5")
    healthy(test.run())
    assert "within 0.5 points" in subline(test)
    test.slider(key="alpha").set_value(0.8)
    healthy(test.run())
    assert "alpha 0.80" in subline(test)
    assert test.select_slider(key="budget").value == "off"


@pytest.mark.parametrize("name", bundled.NAMES)
def test_every_model_opens(app: Callable[..., AppTest], name: str) -> None:
    assert bundled.model(name).title in heading(app(model=name))


@pytest.mark.parametrize("key", PRESETS)
def test_every_machine_has_an_answer(app: Callable[..., AppTest], key: str) -> None:
    test = app(machine=key)
    assert PRESETS[key].name in heading(test)
    if not PRESETS[key].runs_fp32:
        assert "can't run" in heading(test)
        assert "predicted" not in heading(test)


def test_another_batch_is_honest(app: Callable[..., AppTest]) -> None:
    assert "at batch 128 the same bits raise AI by" in heading(app(batch="128"))


def test_a_link_restores_a_policy(app: Callable[..., AppTest]) -> None:
    key = bundled.profile("resnet20").uniform(4).key
    assert "all 20 layers at 4 bits" in subline(app(policy=key))
    pinned = app(policy=key, pin=bundled.profile("resnet20").uniform(8).key)
    assert any("differs from A in 20 layers" in element.value for element in pinned.markdown)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"alpha": "7"}, "alpha='7' is not offered"),
        ({"alpha": "nan"}, "alpha='nan' is not offered"),
        ({"model": "vgg"}, "unknown model 'vgg'"),
        ({"batch": "3"}, "batch='3' is not offered"),
        ({"machine": "abacus"}, "machine='abacus' is not offered"),
        ({"traffic": "paper"}, "traffic='paper' is not offered; choose from unfused, as-stored, fused"),
    ],
)
def test_a_bad_link_says_what_was_not_used(app: Callable[..., AppTest], query: dict[str, str], words: str) -> None:
    test = app(**query)
    assert any(words in warning.value for warning in test.warning)
    assert "more work per byte" in heading(test)


def test_a_policy_of_another_model_is_refused_kindly(app: Callable[..., AppTest]) -> None:
    test = app(policy=bundled.profile("mobilenet_v2").uniform(4).key)
    assert any("another model" in element.value for element in test.caption)


def test_a_named_algorithm_shows_its_nearest_run(app: Callable[..., AppTest]) -> None:
    test = app(from_="greedy", alpha="0.89")
    assert "greedy at alpha 0.9" in subline(test)
    assert any("nearest, alpha 0.9" in element.value for element in test.caption)


def test_another_traffic_model_counts_every_figure_anew(app: Callable[..., AppTest]) -> None:
    profile = bundled.profile("resnet20")
    picked = profile.uniform(4)
    usual, fused = app(policy=picked.key), app(policy=picked.key, traffic="fused")
    gain = intensity(profile, picked, by="fused") / intensity(profile, profile.uniform(32), by="fused") - 1
    assert f"{100 * gain:.0f} % more work per byte" in heading(fused) and heading(fused) != heading(usual)
    said = {metric.label: metric.value for metric in fused.metric}
    assert said["FLOPs/byte, fused"] == f"{intensity(profile, picked, by='fused'):.2f}"
    assert said["Moved, fused"] == size(moved_bytes(profile, picked, by="fused"))
    assert "fused traffic" in subline(fused)
    assert {metric.label for metric in usual.metric} >= {"Intensity, FLOPs/byte", "Moved per image"}
    # Both sizes are of the network, however its traffic is counted.
    for test in (usual, fused):
        weights = next(metric for metric in test.metric if metric.label == "Weights")
        assert weights.value == size(weight_bytes(profile, picked))
        assert f"{size(stored_bytes(profile, picked))} stored" in weights.delta


def test_the_traffic_model_stands_in_the_address_unless_usual(app: Callable[..., AppTest]) -> None:
    test = app()
    assert "traffic" not in test.query_params
    healthy(test.selectbox(key="traffic").set_value("as-stored").run())
    assert test.query_params["traffic"] == "as-stored"
    assert "as-stored traffic" in subline(test)
    healthy(test.selectbox(key="traffic").set_value("unfused").run())
    assert "traffic" not in test.query_params


def test_the_papers_points_stand_only_in_its_own_traffic_model(app: Callable[..., AppTest]) -> None:
    toggles = [test.toggle(key="paper") for test in (app(paper="true"), app(paper="true", traffic="fused"))]
    assert [toggle.disabled for toggle in toggles] == [False, True]


def opened(test: AppTest, key: str) -> AppTest:
    """The page with a popover open."""
    test.session_state[key] = True
    return healthy(test.run())


def test_popovers_are_filled_when_they_are_opened(app: Callable[..., AppTest]) -> None:
    test = app(alpha="0.5")
    assert not [*test.code, *test.table, *test.dataframe]
    sentence, link = opened(test, "popover-Share").code
    assert sentence.value.startswith("ResNet-20 does")
    assert "alpha=0.5" in link.value
    (provenance,) = opened(test, "popover-Provenance").table
    assert bundled.model("resnet20").hash in provenance.value.loc["model", "value"]
    sources = opened(test, "popover-Sources").table
    assert any("DRAM" in table.value.index for table in sources)
    (points,) = opened(test, "popover-trade-off").dataframe
    assert {"FP32", "INT8", "INT4"} <= set(points.value["kind"])


def test_a_projector_enlarges_the_charts(app: Callable[..., AppTest]) -> None:
    plain, large = app(), app(projector="true")
    sizes = [test.get("bidi_component")[0].proto.json.count(r"\"size\":17.25") for test in (plain, large)]
    assert sizes[0] == 0
    assert sizes[1] > 0


def test_the_app_does_not_import_torch() -> None:
    code = (
        "import sys; from streamlit.testing.v1 import AppTest; "
        "test = AppTest.from_file('app.py', default_timeout=60).run(); "
        "assert not test.exception; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=120)
