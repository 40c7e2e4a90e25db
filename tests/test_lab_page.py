"""The Lab without a browser: edits and what they change, starts, links, measuring, saving, and what bad input says."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from aiq_core import exchange, library, manual
from aiq_core.errors import SettingError
from aiq_core.estimate import START_UP_S
from aiq_core.execute import new_run
from aiq_core.hardware import PRESETS
from aiq_core.intensity import moved_bytes
from aiq_core.records import (
    Evaluation,
    EvaluationKey,
    ImageSet,
    Move,
    Origin,
    Policy,
    Quantizer,
    Request,
    Run,
    RunStatus,
    Site,
    SiteKind,
    SplitName,
)
from aiq_core.space import JOINT, WEIGHTS, Space
from aiq_core.statistics import Interval
from aiq_core.store import Store
from aiq_core.store.store import SAVED
from aiq_core.wording import number, size
from pages.common.controls import DEFAULT_MODEL
from pages.lab import accuracy, flips, measuring, policies
from pages.lab.history import MOST_ENTRIES, Entry, History
from tests import bundled

ROOT = Path(__file__).resolve().parent.parent
DIGITS = bundled.profile("digits_cnn")
NAMES = DIGITS.quantizable_names
ODD = DIGITS.policy({"block1.conv": 7, "block3.conv": 3, "linear": 2})
"""A policy that no bundled run asked for."""


# History


def entry(bits: int, start: bool = False) -> Entry:
    return Entry(DIGITS.uniform(bits), f"all at {bits}", start)


def test_undo_and_redo_walk_the_history() -> None:
    history = History((entry(32, True),)).push(entry(8)).push(entry(4))
    assert history.undo().current == entry(8)
    assert history.undo().undo().undo().current == entry(32, True)
    assert history.undo().redo().redo() == history
    assert history.undone == entry(4)
    assert history.redone is None
    assert history.undo().redone == entry(4)


def test_an_edit_forgets_what_was_undone() -> None:
    history = History((entry(32, True),)).push(entry(8)).undo().push(entry(2))
    assert [item.policy for item in history.entries] == [DIGITS.uniform(32), DIGITS.uniform(2)]


def test_an_edit_that_changes_nothing_adds_nothing() -> None:
    history = History((entry(8, True),))
    assert history.push(entry(8)) == history


def test_the_start_is_the_last_one_before() -> None:
    history = History((entry(32, True),)).push(entry(8)).push(entry(4, True)).push(entry(2))
    assert history.start == entry(4, True)
    assert history.undo().undo().start == entry(32, True)


def test_a_linked_policy_is_found_in_the_history_or_put_at_its_end() -> None:
    history = History((entry(32, True),)).push(entry(8)).push(entry(4, True)).push(entry(8)).push(entry(2))
    assert history.linked(entry(4, True), DIGITS.uniform(8)).index == 3
    assert history.linked(entry(32, True), DIGITS.uniform(8)).index == 1
    assert history.linked(entry(4, True), DIGITS.uniform(4)).index == 2
    new = history.linked(entry(5, True), DIGITS.uniform(8))
    assert [item.policy for item in new.entries[5:]] == [DIGITS.uniform(5), DIGITS.uniform(8)]
    assert new.start == entry(5, True)
    assert new.current.policy == DIGITS.uniform(8)


def test_a_long_history_forgets_its_beginning() -> None:
    history = History((entry(32, True),))
    for index in range(2 * MOST_ENTRIES):
        history = history.push(entry(8 if index % 2 else 4))
    assert len(history.entries) == MOST_ENTRIES
    assert history.start == history.entries[0]


# Policies from outside


def test_a_key_is_read_as_it_was_written() -> None:
    assert policies.read_key(ODD.key, DIGITS) == ODD
    assert policies.read_key("w4x5 a8x6", DIGITS) == DIGITS.uniform(4, 8)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("", "cannot be read"),
        ("w9x5 a32x6", "with widths from 32, 8, 7, 6, 5, 4, 3, 2"),
        ("w4x20 a32x14", "gives bits to 20 layers, digits_cnn has 5; choose the model resnet20"),
        ("w4x4 a32x6", "gives bits to 4 layers, digits_cnn has 5; copy the whole link"),
        ("w4x5 a32x5", "gives bits to 5 activation groups, digits_cnn has 6; end it in 'a32x6'"),
    ],
)
def test_a_bad_key_names_value_limit_and_remedy(key: str, words: str) -> None:
    with pytest.raises(SettingError, match=words):
        policies.read_key(key, DIGITS)


def test_links_keys_and_json_are_read() -> None:
    link = f"http://localhost:8501/lab?model=digits_cnn&layer=linear&policy={quote_plus(ODD.key)}"
    expected = ("digits_cnn", ODD.key)
    assert policies.read_text(link, "resnet20") == expected
    assert policies.read_text(f" {ODD.key} ", "digits_cnn") == expected
    assert policies.read_text(json.dumps(DIGITS.named_bits(ODD)), "digits_cnn") == expected
    first = bundled.profile(DEFAULT_MODEL).uniform(4).key
    assert policies.read_text(f"/lab?policy={quote_plus(first)}", "digits_cnn") == (DEFAULT_MODEL, first)
    with pytest.raises(SettingError, match="has no policy="):
        policies.read_text("http://localhost/lab?model=digits_cnn", "digits_cnn")


@pytest.mark.parametrize("model", bundled.NAMES)
def test_sets_hold_each_site_once_and_the_first_all_layers(model: str) -> None:
    profile = bundled.profile(model)
    groups = policies.groups(profile)
    assert next(iter(groups.values())) == profile.weight_sites
    for name, sites in groups.items():
        assert len(set(sites)) == len(sites), name
    if model == "mobilenet_v2":
        assert len(groups["depthwise convolutions (17)"]) == 17
        assert {site.name for site in groups["all 44 activation groups"]} == set(profile.activation_groups)
        assert len(groups["every layer and group"]) == 53 + 44


def test_several_layers_are_one_change() -> None:
    after = with_bits(DIGITS.uniform(32), (0, 4), 3)
    assert after.weight_bits == (3, 32, 32, 32, 3)
    assert policies.change(DIGITS, DIGITS.uniform(32), after) == "2 layers differ"
    assert policies.change(DIGITS, ODD, ODD) == "no layer differs"
    one = with_bits(DIGITS.uniform(8), (4,), 32)
    assert policies.change(DIGITS, DIGITS.uniform(8), one) == "linear 8 bits → FP32"


def test_an_edit_of_activations_never_reads_like_a_layer_s() -> None:
    image = Site(SiteKind.ACTIVATIONS, "image")
    one = policies.with_bits(DIGITS, ODD, (image,), 8)
    assert one.weight_bits == ODD.weight_bits
    assert policies.change(DIGITS, ODD, one) == "activations of image FP32 → 8 bits"
    both = policies.with_bits(DIGITS, ODD, (image, *DIGITS.weight_sites), 8)
    assert policies.change(DIGITS, ODD, both) == "5 layers and 1 activation group differ"
    assert policies.counts(DIGITS, both, (image,)) == "1 activation group at 8 bits"


def with_bits(policy: Policy, places: tuple[int, ...], bits: int) -> Policy:
    """The policy with layers, by their place, at a width."""
    return policies.with_bits(DIGITS, policy, [DIGITS.weight_sites[place] for place in places], bits)


# Measuring


def run_of(policy: Policy = ODD, **changes: Any) -> Run:
    asked = Request("digits_cnn", "manual", images=500, policies=(policy,), label=measuring.LABEL)
    origin = Origin("this CPU", "2.9", 2, 250, "2026-01-01T00:00:00", "measured")
    return replace(new_run(bundled.model(asked.model), asked), origin=origin, **changes)


def test_the_expected_time_is_the_newest_measurements() -> None:
    old = run_of(status=RunStatus.DONE, evaluations_new=1, seconds=9.0, created_at="2026-01-01T00:00:00+00:00")
    new = replace(old, seconds=4.0, created_at="2026-01-02T00:00:00+00:00")
    known_already = replace(new, evaluations_new=0, seconds=0.1, created_at="2026-01-03T00:00:00+00:00")
    asked = run_of().request
    assert measuring.expected_s([old, new, known_already], asked, 500) == START_UP_S + 4.0
    other = replace(asked, model="resnet20", images=2000)
    work = 2000 * bundled.profile("resnet20").flops / (500 * DIGITS.flops)
    assert measuring.expected_s([new], other, 2000) == pytest.approx(START_UP_S + 4.0 * work)
    assert measuring.expected_s([], asked, 500) is None


def test_progress_says_what_is_left() -> None:
    run = run_of(status=RunStatus.RUNNING, created_at="2026-01-01T00:00:00+00:00")
    now = datetime(2026, 1, 1, 0, 0, 5, tzinfo=UTC)
    share, text = measuring.progress(run, ODD, 20.0, 500, now)
    assert share == 0.25
    assert text == "Measuring this policy on 500 search images: about 15 s left"
    assert "no pace known" in measuring.progress(run, ODD, None, 500, now)[1]
    assert "all 5 layers at 8 bits" in measuring.progress(run_of(DIGITS.uniform(8)), ODD, 20.0, 500, now)[1]
    assert measuring.progress(run, ODD, 1.0, 500, now)[0] < 1


def test_where_images_are_missing_the_excerpt_is_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AIQ_CACHE_DIR", str(tmp_path))
    view: Any = type("View", (), {"model": bundled.model("resnet20"), "images": 5000})
    assert measuring.plan(view) == measuring.Plan(2000, 2000, True)
    shipped = [told_on(ImageSet(split, 2000)) for split in SplitName]
    assert "2,000 search and 2,000 report images only" in measuring.note(view, shipped, WEIGHTS)
    assert measuring.note(view, [told_on(ImageSet(SplitName.SEARCH, 5000)), None], WEIGHTS) == ""
    assert measuring.note(view, [told_on(ImageSet(SplitName.SEARCH, 5000, 2000))], JOINT) == ""


def told_on(images: ImageSet) -> accuracy.Measured:
    """A measurement of which only the images are asked."""
    none = np.zeros(images.images, dtype=np.uint8)
    return accuracy.Measured(images, "measured", Interval(0, 0, 0), none, None, None, against_fp32=True)


# Accuracy and flips


def predictions(policy: Policy, split: SplitName) -> Any:
    found = library.open_library().evaluation(bundled.model("digits_cnn"), split, policy)
    assert found is not None
    return found.outcomes


def test_flips_are_those_whose_answer_turned() -> None:
    known = library.open_library()
    fp32, policy = DIGITS.uniform(32), DIGITS.uniform(4)
    found = accuracy.measured(known, bundled.model("digits_cnn"), SplitName.REPORT, 500, policy, fp32)
    assert found is not None
    assert found.against_fp32
    labels = bundled.dataset("digits").split(SplitName.REPORT).labels
    before, after = predictions(fp32, SplitName.REPORT), predictions(policy, SplitName.REPORT)
    turned = flips.flips(found, labels, shown=100)
    assert turned.lost.tolist() == [i for i in range(500) if before[i] == labels[i] != after[i]]
    assert turned.gained.tolist() == [i for i in range(500) if before[i] != labels[i] == after[i]]
    wrong_twice = [i for i in range(500) if labels[i] not in (before[i], after[i]) and before[i] != after[i]]
    assert turned.moved == len(wrong_twice)
    assert found.top1.value == 100 * float(np.mean(after == labels))
    assert found.drop is not None
    assert found.drop.value == pytest.approx((len(turned.lost) - len(turned.gained)) / 5)  # of 500, in points
    frame = flips.flips_frame(found, turned, labels, bundled.dataset("digits").class_names)
    assert len(frame) == len(turned.lost) + len(turned.gained)
    lost = frame[frame["kind"] == "lost"]
    assert (lost["class"] == lost["before"]).all()
    assert (lost["class"] != lost["after"]).all()


def test_a_policy_nobody_measured_has_no_accuracy() -> None:
    known = library.open_library()
    assert accuracy.measured(known, bundled.model("digits_cnn"), SplitName.SEARCH, 500, ODD, DIGITS.uniform(32)) is None


def test_an_unmeasured_policy_before_gives_way_to_fp32() -> None:
    known = library.open_library()
    found = accuracy.measured(known, bundled.model("digits_cnn"), SplitName.SEARCH, 500, DIGITS.uniform(8), ODD)
    assert found is not None
    assert found.against_fp32
    assert found.cells is not None


def test_images_are_what_the_page_works_at_then_the_excerpt() -> None:
    def spans(model: str, split: SplitName, images: int, space: Space = WEIGHTS) -> list[tuple[int, int]]:
        return [(on.start, on.images) for on in accuracy.image_sets(bundled.model(model), split, images, space)]

    assert spans("resnet20", SplitName.REPORT, 5000) == [(0, 10_000), (0, 2000)]
    assert spans("resnet20", SplitName.SEARCH, 2000) == [(0, 2000)]
    assert spans("digits_cnn", SplitName.REPORT, 500) == [(0, 500)]
    # A joint search chooses on the first 2,000, or on half of fewer; what ships was chosen on, and is called search.
    assert spans("resnet20", SplitName.SEARCH, 5000, JOINT) == [(2000, 5000), (0, 2000)]
    assert spans("resnet20", SplitName.SEARCH, 2000, JOINT) == [(1000, 2000)]
    assert spans("digits_cnn", SplitName.SEARCH, 500, JOINT) == [(250, 500)]
    assert spans("digits_cnn", SplitName.REPORT, 500, JOINT) == [(0, 500)]


# The page itself


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., AppTest]]:
    """Opens the Lab on a store of the test's own; no worker is ever started."""
    monkeypatch.setenv("AIQ_DATA_DIR", str(tmp_path))
    monkeypatch.setattr("aiq_core.jobs.ensure_worker", lambda library: None)
    st.cache_resource.clear()
    st.cache_data.clear()

    def run(**query: str) -> AppTest:
        test = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
        for name, value in {"space": "weights", "budget": "off", **query}.items():
            test.query_params[name] = value
        # AppTest opens the first page; the app's own navigation leads to this one.
        test.run()
        return healthy(lab(test))

    yield run
    st.cache_resource.clear()
    st.cache_data.clear()


def lab(test: AppTest) -> AppTest:
    return test.switch_page(str(ROOT / "pages" / "lab" / "page.py")).run()


def healthy(test: AppTest) -> AppTest:
    assert not test.exception
    assert not test.error
    return test


def of_key(elements: Any, key: str) -> Any:
    return next(element for element in elements if element.key == key)


def press(test: AppTest, key: str) -> AppTest:
    return of_key(test.button, key).click().run()


def opened(test: AppTest, label: str) -> AppTest:
    """The page with a popover open: what is in it is made then."""
    test.session_state[f"popover-{label}"] = True
    return healthy(test.run())


def set_bits(test: AppTest, bits: int, layer: str | None = None) -> AppTest:
    if layer is not None:
        layer_box(test).set_value(layer).run()
    group = next(group for group in test.button_group if (group.key or "").startswith("lab-bits-"))
    return healthy(group.set_value(bits).run())


def layer_box(test: AppTest) -> Any:
    return next(box for box in test.selectbox if (box.key or "").startswith("lab-layer-"))


def metrics(test: AppTest) -> dict[str, Any]:
    return {metric.label: metric for metric in test.metric}


def caption(test: AppTest) -> str:
    return next(element.value for element in test.caption if "started from" in element.value)


def shown(test: AppTest) -> Policy:
    key = test.session_state["policy"]
    return Policy.from_key(key)


def stored(folder: Path) -> list[Run]:
    return Store(folder / "store.sqlite").runs()


@pytest.mark.parametrize("model", bundled.NAMES)
def test_every_model_opens(app: Callable[..., AppTest], model: str) -> None:
    test = app(model=model)
    assert any(m.value.startswith(f"#### {bundled.model(model).title}: ") for m in test.markdown)
    assert len(test.get("bidi_component")) == 3
    assert not test.warning
    # A model that nothing is known of opens on FP32, whose accuracy can be measured.
    is_known = bool(library.open_library().runs(bundled.model(model)))
    start = "best found at alpha 0.90" if is_known else "FP32"
    assert f"started from {start} · not edited yet" in caption(test)
    assert any(element.key == "lab-measure" for element in test.button) != is_known


def test_a_change_of_bits_changes_every_number(app: Callable[..., AppTest]) -> None:
    test = set_bits(app(model="digits_cnn", policy=DIGITS.uniform(8).key), 2, "block4.conv")
    assert shown(test) == with_bits(DIGITS.uniform(8), (3,), 2)
    weights = [layer.weights for layer in DIGITS.quantizable]
    stored_bits = 8 * sum(weights) - 6 * weights[3]
    rest = sum(4 * (layer.biases + layer.input_elements + layer.output_elements) for layer in DIGITS.layers)
    moved = stored_bits / 8 + rest  # all layers of digits_cnn are quantizable
    found = metrics(test)
    assert found["Weights"].value == size(stored_bits / 8)
    assert found["Moved per image"].value == size(moved)
    assert found["Intensity, FLOPs/byte"].value == number(2 * sum(layer.macs for layer in DIGITS.layers) / moved, 2)
    before = DIGITS.flops / (sum(weights) + rest)
    gain = 100 * (DIGITS.flops / moved / before - 1)
    assert found["Intensity, FLOPs/byte"].delta.endswith(f"from {number(before, 2)}")
    assert found["Intensity, FLOPs/byte"].delta.startswith(f"+{gain:.{1 if gain < 9.95 else 0}f} %")
    assert found["Top-1, search"].value == "not measured"
    assert "started from the link · block4.conv 8 bits → 2 bits" in caption(test)


def test_undo_and_redo_on_the_page(app: Callable[..., AppTest]) -> None:
    test = app(model="digits_cnn", policy=DIGITS.uniform(8).key)
    assert of_key(test.button, "lab-undo").disabled
    set_bits(set_bits(test, 2, "linear"), 3, "block1.conv")
    edited = shown(test)
    press(test, "lab-undo")
    assert shown(test) == with_bits(DIGITS.uniform(8), (4,), 2)
    press(test, "lab-undo")
    assert shown(test) == DIGITS.uniform(8)
    assert of_key(test.button, "lab-undo").disabled
    press(test, "lab-redo")
    press(test, "lab-redo")
    assert shown(test) == edited
    assert of_key(test.button, "lab-redo").disabled


def test_the_numbers_stand_beside_fp32_on_demand(app: Callable[..., AppTest]) -> None:
    test = set_bits(app(model="digits_cnn", policy=DIGITS.uniform(8).key), 4, "linear")
    of_key(test.selectbox, "lab-before").set_value("fp32").run()
    assert metrics(healthy(test))["Weights"].delta.endswith(size(4 * sum(la.weights for la in DIGITS.quantizable)))


def test_a_known_policys_accuracy_is_there_at_once(app: Callable[..., AppTest]) -> None:
    test = app(model="digits_cnn", policy=DIGITS.uniform(4).key)
    labels = bundled.dataset("digits").split(SplitName.REPORT).labels
    right = int((predictions(DIGITS.uniform(4), SplitName.REPORT) == labels).sum())
    assert metrics(test)["Top-1, 500 report"].value == f"{right / 5:.2f} %"
    of_key(test.button_group, "lab-panel").set_value("flips").run()
    page = "".join(element.proto.body for element in healthy(test).get("html"))
    assert page.count("<img") == len(flips_of(DIGITS.uniform(4)))
    assert "lost: right before, wrong now" in page


def flips_of(policy: Policy) -> list[int]:
    labels = bundled.dataset("digits").split(SplitName.REPORT).labels
    before, after = predictions(DIGITS.uniform(32), SplitName.REPORT), predictions(policy, SplitName.REPORT)
    return [i for i in range(500) if (before[i] == labels[i]) != (after[i] == labels[i])]


def test_images_of_an_unmeasured_policy_are_not_guessed(app: Callable[..., AppTest]) -> None:
    test = app(model="digits_cnn", policy=ODD.key)
    of_key(test.button_group, "lab-panel").set_value("flips").run()
    assert any("Not measured yet" in element.value for element in healthy(test).markdown)


@pytest.mark.parametrize(
    ("key", "words"),
    [("w9x5 a32x6", "cannot be read"), ("w4x20 a32x14", "choose the model resnet20"), ("nonsense", "cannot be read")],
)
def test_a_bad_link_says_so_and_shows_the_best_found(app: Callable[..., AppTest], key: str, words: str) -> None:
    test = app(model="digits_cnn", policy=key)
    assert any("link's policy was not used" in w.value and words in w.value for w in test.warning)
    assert "best found" in caption(test)
    assert not set_bits(test, 3, "linear").warning


def test_a_links_start_is_one_undo_away(app: Callable[..., AppTest]) -> None:
    test = app(model="digits_cnn", policy=with_bits(DIGITS.uniform(8), (4,), 2).key, start=DIGITS.uniform(8).key)
    assert "started from the link · linear 8 bits → 2 bits" in caption(test)
    press(test, "lab-undo")
    assert shown(test) == DIGITS.uniform(8)
    assert of_key(test.button, "lab-undo").disabled


def test_a_start_alone_is_shown(app: Callable[..., AppTest]) -> None:
    test = app(model="digits_cnn", start=ODD.key)
    assert shown(test) == ODD
    assert "started from the link · not edited yet" in caption(test)


def test_a_bad_start_says_so_and_leaves_the_policy(app: Callable[..., AppTest]) -> None:
    test = app(model="digits_cnn", policy=ODD.key, start="w4x20 a32x14")
    assert any("link's start was not used" in w.value and "choose the model" in w.value for w in test.warning)
    assert shown(test) == ODD


def test_activations_are_picked_by_an_address_and_set(app: Callable[..., AppTest]) -> None:
    test = set_bits(app(model="digits_cnn", policy=DIGITS.uniform(8).key, activations="image", space="joint"), 4)
    assert shown(test) == DIGITS.moved(DIGITS.uniform(8), Move(Site(SiteKind.ACTIVATIONS, "image"), 4))
    assert "activations of image FP32 → 4 bits" in caption(test)
    assert "all 5 layers at 8 bits; 1 activation group at 4 bits, 5 at FP32" in caption(test)
    # 64 pixels are read at 4 instead of 32 bits.
    read = moved_bytes(DIGITS, DIGITS.uniform(8)) - moved_bytes(DIGITS, shown(test))
    assert read == 64 * 28 / 8
    test = healthy(press(test, "lab-undo"))
    assert shown(test) == DIGITS.uniform(8)
    set_bits(test, 3, "linear")
    assert "activations" not in test.query_params


def test_quantized_activations_are_measured_and_saved_as_the_joint_space_rounds_them(
    app: Callable[..., AppTest], tmp_path: Path
) -> None:
    test = healthy(press(app(model="digits_cnn", policy=DIGITS.uniform(7, 5).key), "lab-measure"))
    healthy(press(test, "lab-save"))
    asked, saved = (run.request for run in sorted(stored(tmp_path), key=lambda run: run.status is RunStatus.DONE))
    assert asked.policies == saved.policies == (DIGITS.uniform(7, 5),)
    assert asked.quantizer == saved.quantizer == JOINT.quantizer(bundled.dataset("digits"))
    assert asked.quantizer.activations is not None
    weights_only = policies.how(bundled.model("digits_cnn"), DIGITS.uniform(8))
    assert weights_only == Quantizer()


def test_weights_alone_offer_activations_by_their_space(app: Callable[..., AppTest]) -> None:
    test = app(model="digits_cnn", policy=DIGITS.uniform(8).key, activations="image", space="weights")
    assert not [group for group in test.button_group if (group.key or "").startswith("lab-bits-")]
    assert any("activations stay FP32" in element.value for element in test.caption)
    test = healthy(press(test, "lab-space-bits"))
    assert (test.session_state["space"], shown(test)) == ("joint", DIGITS.uniform(8))
    set_bits(test, 4)
    assert shown(test).activation_bits == (4, 32, 32, 32, 32, 32)


def test_a_group_tells_where_its_range_ends(app: Callable[..., AppTest]) -> None:
    def range_of(group: str, bits: int) -> str:
        test = app(model="digits_cnn", policy=DIGITS.uniform(8, bits).key, activations=group, space="joint")
        (facts,) = (table.value for table in test.table if "written by" in table.value.index)
        return str(facts.loc[f"range at {bits} bits", "value"])

    ranges = bundled.model("digits_cnn").shipped_ranges
    assert ranges is not None
    (place,) = (place for place, group in DIGITS.stored_tensors.items() if group == "block1.conv")
    end = ranges.tensors[place].ends[4]
    # After a ReLU nothing is below 0, so 4 bits have 15 steps.
    assert range_of("block1.conv", 4) == f"0.00 to {end:.2f} by {end / 15:.3f}"
    assert range_of("image", 8) == "exact: pixels are bytes"
    assert range_of("image", 4) == "16 of 256 values of a pixel"


def test_sets_of_weights_alone_hold_no_activations(app: Callable[..., AppTest]) -> None:
    test = opened(app(model="digits_cnn", space="weights"), "Several")
    assert not any("activation" in name for name in of_key(test.selectbox, "lab-group").options)
    press(test, "lab-space-several")
    assert "all 6 activation groups" in of_key(opened(test, "Several").selectbox, "lab-group").options


def test_a_start_of_both_kinds_shows_their_space(app: Callable[..., AppTest]) -> None:
    test = opened(app(model="digits_cnn", space="weights"), "Start from")
    assert shown(healthy(press(test, "lab-start-8-8"))) == DIGITS.uniform(8, 8)
    assert test.session_state["space"] == "joint"
    run = next(run for run in library.open_library().runs(bundled.model("digits_cnn")) if run.request.alpha == 0.1)
    of_key(test.selectbox, "lab-start-run").set_value(run.id).run()
    # The paper's run was rounded to nearest, so that is what is shown of it.
    assert (shown(healthy(test)), test.session_state["space"]) == (run.policy, "weights")


def test_a_linked_policy_of_both_kinds_is_shown_as_theirs_and_says_so(app: Callable[..., AppTest]) -> None:
    test = app(model="digits_cnn", policy=DIGITS.uniform(8, 8).key, space="weights")
    assert any("measured as one of weights and activations" in element.value for element in test.caption)
    assert "Top-1, 500 report" in metrics(test)
    press(test, "lab-space-policy")
    assert not any("measured as one of" in element.value for element in healthy(test).caption)


def test_weights_are_shown_as_the_space_rounds_them(app: Callable[..., AppTest]) -> None:
    test = app(model="digits_cnn", policy=DIGITS.uniform(3).key, layer="linear", space="joint")
    assert not any("at most half" in element.value for element in test.caption)
    set_bits(test, 7)
    # 7 bits are not among the widths that ship.
    assert any("Shown rounded to nearest: what gptq makes of it at 7 bits" in each.value for each in test.caption)
    test = app(model="digits_cnn", policy=DIGITS.uniform(3).key, layer="linear", space="weights")
    assert any("of a step (at most half)" in element.value for element in test.caption)


def joint_evaluation(policy: Policy, split: SplitName, predicted: Any) -> Evaluation:
    model, quantizer = bundled.model("digits_cnn"), JOINT.quantizer(bundled.dataset("digits"))
    key = EvaluationKey(model.hash, model.dataset.split(split).hash, quantizer.key(policy), policy.key)
    return Evaluation(key, predicted, Origin("this CPU", "2.9", 2, 250, "2026-01-01T00:00:00", "measured"))


def test_only_images_on_which_nothing_was_chosen_judge(app: Callable[..., AppTest], tmp_path: Path) -> None:
    labels = bundled.dataset("digits").split(SplitName.SEARCH).labels
    predicted = labels.copy()
    predicted[[0, 249, 250, 251, 252]] = (labels[[0, 249, 250, 251, 252]] + 1) % 10
    policy = DIGITS.uniform(8, 8)
    Store(tmp_path / "store.sqlite").save_evaluation(joint_evaluation(policy, SplitName.SEARCH, predicted))
    found = accuracy.measured(
        library.open_library(),
        bundled.model("digits_cnn"),
        SplitName.SEARCH,
        500,
        policy,
        DIGITS.uniform(32),
        JOINT,
    )
    assert found is not None
    assert (found.images, found.judges) == (250, "confirm")
    assert found.top1.value == 100 * 247 / 250
    fp32 = predictions(DIGITS.uniform(32), SplitName.SEARCH)
    turned = flips.flips(found, labels, shown=500)
    assert turned.lost.tolist() == [place for place in (250, 251, 252) if fp32[place] == labels[place]]
    assert turned.gained.tolist() == [
        place for place in range(250, 500) if fp32[place] != labels[place] == predicted[place]
    ]
    test = app(model="digits_cnn", policy=policy.key, space="joint")
    assert metrics(test)["Top-1, 250 confirm"].value == f"{100 * 247 / 250:.2f} %"


def test_what_is_no_activation_group_is_said(app: Callable[..., AppTest]) -> None:
    test = app(model="digits_cnn", activations="linear")
    assert any("activations='linear' is not in digits_cnn" in warning.value for warning in test.warning)


def test_an_unknown_layer_in_the_link_is_said(app: Callable[..., AppTest]) -> None:
    test = app(model="digits_cnn", layer="conv99")
    assert any("layer='conv99' is not in digits_cnn" in warning.value for warning in test.warning)


def test_the_layer_of_a_link_is_picked(app: Callable[..., AppTest]) -> None:
    test = app(model="digits_cnn", layer="block2.conv")
    assert layer_box(test).value == "block2.conv"


def test_it_starts_from_uniform_widths_a_run_and_a_link(app: Callable[..., AppTest]) -> None:
    test = opened(app(model="digits_cnn"), "Start from")
    for bits in (32, 8, 4):
        assert shown(healthy(press(test, f"lab-start-{bits}"))) == DIGITS.uniform(bits)
    run = next(run for run in library.open_library().runs(bundled.model("digits_cnn")) if run.request.alpha == 0.1)
    of_key(test.selectbox, "lab-start-run").set_value(run.id).run()
    assert shown(healthy(test)) == run.policy
    assert "the end of greedy at alpha 0.1" in caption(test)
    of_key(test.text_input, "lab-pasted").set_value(json.dumps(DIGITS.named_bits(ODD))).run()
    assert shown(healthy(test)) == ODD
    press(test, "lab-undo")
    assert shown(test) == run.policy


def test_a_pasted_link_of_another_model_leads_there(app: Callable[..., AppTest]) -> None:
    test = opened(app(model="digits_cnn"), "Start from")
    key = bundled.profile("resnet20").uniform(5).key
    of_key(test.text_input, "lab-pasted").set_value(f"http://x/lab?model=resnet20&policy={quote_plus(key)}").run()
    assert test.session_state["model"] == "resnet20"
    assert shown(healthy(test)).key == key


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("w9x5 a32x6", "cannot be read"),
        ('{"linear": 9}', "bits=9 is not offered for linear"),
        ("http://x/lab?model=vgg&policy=w4x5+a32x6", "unknown model 'vgg'"),
        ("[]", "0 policies"),
    ],
)
def test_a_bad_paste_changes_nothing(app: Callable[..., AppTest], text: str, words: str) -> None:
    test = opened(app(model="digits_cnn", policy=ODD.key), "Start from")
    of_key(test.text_input, "lab-pasted").set_value(text).run()
    assert not test.exception
    assert any(words in error.value for error in test.error)
    assert shown(test) == ODD


def test_the_link_to_share_holds_the_policy(app: Callable[..., AppTest]) -> None:
    link, key = opened(app(model="digits_cnn", policy=ODD.key), "Share").code
    assert key.value == ODD.key
    assert f"policy={quote_plus(ODD.key)}" in link.value


def test_several_layers_are_set_and_undone_at_once(app: Callable[..., AppTest]) -> None:
    test = opened(app(model="resnet20", policy=bundled.profile("resnet20").uniform(32).key), "Several")
    of_key(test.selectbox, "lab-group").set_value("layer2 (6)").run()
    of_key(test.button_group, "lab-group-bits").set_value(5).run()
    press(test, "lab-set-group")
    names = bundled.profile("resnet20").quantizable_names
    assert [name for name, bits in zip(names, shown(test).weight_bits, strict=True) if bits == 5] == [
        name for name in names if name.startswith("layer2.")
    ]
    assert shown(press(test, "lab-undo")).is_fp32


def test_what_explore_chose_meanwhile_is_one_undo_away_from_the_edit(app: Callable[..., AppTest]) -> None:
    test = set_bits(app(model="digits_cnn", policy=DIGITS.uniform(8).key), 3, "linear")
    edited = shown(test)
    test.switch_page(str(ROOT / "pages" / "explore" / "page.py")).run()
    test.slider(key="alpha").set_value(0.0).run()
    lab(test)
    assert "best found at alpha 0.00" in caption(healthy(test))
    assert shown(press(test, "lab-undo")) == edited


def test_another_batch_and_machine_move_the_prediction(app: Callable[..., AppTest]) -> None:
    test = app(model="digits_cnn", policy=DIGITS.uniform(8).key, batch="64")
    # 10,104 bytes of weights, 40 of biases and 64 times 17,288 of activations at 1,555 GB/s.
    assert metrics(test)["Predicted, batch 64"].value == "718 ns"
    test = app(model="digits_cnn", policy=DIGITS.uniform(8).key)
    assert metrics(test)["Predicted time"].value == "17.6 ns"
    test = app(model="digits_cnn", policy=DIGITS.uniform(8).key, batch="64", machine="pi-5")
    assert metrics(test)["Predicted, batch 64"].value == "186 µs"
    integer = next(key for key, machine in PRESETS.items() if not machine.runs_fp32)
    test = app(model="digits_cnn", machine=integer)
    assert metrics(test)["Predicted time"].value == "–"
    assert any("integers" in info.value for info in test.info)


def test_measuring_queues_exactly_this_policy(app: Callable[..., AppTest], tmp_path: Path) -> None:
    test = press(app(model="digits_cnn", policy=ODD.key), "lab-measure")
    (run,) = stored(tmp_path)
    assert run.status is RunStatus.QUEUED
    assert (run.request.algorithm, run.request.policies, run.request.images) == ("manual", (ODD,), 500)
    assert not any(element.key == "lab-measure" for element in healthy(test).button)
    press(test, f"lab-cancel-{run.id}")
    assert stored(tmp_path)[0].status is RunStatus.CANCELLED
    press(healthy(test.run()), "lab-measure")
    # Asked again, it is the same run that goes on.
    assert [run.status for run in stored(tmp_path)] == [RunStatus.QUEUED]


def test_a_full_queue_is_said(app: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIQ_MAX_QUEUE", "1")
    test = press(app(model="digits_cnn", policy=ODD.key), "lab-measure")
    set_bits(test, 6, "linear")
    press(test, "lab-measure")
    assert any("takes at most 1" in error.value for error in test.error)


def test_a_policy_is_saved_as_a_run_without_steps(app: Callable[..., AppTest], tmp_path: Path) -> None:
    test = app(model="digits_cnn", policy=ODD.key)
    of_key(test.text_input, "lab-label").set_value("stem kept wide").run()
    press(test, "lab-save")
    assert any("Saved as run" in element.value for element in healthy(test).success)
    (run,) = stored(tmp_path)
    assert (run.request.algorithm, run.status, run.policy, run.steps) == ("manual", RunStatus.DONE, ODD, ())
    assert run.request.label == "stem kept wide"
    assert run.evaluations == run.evaluations_new == 0
    # Every page that lists runs still opens.
    test.query_params["run"] = run.id
    for page in ("search", "explore", "results", "lab", "roofline", "present"):
        healthy(test.switch_page(str(ROOT / "pages" / page / "page.py")).run())


def test_a_saved_run_is_compared_with_a_search(app: Callable[..., AppTest], tmp_path: Path) -> None:
    test = app(model="digits_cnn", policy=DIGITS.uniform(8).key)
    press(test, "lab-save")
    (run,) = stored(tmp_path)
    search = next(run for run in library.open_library().runs(bundled.model("digits_cnn")) if run.request.alpha == 0.9)
    test.query_params["run"], test.query_params["with"] = run.id, search.id
    healthy(test.switch_page(str(ROOT / "pages" / "search" / "page.py")).run())
    assert any("two runs compared" in element.value for element in test.markdown)
    test.query_params["run"] = run.id
    presented = healthy(test.switch_page(str(ROOT / "pages" / "present" / "page.py")).run())
    assert [box.value for box in presented.multiselect] == [[run.id]]


def test_a_saved_run_travels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = [tmp_path / "here", tmp_path / "there"]
    monkeypatch.setenv("AIQ_DATA_DIR", str(folders[0]))
    run = manual.save_manual(library.open_library(), bundled.model("digits_cnn"), ODD, 500, " a name ")
    assert run.origin is not None
    assert run.origin.source == SAVED
    document = exchange.export_run(library.open_library(), run.id)
    monkeypatch.setenv("AIQ_DATA_DIR", str(folders[1]))
    taken = exchange.import_run(library.open_library(), document.encode())
    assert (taken.policy, taken.request.label) == (ODD, "a name")


def test_the_same_run_is_not_saved_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIQ_DATA_DIR", str(tmp_path))
    known = library.open_library()
    run = manual.save_manual(known, bundled.model("digits_cnn"), ODD, 500, "")
    with pytest.raises(SettingError, match=f"kept already as run {run.id}"):
        manual.save_manual(known, bundled.model("digits_cnn"), ODD, 500, "")
    with pytest.raises(SettingError, match="at most 60"):
        manual.save_manual(known, bundled.model("digits_cnn"), ODD, 500, "x" * 61)
    assert manual.save_manual(known, bundled.model("digits_cnn"), ODD, 500, "other").id != run.id


def test_the_exported_policy_reads_back(app: Callable[..., AppTest]) -> None:
    from pages.lab.saving import policy_document

    known = library.open_library()
    policy = DIGITS.uniform(4)
    found = {
        split: accuracy.measured(known, bundled.model("digits_cnn"), split, 500, policy, DIGITS.uniform(32))
        for split in SplitName
    }
    document = json.loads(json.dumps(policy_document(bundled.model("digits_cnn"), policy, found)))
    assert policies.read_text(json.dumps(document), "digits_cnn") == ("digits_cnn", policy.key)
    assert document["search_images"] == 500
    assert document["weight_bytes"] == sum(layer.weights for layer in DIGITS.quantizable) / 2


def test_a_read_only_server_edits_and_neither_measures_nor_saves(
    app: Callable[..., AppTest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIQ_READ_ONLY", "1")
    test = set_bits(app(model="digits_cnn", policy=ODD.key), 6, "block2.conv")
    assert shown(test).weight_bits[1] == 6
    keys = {element.key for element in test.button}
    assert not keys & {"lab-measure", "lab-save"}
    said = " ".join(element.value for element in test.caption)
    assert "read-only" in said
    assert "accuracy" in said
    assert list(tmp_path.iterdir()) == []


def test_the_lab_does_not_import_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from streamlit.testing.v1 import AppTest; "
        "test = AppTest.from_file('app.py', default_timeout=60).run(); "
        "test.switch_page('pages/lab/page.py').run(); "
        "assert not test.exception; assert 'torch' not in sys.modules; assert 'pages.lab.flips' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=120)
