"""The Models page without a browser: cards, removal, forms, a trial's end; and every page of an unmeasured network."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest
from torchvision import models as torchvision_models

from aiq_core import jobs
from aiq_core.catalog import ASSETS, data_dir
from aiq_core.catalog.hashes import model_hash
from aiq_core.intensity import intensity
from aiq_core.library import Library
from aiq_core.records import FP32_BITS, ModelProfile, Policy, RunStatus, SplitName, Task
from aiq_core.statistics import wilson
from aiq_core.tasks import trial
from aiq_core.wording import number, seconds, significant, span
from pages.common import controls, known
from pages.models.architectures import ARCHITECTURES
from pages.models.facts import facts, top1
from pages.models.times import frame as times_frame
from pages.models.times import table, times
from tests import bundled

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(path.parent.name for path in (ROOT / "pages").glob("*/page.py"))


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    """The one that the pages open, with a store and a catalogue of its own."""
    monkeypatch.setenv("AIQ_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("AIQ_CACHE_DIR", str(tmp_path / "cache"))
    known.library.clear()  # type: ignore[attr-defined]
    yield known.library()
    known.library.clear()  # type: ignore[attr-defined]


def own(name: str = "mine", title: str = "Mine", folder: Path | None = None, **card: Any) -> None:
    """A copy of the digits network in a catalogue, as a user's own: nothing is measured of it."""
    place = folder or data_dir() / "catalog"
    shutil.copytree(ASSETS / "data" / "digits", place / "data" / name)
    models = place / "models"
    models.mkdir(exist_ok=True)
    shutil.copytree(ASSETS / "models" / "digits_cnn", place / f"{name}-made")
    path = place / f"{name}-made" / "card.json"
    # Of another hash, as of another normalisation: what is known of the bundled one is not known of it.
    plain, std = bundled.model("digits_cnn"), [0.36]
    identity = model_hash(plain.profile.graph, plain.card.mean, tuple(std), plain.weights)
    changed = {"name": name, "title": title, "dataset": name, "std": std, "model_hash": identity, **card}
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))
    path.parent.rename(models / name)


@pytest.fixture
def app(library: Library) -> Callable[..., AppTest]:
    """Runs a page at an address."""

    def run(page: str = "models", **query: str) -> AppTest:
        test = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
        for name, value in query.items():
            test.query_params[name] = value
        test.run()
        if page != "explore":
            test.switch_page(str(ROOT / "pages" / page / "page.py")).run()
        assert not test.exception
        return test

    return run


def words(test: AppTest) -> str:
    parts = (test.markdown, test.caption, test.warning, test.success, test.error, test.info)
    return "\n".join(element.value for part in parts for element in part)


def test_every_network_has_a_card(library: Library, app: Callable[..., AppTest]) -> None:
    test = app()
    assert "#### 5 networks, none of them your own yet" in words(test)
    for model in library.models.values():
        assert f"**{model.title}** :gray[ships with the app]" in words(test)
        percents = model.card.search_top1_percent, model.card.report_top1_percent
        for split, percent in zip(SplitName, percents, strict=True):
            images = model.dataset.split(split).size
            interval = wilson(round(percent * images / 100), images)
            assert top1(model, split) == interval
            assert f"**{number(percent, 2)} %** :gray[({span(interval)}), {split}]" in words(test)
        assert f"{len(library.runs(model))} finished runs, " in facts(model).known
    assert "22 of 22 layers wait for bytes on A100 (TF32)" in words(test)
    assert "22 layers, 81.6 MFLOP an image, 1.09 MB of weights" in words(test)
    assert not [button for button in test.button if button.key.startswith("removed-")]
    # One that only computes in integers has no roofline here.
    integers = next(key for key, machine in library.machines.items() if not machine.runs_fp32)
    assert words(app(machine=integers)).count("can't run FP32 activations: no roofline here") == 5


def test_a_card_opens_its_model_in_explore(app: Callable[..., AppTest]) -> None:
    test = app().button(key="open-digits_cnn").click().run()
    assert not test.exception
    assert test.selectbox(key="model").value == "digits_cnn"
    assert any(element.value.startswith("#### Digits CNN") for element in test.markdown)


def test_an_own_one_appears_and_is_removed_once_confirmed(library: Library, app: Callable[..., AppTest]) -> None:
    test = app()
    own()
    test.run()
    assert "#### 6 networks, 1 of them your own" in words(test)
    assert "**Mine** :gray[your own]" in words(test)
    assert facts(library.model("mine")).known == "Nothing is searched or evaluated yet."
    test.session_state["remove-mine"] = True
    test.run()
    asked = words(test)
    assert "Remove **Mine**?" in asked
    assert "Its 0 runs and 0 evaluations stay in the store" in asked
    test.button(key="removed-mine").click().run()
    assert not test.exception
    assert "Mine is removed." in words(test)
    assert "mine" not in library.models
    assert not list((data_dir() / "catalog" / "data").iterdir())


@pytest.fixture
def alone(library: Library) -> ModelProfile:
    """The digits network, as one that was counted alone."""
    folder = data_dir() / "catalog" / "profiles"
    folder.mkdir(parents=True)
    shutil.copyfile(ASSETS / "models" / "digits_cnn" / "profile.json", folder / "alone.json")
    return library.profiles["alone"]


def test_a_network_that_is_counted_alone_claims_no_accuracy(alone: ModelProfile, app: Callable[..., AppTest]) -> None:
    test = app()
    assert "**alone** :gray[your own, counted alone]" in words(test)
    assert words(test).count("Top-1 ") == 5
    test.button(key="times-alone").click().run()
    assert not test.exception
    assert test.query_params["network"] == "alone"
    assert "No accuracy is known, as it was counted without weights and labels" in words(test)
    assert "Top-1" not in words(test)
    values = {metric.label: metric.value for metric in test.metric}
    assert "Top-1" not in " ".join(values)
    weights = sum(layer.weights for layer in alone.layers)
    # Eight bits a number, where nothing is chosen yet.
    assert values["Weights"] == f"{weights / 1000:.1f} kB"
    eight = intensity(alone, alone.uniform(8, 8))
    assert f"#### alone: :violet[{number(eight, 2)} FLOPs per byte]" in words(test)
    test.button(key="alone-back").click().run()
    assert "#### 6 networks, 1 of them your own" in words(test)
    assert "network" not in test.query_params


def test_bits_are_chosen_for_all_and_for_one(alone: ModelProfile, app: Callable[..., AppTest]) -> None:
    test = app(network="alone", layer="block2.conv")

    def chosen() -> Policy:
        return Policy.from_key(test.query_params["widths"])

    test.button_group(key="alone-alone-weights").set_value(4).run()
    assert chosen() == alone.uniform(4, 8)
    test.button_group(key="alone-alone-activations").set_value(32).run()
    assert chosen() == alone.uniform(4, 32)
    test.button_group(key="alone-alone-bits-block2.conv").set_value(2).run()
    assert chosen().weight_bits == (4, 2, 4, 4, 4)
    # Several widths: none is that of all.
    assert test.button_group(key="alone-alone-weights").value is None
    test.selectbox(key="alone-alone-site-block2.conv").set_value("activations of pooled").run()
    assert not test.exception
    assert test.query_params["activations"] == "pooled"
    assert "layer" not in test.query_params
    test.button_group(key="alone-alone-bits-activations of pooled").set_value(8).run()
    assert chosen() == Policy((4, 2, 4, 4, 4), (32, 32, 32, 32, 32, 8))


def test_times_on_every_machine_by_hand(alone: ModelProfile, library: Library) -> None:
    policy, machines = alone.uniform(4, 8), list(library.machines.values())
    found = times(alone, policy, machines, controls.BATCHES)
    assert len(found) == len(machines) * len(controls.BATCHES)
    by = {(time.machine.key, time.batch): time for time in found}
    two = by[controls.DEFAULT_MACHINE, 2]
    weights, read_and_written = 72 + 1152 + 3456 + 5184 + 240, 64 + 2 * 512 + 2 * 1024 + 3 * 384 + 24
    # Every layer waits for bytes: weights and ten biases once, the activations and logits of two images.
    fp32 = 4 * (weights + 10 + 2 * (read_and_written + 10))
    assert two.fp32_s == pytest.approx(fp32 / two.machine.bandwidth.value)
    now = weights / 2 + 4 * 10 + 2 * (read_and_written + 4 * 10)
    assert two.policy_s == pytest.approx(now / two.machine.bandwidth.value)
    assert two.words == f"{seconds(two.policy_s)}, {significant(fp32 / now)} ×"
    frame = times_frame(found, "alone", policy)
    assert list(frame["predicted_s"]) == [time.policy_s for time in found]
    assert len(table(found)) == len(machines)
    # A machine of integers alone has a time where all is in integers, and none that it could be faster than.
    integers = next(machine for machine in machines if not machine.runs_fp32)
    assert by[integers.key, 1].words == seconds(by[integers.key, 1].policy_s)
    assert f"{integers.name}, no FP32" in list(table(found)["machine"])
    assert times(alone, alone.uniform(4), [integers], [1])[0].words == "can't run FP32 activations"
    assert set(frame[frame["machine"] == integers.name]["note"]) == {"can't run FP32 activations"}


def test_a_machine_of_integers_shows_a_network_where_all_is_in_integers(
    alone: ModelProfile, library: Library, app: Callable[..., AppTest]
) -> None:
    integers = next(key for key, machine in library.machines.items() if not machine.runs_fp32)
    test = app(network="alone", machine=integers)
    assert "at these widths, by predicted time" in words(test)
    values = {metric.label: metric.value for metric in test.metric}
    (time,) = times(alone, alone.uniform(8, 8), [library.machine(integers)], [1])
    assert (values["Predicted time"], values["Predicted speed-up"]) == (time.words, "–")
    test = app(network="alone", machine=integers, widths=alone.uniform(8).key)
    assert "only computes in integers" in words(test)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"network": "none"}, "network='none' is none that is counted alone: choose from alone."),
        ({"network": "resnet20"}, "network='resnet20' is none that is counted alone: it has weights and images"),
        ({"network": "alone", "widths": "w8x4 a8x6"}, "The link's widths were not used: policy 'w8x4 a8x6' gives bits"),
        ({"network": "alone", "widths": "w8"}, "The link's widths were not used: policy key 'w8' cannot be read"),
        ({"network": "alone", "layer": "conv9"}, "layer='conv9' is not in "),
    ],
)
def test_an_address_that_asks_in_vain_says_so(
    alone: ModelProfile, app: Callable[..., AppTest], query: dict[str, str], said: str
) -> None:
    test = app(**query)
    assert said in words(test)
    assert ("#### alone: " in words(test)) == (query["network"] == "alone")


def test_a_network_that_is_counted_alone_is_removed_from_its_own_page(
    alone: ModelProfile, library: Library, app: Callable[..., AppTest]
) -> None:
    test = app(network="alone")
    test.session_state["remove-alone"] = True
    test.run()
    test.button(key="removed-alone").click().run()
    assert not test.exception
    assert "alone is removed." in words(test)
    assert "#### 5 networks" in words(test)
    assert not library.profiles


@pytest.mark.parametrize(
    ("page", "is_chance"),
    [*((page, False) for page in PAGES), ("explore", True), ("models", True), ("learn", True), ("present", True)],
)
def test_every_page_opens_on_one_of_which_nothing_is_measured(
    app: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch, page: str, is_chance: bool
) -> None:
    # Nor of any other, so that no claim takes its time.
    monkeypatch.setattr("aiq_core.library.BUNDLED_RESULTS", data_dir() / "none.sqlite")
    known.library.clear()  # type: ignore[attr-defined]
    own(is_chance=is_chance)
    test = app(page, model="mine")
    assert not test.error
    said = words(test) + " ".join(test.selectbox(key="model").options)
    assert ("Mine (chance level)" in said) == is_chance
    assert any(caption.value.startswith(":material/casino: Chance level") for caption in test.caption) == is_chance


def test_a_form_says_what_it_lacks(library: Library, app: Callable[..., AppTest]) -> None:
    test = app()
    assert "Up to 1,000 MB a file" in words(test)  # before anything is uploaded

    def tried() -> str:
        next(button for button in test.button if button.label == "Try it").click()
        test.run()
        assert not test.exception
        return str(test.error[0].value)

    assert tried().startswith("the network has no name; give it one of 1 to 60 letters")
    test.text_input(key="add-name").set_value("mine")
    assert tried() == "no file of data and weights was uploaded; choose one, and try it again"
    test.file_uploader(key="add-file").set_value(("w.safetensors", b"x", "application/octet-stream"))
    test.file_uploader(key="add-data").set_value(("d.zip", b"x", "application/zip"))
    assert tried().startswith("the network has no outputs; give their number")
    test.number_input(key="add-outputs").set_value(10)
    test.text_input(key="add-name").set_value("resnet20")
    assert tried() == "'resnet20' ships with the app; choose another name"
    test.text_input(key="add-name").set_value("mine")
    test.text_input(key="add-mean").set_value("0.4 0.4")
    assert tried() == "mean='0.4 0.4' is no list of numbers; write them like 0.485, 0.456, 0.406"
    assert library.store.tasks.all(trial.KIND) == []
    assert not (data_dir() / "uploads").exists()


def test_a_form_hands_its_files_over(
    library: Library, app: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "ensure_worker", lambda *_: None)
    test = app()
    test.text_input(key="add-name").set_value("mine")
    test.number_input(key="add-outputs").set_value(10)
    test.selectbox(key="add-architecture").set_value("vgg11")
    test.file_uploader(key="add-file").set_value(("w.safetensors", b"weights", "application/octet-stream"))
    test.file_uploader(key="add-data").set_value(("d.npz", b"images", "application/zip"))
    test.text_area(key="add-classes").set_value("cat\ndog")
    test.text_input(key="add-crop").set_value("")
    next(button for button in test.button if button.label == "Try it").click()
    test.run()
    assert not test.error
    (task,) = library.store.tasks.all(trial.KIND)
    folder = data_dir() / "uploads" / task.settings["uploads"]
    assert task.settings == {
        "name": "mine",
        "network": "torchvision:vgg11:10",
        "weights": str(folder / "weights" / "w.safetensors"),
        "data": str(folder / "data" / "d.npz"),
        "classes": str(folder / "classes" / "classes.txt"),
        "flags": {
            "resize": [256],
            "mean": [0.485, 0.456, 0.406],
            "std": [0.229, 0.224, 0.225],
            "interpolation": "bilinear",
        },
        "uploads": folder.name,
    }
    assert (folder / "weights" / "w.safetensors").read_bytes() == b"weights"
    assert (folder / "classes" / "classes.txt").read_text() == "cat\ndog"


def test_torchvisions_own_weights_bring_their_preprocessing(
    library: Library, app: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "ensure_worker", lambda *_: None)
    test = app()
    test.text_input(key="add-name").set_value("mine")
    test.selectbox(key="add-weights").set_value("torchvision’s own")
    test.selectbox(key="add-architecture").set_value("inception_v3")  # 342 and 299 pixels, halves
    test.text_input(key="add-crop").set_value("128")
    test.file_uploader(key="add-data").set_value(("d.npz", b"images", "application/zip"))
    next(button for button in test.button if button.label == "Try it").click()
    test.run()
    assert not test.error
    (task,) = library.store.tasks.all(trial.KIND)
    assert (task.settings["network"], task.settings["weights"]) == ("torchvision:inception_v3", "default")
    assert task.settings["flags"] == {"crop": [128]}


def ended(library: Library, **other: Any) -> Task:
    """A trial at its end, as a dry run leaves it, with the digits network in what waits."""
    waits = "adding-0123456789ab"
    own(folder=data_dir() / "catalog" / waits, is_chance=bool(other.get("is_chance")))
    estimate = {"evaluations": 12, "minutes": 0.5, "images": 500}
    result = {
        "name": "mine",
        "keys_loaded": 22,
        "keys_missing": 0,
        "keys_unexpected": 0,
        "keys_misshaped": 0,
        "parameters": 10_258,
        "said": ["images as they are"],
        "operators_refused": [],
        "quantizable_layers": 5,
        "flops": 433_632,
        "moved_bytes": 57_700,
        "intensity": 7.51,
        "estimate": estimate,
        "is_chance": False,
        "chance_percent": 10.0,
        "better_class_order": None,
        "waits": waits,
    }
    for split in SplitName:
        figures = {"images": 500, "right": 485, "top1_percent": 97.0, "top1_interval": [95.11, 98.17]}
        result |= {f"{split}_{name}": value for name, value in figures.items()}
    settings = {"name": "mine", "network": "torchvision:vgg11:10"}
    task = Task("try-1", trial.KIND, settings, RunStatus.DONE, "2026-01-01T00:00:00", result=result | other)
    library.store.tasks.add(task)
    return task


def test_a_dry_run_is_shown_before_it_is_kept(library: Library, app: Callable[..., AppTest]) -> None:
    ended(library)
    test = app()
    assert "FP32 top-1 **97.00 %** :gray[(95.11 to 98.17), 485 of 500 report images]" in words(test)
    assert "22 tensors loaded, 0 missing, 0 unexpected, 0 misshaped; 10,258 parameters" in words(test)
    assert "about 12 evaluations, 30 s here, on 500 search images" in words(test)
    assert "Mine" not in test.selectbox(key="model").options
    test.button(key="trial-keep").click().run()
    assert not test.exception
    assert not test.error
    assert "Mine is added and chosen." in words(test)
    assert test.selectbox(key="model").value == "mine"
    assert library.model("mine").profile.uniform(FP32_BITS)
    assert [button.label for button in test.button if button.label == "Try it"]


def test_chance_level_is_kept_only_where_that_is_said(library: Library, app: Callable[..., AppTest]) -> None:
    ended(library, is_chance=True)
    test = app()
    assert "Chance level: guessing gives 10.00 %" in words(test)
    assert test.button(key="trial-keep").disabled
    test.checkbox(key="trial-chance").check().run()
    test.button(key="trial-keep").click().run()
    assert "Mine (chance level) is added and chosen." in words(test)


def test_what_is_refused_cannot_be_kept(library: Library, app: Callable[..., AppTest]) -> None:
    ended(library, refused="weights.pt does not fit vgg11")
    test = app()
    assert test.error[0].value == "weights.pt does not fit vgg11"
    assert not [button for button in test.button if button.key == "trial-keep"]
    test.button(key="trial-forget").click().run()
    assert not test.error
    assert "mine" not in library.models
    assert [button.label for button in test.button if button.label == "Try it"]


def test_a_failed_trial_says_why_and_can_be_tried_again(
    library: Library, app: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "ensure_worker", lambda *_: None)
    settings = {"name": "mine", "network": "torchvision:vgg11:10"}
    task = Task("try-1", trial.KIND, settings, RunStatus.FAILED, "2026-01-01T00:00:00", message="d.zip is broken")
    library.store.tasks.add(task)
    test = app()
    assert test.error[0].value == "d.zip is broken"
    test.button(key="trial-resume").click().run()
    assert library.store.tasks.get("try-1").status is RunStatus.QUEUED


def test_a_read_only_server_shows_cards_alone(
    library: Library, app: Callable[..., AppTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    own()
    monkeypatch.setenv("AIQ_READ_ONLY", "1")
    known.library.clear()  # type: ignore[attr-defined]
    test = app()
    assert "This server is read-only" in words(test)
    assert "**Mine** :gray[your own]" in words(test)
    assert not test.file_uploader
    assert not [button for button in test.button if button.label in ("Try it", "Remove it")]


def test_the_architectures_are_all_of_torchvisions() -> None:
    known_there = torchvision_models.list_models(module=torchvision_models)
    assert sorted(ARCHITECTURES) == sorted(known_there)
