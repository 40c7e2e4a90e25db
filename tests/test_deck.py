"""Slides from runs: every figure displayed is the document's, titles claim no more than that, and the file is whole."""

import csv
import io
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from html.parser import HTMLParser
from itertools import combinations, islice
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from aiq_core import __main__ as command_line
from aiq_core import exchange, manual
from aiq_core.catalog import Model
from aiq_core.charts.labels import SLIDE_WIDTHS_PX, Anchor, Box, Place, text_box
from aiq_core.deck import build, fonts, html
from aiq_core.deck.facts import FASTER
from aiq_core.deck.slide import Deck, Slide
from aiq_core.deck.text import look_up, plain, say
from aiq_core.documents import run_document
from aiq_core.errors import SettingError, UnknownNameError
from aiq_core.hardware import PRESETS
from aiq_core.intensity import intensity, moved_bytes
from aiq_core.library import BUNDLED_RESULTS, Library, open_library
from aiq_core.records import Move, Policy, Quantizer, Run, RunStatus, Site, SiteKind, SplitName
from aiq_core.space import JOINT
from aiq_core.statistics import Comparison
from aiq_core.store import Store
from tests import bundled

ROOT = Path(__file__).resolve().parent.parent
MODELS = ("resnet20", "mobilenet_v2", "digits_cnn")
MACHINES = ("a100-tf32", "pi-5", "coral-usb")
UNITS = {"B": 1, "kB": 1e3, "MB": 1e6, "s": 1, "min": 60, "h": 3600}


@pytest.fixture(scope="module")
def known() -> Library:
    """The bundled results alone."""
    return Library(None, Store(BUNDLED_RESULTS, immutable=True))


def usual(known: Library, model: str) -> str:
    """The paper's run: weights alone, greedy at alpha 0.9."""
    runs = (run for run in known.runs(bundled.model(model)) if run.request.is_ordinary)
    return next(run.id for run in runs if (run.request.algorithm, run.request.alpha) == ("greedy", 0.9))


def deck(known: Library, *run_ids: str, machine: str = "a100-tf32") -> Deck:
    return build.build(known, run_ids, PRESETS[machine])


def titled(of: Deck, key: str) -> str:
    return plain(next(slide.title for slide in of.slides if slide.key == key))


def trade_off(of: Deck) -> Slide:
    return next(slide for slide in of.slides if slide.key in ("trade-off", "compared"))


def y_title(slide: Slide) -> str:
    assert slide.figure is not None
    return str(slide.figure.light["layout"]["yaxis"]["title"]["text"])


class Reader(HTMLParser):
    """Every displayed figure (run, field, text), and the scripts by id."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.figures: list[list[str]] = []
        self.scripts: dict[str, str] = {}
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._inside: str | None = None
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append((tag, found))
        if tag == "data":
            self.figures.append([found["data-run"] or "", found["value"] or "", ""])
        self._inside = tag if tag == "data" else f"#{found['id']}" if tag == "script" and "id" in found else None

    def handle_endtag(self, tag: str) -> None:
        self._inside = None

    def handle_data(self, data: str) -> None:
        if self._inside == "data":
            self.figures[-1][2] += data
        elif self._inside:
            self.scripts[self._inside[1:]] = self.scripts.get(self._inside[1:], "") + data


def agrees(text: str, value: Any) -> bool:
    """Whether a displayed figure is the value, to the last digit displayed; a sign may stand in the words around it."""
    text = text.replace("\u00a0", " ").replace("\u2011", "-").replace("−", "-")
    if isinstance(value, str):
        return text == value
    if hours := re.fullmatch(r"(\d+) h (\d+) min", text):
        return abs(int(hours[1]) * 60 + int(hours[2]) - value / 60) <= 0.5
    found = re.fullmatch(r"(-?[\d,]+(?:\.\d+)?(?:e-\d+)?) ?([kM]?B|s|min|h)?", text)
    assert found, text
    digits = found[1].replace(",", "")
    mantissa, _, power = digits.partition("e")
    half = 0.5 * 10.0 ** (-len(mantissa.partition(".")[2]) + int(power or 0))
    # Short sizes leave trailing zeros out, so 1.1 MB may be 1.10.
    shown, scaled = float(digits), value / UNITS.get(found[2] or "B", 1)
    return min(abs(shown - scaled), abs(shown - abs(scaled))) <= half * (1 + 1e-9)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("machine", MACHINES)
def test_every_displayed_figure_is_the_documents(known: Library, model: str, machine: str) -> None:
    made = deck(known, usual(known, model), machine=machine)
    read = Reader(html.page(made, plotly=""))
    documents = {made.runs[0]["id"]: run_document(known, known.run(usual(known, model)))}
    assert json.loads(read.scripts["data"])["runs"] == json.loads(json.dumps(list(documents.values())))
    for run, field, text in read.figures:
        assert agrees(text, look_up(documents[run], field)), (field, text)
    fields = {field for _, field, _ in read.figures}
    assert fields >= {
        "intensity", "baseline_intensity", "intensity_gain_percent", "weight_bytes", "moved_bytes", "evaluations",
        "evaluations_new", "seconds", "report_top1_percent", "report_baseline_top1_percent", "report_drop_points",
        "report_drop_interval.0", "report_drop_interval.1", "model_hash", "search_hash", "report_hash", "policy_key",
    }  # fmt: skip
    assert (f"predicted_speedup.{machine}" in fields) is PRESETS[machine].runs_fp32


def test_a_comparison_displays_the_documents_too(known: Library) -> None:
    runs = [
        run
        for run in known.runs(bundled.model("resnet20"))
        if run.request.alpha == 0.9 or run.request.label == "all at 8 bits"
    ]
    made = deck(known, *(run.id for run in runs[:4]))
    documents = {run["id"]: run for run in made.runs}
    for run, field, text in Reader(html.page(made, plotly="")).figures:
        assert agrees(text, look_up(documents[run], field)), (field, text)


def test_the_reader_of_figures_is_strict() -> None:
    assert agrees("165 kB", 165440.0)
    assert agrees("12 min", 715.2)
    assert agrees("51", 50.5457)
    assert agrees("0.7", -0.72)
    assert not agrees("1.51", 1.52)
    assert not agrees("166 kB", 165440.0)
    assert not agrees("0.73", 0.72)


def every_run(known: Library) -> Iterator[Run]:
    for model in MODELS:
        yield from (run for run in known.runs(bundled.model(model)) if run.policy is not None)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("every", [32, pytest.param(1, marks=pytest.mark.thorough)])
def test_titles_claim_no_more_than_the_numbers(known: Library, every: int) -> None:
    """Bundled runs on a machine that gains, one that may not, and one that can't run it."""
    for run in islice(every_run(known), 0, None, every):
        for machine in MACHINES:
            made = deck(known, run.id, machine=machine)
            check_claims(made)


def check_claims(made: Deck) -> None:
    (document,) = made.runs
    headline, price, speed = (titled(made, key) for key in ("message", "trade-off", "speed"))
    assert "±" not in headline + price + speed
    low, high = document["report_drop_interval"] or document["search_drop_interval"]
    fp32 = document["intensity_gain_percent"] == 0
    if low <= 0 <= high and not fp32:
        assert "within noise" in price
        assert "within noise" in headline or "not reported yet" in headline
    elif not fp32:
        assert "within noise" not in price
    factor = document["predicted_speedup"][made.machine]
    if factor is None:
        assert ("can't run" in speed or fp32) and "predicted" not in headline
    elif factor < FASTER:
        assert not re.search(r"redicted [\d.]+ ×", headline + speed)
        assert "o faster" in headline or fp32
    else:
        assert f"predicted {factor:.2f} × faster" in headline or fp32


def test_the_plain_search_is_counted_by_its_moves(known: Library) -> None:
    # ResNet-20: 20 layers, 2 widths below FP32; greedy at alpha 0.9 takes 18 and rests in its 19th step.
    plain_count = 2 * sum(20 - taken for taken in range(19))
    assert f"the plain search makes {plain_count}" in titled(deck(known, usual(known, "resnet20")), "cost")


def test_listed_policies_are_no_search(known: Library) -> None:
    run = next(run for run in known.runs(bundled.model("resnet20")) if run.request.algorithm == "uniform")
    made = deck(known, run.id)
    assert titled(made, "cost").startswith("No search: 1 policy was")
    # 42.30 and 45.46 FLOPs per byte, 92.24 and 90.88 % on report images.
    assert titled(made, "uniform") == "Against 4 bits everywhere: 7.0 % less work per byte, 1.4 points more accuracy"
    other = next(run for run in known.runs(bundled.model("resnet20")) if run.request.label == "all at 4 bits")
    said = titled(deck(known, other.id), "uniform")
    assert said == "Against 8 bits everywhere: 7.5 % more work per byte, 1.4 points less accuracy"


def test_fp32_gains_and_loses_nothing(known: Library) -> None:
    run = next(run for run in every_run(known) if run.policy is not None and run.policy.is_fp32)
    made = deck(known, run.id)
    assert "nothing is gained or lost" in titled(made, "message")
    assert titled(made, "trade-off") == "Nothing is quantized, so no accuracy is lost"
    # 29.85 against 42.30 FLOPs per byte
    assert titled(made, "uniform").startswith("Against 8 bits everywhere: 29 % less work per byte, accuracy within")
    assert titled(made, "speed") == "Nothing is quantized, so no machine gets faster"
    speed = next(slide for slide in made.slides if slide.key == "speed")
    assert speed.figure is not None and "compute-bound" not in json.dumps(speed.figure.light)
    compared = deck(known, usual(known, "resnet20"), run.id)
    assert titled(compared, "compared").startswith("B stays at FP32's 29.8 FLOPs per byte, A reaches 44.9")
    assert titled(compared, "table").startswith("0 to 51 % more work per byte")


def by_hand(known: Library, tmp_path: Path, bits: dict[str, int]) -> tuple[Library, Run]:
    """A library of a user who saved a policy of ResNet-20."""
    library = Library(Store(tmp_path / "store.sqlite"), known.bundled)
    policy = bundled.profile("resnet20").policy(bits)
    return library, manual.save_manual(library, bundled.model("resnet20"), policy, 2000, "by hand")


def test_titles_of_a_policy_set_by_hand(known: Library, tmp_path: Path) -> None:
    # conv1 has 432 of 270 thousand weights: at 8 bits it saves 1.3 kB of 2.7 MB.
    library, run = by_hand(known, tmp_path, {"conv1": 8})
    made = deck(library, run.id)
    assert titled(made, "cost") == "Set by hand: no search, and nothing was evaluated for it"
    # All 22 layers wait for memory on this machine, so none can be compute-bound or stand at the roof.
    assert "no faster on A100 (TF32): too few bytes are saved" in titled(made, "message")
    assert titled(made, "roofline").endswith("too few bytes are saved to move the layers")
    assert titled(made, "speed") == "No faster on A100 (TF32), too few bytes are saved; no machine would gain"


def test_slides_of_a_policy_with_quantized_activations_tell_both_kinds(known: Library, tmp_path: Path) -> None:
    library, model = Library(Store(tmp_path / "store.sqlite"), known.bundled), bundled.model("resnet20")
    how, profile = JOINT.quantizer(model.dataset), model.profile
    mixed = profile.policy(dict.fromkeys(profile.quantizable_names, 4), dict.fromkeys(profile.activation_groups, 8))
    mixed = profile.moved(mixed, Move(Site(SiteKind.ACTIVATIONS, "conv1"), 6))
    run = manual.save_manual(library, model, mixed, 2000, "", how)
    made = deck(library, run.id)
    moved = moved_bytes(profile, profile.uniform(32)) / moved_bytes(profile, mixed)
    kinds = "Weights at 4 bits, activations at 6 to 8 bits"
    assert titled(made, "bits") == f"{kinds}: all that moves shrinks {moved:.1f} times"
    slide = next(slide for slide in made.slides if slide.key == "bits")
    counts, rounding = (plain(note) for note in slide.notes)
    assert counts.startswith("All 20 layers at 4 bits; 1 activation group at 6 bits, 13 at 8.")
    assert "symmetric, by gptq, one scale per output channel" in rounding
    assert "one scale per tensor, its range set by mse" in rounding
    assert slide.figure is not None and len(slide.figure.light["data"]) == 2
    assert "activations of conv1 6" in slide.figure.alt
    assert {row["kind"] for row in slide.figure.rows} == {"weights", "activations"}
    table = next(slide for slide in made.slides if slide.key == "provenance").table
    assert table is not None
    assert any("activations per tensor, ranges by mse" in plain(value) for _, value in table.rows)
    for theme in (slide.figure.light, slide.figure.dark):
        go.Figure(theme)
    # Nothing measured it, so there is no comparison with uniform widths; the page is whole all the same.
    assert "uniform" not in {slide.key for slide in made.slides}
    documents = {run.id: run_document(library, run)}
    for of, field, text in Reader(html.page(made, plotly="")).figures:
        assert agrees(text, look_up(documents[of], field)), (field, text)


@pytest.fixture(scope="module")
def joint(known: Library, tmp_path_factory: pytest.TempPathFactory) -> tuple[Library, Run]:
    """A joint search of digits_cnn at alpha 0.9, made here, beside the bundled results."""
    folder = tmp_path_factory.mktemp("joint")
    command = [sys.executable, "-m", "aiq_core", "search", "digits_cnn", "--alpha", "0.9", "--weights", "8,6,4,3"]
    command += ["--activations", "8,6,4", "--rounding", "gptq", "--start", "w8a8"]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "AIQ_DATA_DIR": str(folder)}, check=True, capture_output=True)
    library = Library(Store(folder / "store.sqlite"), known.bundled)
    model = bundled.model("digits_cnn")
    asked = JOINT.request(model.name, JOINT.quantizer(model.dataset), model.profile, "greedy", 0.9, 500)
    return library, library.run(asked.digest)


def test_slides_of_a_joint_search_tell_its_space_and_its_images(joint: tuple[Library, Run]) -> None:
    library, run = joint
    made = deck(library, run.id)
    slide = trade_off(made)
    assert slide.kicker == "Digits CNN · greedy at alpha 0.9, weights and activations, rounded by gptq"
    assert "on 500 report images; chosen on 250 others, confirmed on 250. Ring: this run." in plain(slide.lead)
    assert y_title(slide) == "top-1 %, 500 report images"
    notes = [plain(note) for note in slide.notes]
    assert notes[-1].startswith("The search chose on 250 search images; 250 others confirm: drop ")
    table = next(slide for slide in made.slides if slide.key == "provenance").table
    assert table is not None
    rows = {plain(name): plain(value) for name, value in table.rows}
    assert rows["bits for"] == "weights and activations: weights 8, 6, 4, 3, activations 8, 6, 4, from W8A8"
    assert rows["search images"].startswith("digits, 250 (")
    assert rows["confirm images"] == "250 (251 to 500 of the search images, not chosen on)"
    assert rows["accuracy floor"].endswith("of 250 search images right")
    documents = {run.id: run_document(library, run)}
    for of, field, text in Reader(html.page(made, plotly="")).figures:
        assert agrees(text, look_up(documents[of], field)), (field, text)


def test_the_paper_s_search_stands_beside_a_joint_one(joint: tuple[Library, Run]) -> None:
    library, run = joint
    slide, model = trade_off(deck(library, run.id)), bundled.model("digits_cnn")
    paper = library.run(usual(library, "digits_cnn"))
    assert slide.figure is not None and paper.policy is not None
    (row,) = (row for row in slide.figure.rows if row["group"] == "weights only")
    assert (row["policy"], row["flops_per_byte"]) == (paper.policy.key, intensity(model.profile, paper.policy))
    found = library.evaluation(model, SplitName.REPORT, paper.policy)
    assert found is not None
    assert row["report_top1_percent"] == 100 * np.mean(found.outcomes == model.dataset.report.labels)
    (note,) = (plain(note) for note in slide.notes if plain(note).startswith("Weights only: "))
    own = library.evaluation(model, SplitName.REPORT, run.policy or paper.policy, run.request.quantizer)
    assert own is not None
    lost = np.sum(found.outcomes == model.dataset.report.labels) - np.sum(own.outcomes == model.dataset.report.labels)
    assert f"for {abs(lost) / 5:.2f} points" in note  # of 500 images
    assert not any(row["group"] == "weights only" for row in trade_off(deck(library, paper.id)).figure.rows)  # type: ignore[union-attr]


def test_runs_of_both_spaces_are_compared_image_by_image(joint: tuple[Library, Run]) -> None:
    library, run = joint
    slide = trade_off(deck(library, run.id, usual(library, "digits_cnn")))
    assert slide.figure is not None
    assert {"run A", "B"} <= {row["group"] for row in slide.figure.rows}
    assert any("Against A on the same 500 report images: B " in plain(note) for note in slide.notes)
    assert plain(slide.lead).endswith("Rings and stars: the runs.")


def test_a_joint_run_at_the_alpha_is_the_default(joint: tuple[Library, Run]) -> None:
    library, run = joint
    found = build.default_run(library, bundled.model("digits_cnn"))
    assert found is not None and found.id == run.id


def test_no_title_only_names_its_subject(known: Library, tmp_path: Path) -> None:
    """Each says something of this run: a number, or that there is none."""
    kinds = {run.request.algorithm: run.id for run in every_run(known)}
    library, run = by_hand(known, tmp_path, {"conv1": 8, "linear": 4})
    fp32 = next(run.id for run in every_run(known) if run.policy is not None and run.policy.is_fp32)
    for run_id in (*kinds.values(), run.id, fp32):
        for slide in deck(library, run_id).slides:
            assert re.search(
                r"\d|Nothing is quantized|nothing was evaluated|not measured here|was trained", plain(slide.title)
            )


def test_single_layers_choose_no_policy(known: Library) -> None:
    run = next(run for run in known.runs(bundled.model("resnet20")) if run.request.algorithm == "single_layer")
    with pytest.raises(SettingError, match="measured single layers and chose no policy; choose a run that chose one"):
        deck(known, run.id)


class Unreported(Library):
    """Nothing is measured on report images, or on any."""

    nowhere = False

    def paired(
        self,
        model: Model,
        split: SplitName,
        images: int,
        before: Policy,
        after: Policy,
        quantizer: Quantizer = Quantizer(),
        imported: bool = False,
        start: int = 0,
        before_quantizer: Quantizer | None = None,
    ) -> Comparison | None:
        if split is SplitName.REPORT or self.nowhere:
            return None
        return super().paired(model, split, images, before, after, quantizer, imported, start, before_quantizer)


def test_a_run_without_report_figures_says_so(known: Library) -> None:
    library = Unreported(None, known.bundled)
    made = deck(library, usual(known, "resnet20"))
    assert "(accuracy on search images, not reported yet)" in titled(made, "message")
    assert "5,000 search images, not reported yet" in titled(made, "trade-off")
    assert "276 policies on 5,000 search images, which choose and so flatter" in plain(trade_off(made).lead)
    assert y_title(trade_off(made)) == "top-1 %, 5,000 search images"
    page = html.page(made, plotly="")
    assert "report_top1_percent" not in {field for _, field, _ in Reader(page).figures}
    library.nowhere = True
    made = deck(library, usual(known, "resnet20"))
    assert "(accuracy not measured here)" in titled(made, "message")
    assert titled(made, "trade-off") == "The price in accuracy is not measured here"


@pytest.fixture
def imported(known: Library, tmp_path: Path) -> tuple[Library, Run]:
    """A library of a user who imported a run of digits_cnn and has nothing else."""
    content = exchange.export_run(known, usual(known, "digits_cnn"))
    library = Library(Store(tmp_path / "store.sqlite"), None)
    return library, exchange.import_run(library, content.encode())


def test_an_imported_run_says_where_it_is_from(imported: tuple[Library, Run]) -> None:
    library, run = imported
    made = deck(library, run.id)
    assert run.origin is not None
    for slide in made.slides:
        assert f"imported, measured on {run.origin.cpu}" in slide.kicker
    assert "imported from elsewhere" in titled(made, "provenance")
    assert "(accuracy not measured here)" in titled(made, "message")
    right = next(number for number in made.slides[0].numbers if number.label == "Right, as imported")
    assert plain(right.value) == str(run.steps[-1].score)


def test_a_label_cannot_leave_its_place(known: Library, tmp_path: Path) -> None:
    label = "</script><img src=x onerror=alert(1)>&\"'\u2028"
    bundled = known.run(usual(known, "digits_cnn"))
    library = Library(Store(tmp_path / "store.sqlite"), known.bundled)
    run = library.add_run(replace(bundled, id="0123456789", request=replace(bundled.request, label=label)))
    page = html.page(deck(library, run.id), plotly="")
    assert "<img" not in page and "</script><" not in page.replace("</script>\n<script", "")
    read = Reader(page)
    assert json.loads(read.scripts["data"])["runs"][0]["label"] == label
    assert not any(name.startswith("on") for _, attributes in read.tags for name in attributes)


def test_the_file_is_whole(known: Library) -> None:
    page = html.page(deck(known, usual(known, "digits_cnn")))
    read = Reader(page)
    assert html.plotly_script() in page
    assert "default-src 'none'" in page
    for tag, attributes in read.tags:
        assert not (attributes.get("src") or "").strip(), tag
        assert (attributes.get("href") or "data:,").startswith("data:"), tag
    own = page.replace(html.plotly_script(), "").replace(read.scripts["data"], "").replace(read.scripts["figures"], "")
    assert not re.search(r"https?://|@import|url\((?!data:)", own)
    assert own.count("font/woff2") == len(fonts.FACES)


def test_the_fonts_are_those_of_the_app() -> None:
    with (ROOT / ".streamlit" / "config.toml").open("rb") as file:
        faces = tomllib.load(file)["theme"]["fontFaces"]
    assert {face["url"].rpartition("/")[2]: face["unicodeRange"] for face in faces} == dict(fonts.FACES)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("machine", MACHINES)
def test_every_figure_is_one_for_plotly_in_both_themes(known: Library, model: str, machine: str) -> None:
    for slide in deck(known, usual(known, model), machine=machine).slides:
        if slide.figure is not None:
            for theme in (slide.figure.light, slide.figure.dark):
                go.Figure(theme)
            assert slide.figure.light != slide.figure.dark
            assert len(slide.figure.alt) > 20


def test_a_deck_of_one_run_has_its_slides_in_order(known: Library) -> None:
    made = deck(known, usual(known, "resnet20"))
    keys = [slide.key for slide in made.slides]
    predicted = ["message", "problem", "roofline", "bits", "trade-off", "uniform", "speed"]
    assert keys == [*predicted, "measured", "cost", "provenance"]
    assert made.title == titled(made, "message")


def test_runs_of_one_model_share_a_trade_off_and_those_of_two_a_table(known: Library) -> None:
    same = [run.id for run in known.runs(bundled.model("resnet20")) if run.request.alpha == 0.9][:2]
    keys = [slide.key for slide in deck(known, *same).slides]
    assert keys[:3] == ["compared", "table", "message"] and keys.count("problem") == 1
    other = deck(known, usual(known, "resnet20"), usual(known, "mobilenet_v2"))
    keys = [slide.key for slide in other.slides]
    assert keys[:2] == ["table", "message"] and keys.count("problem") == 2
    assert other.title == "ResNet-20, MobileNetV2: 2 runs compared"


def test_a_comparison_is_paired(known: Library) -> None:
    greedy = usual(known, "resnet20")
    uniform = next(run.id for run in known.runs(bundled.model("resnet20")) if run.request.label == "all at 8 bits")
    compared = deck(known, greedy, uniform).slides[0]
    said = " ".join(plain(note) for note in compared.notes)
    assert "Against A on the same 10,000 report images: B 0.71 points" in said and "more accuracy" in said


def test_the_trade_off_shows_the_images_that_its_title_judges_on(known: Library) -> None:
    run = known.run(usual(known, "resnet20"))
    made = deck(known, run.id)
    slide, (document,) = trade_off(made), made.runs
    assert slide.figure is not None
    assert "10,000 report images" in plain(slide.title) and y_title(slide) == "top-1 %, 10,000 report images"
    resnet = bundled.model("resnet20")
    policies, labels = known.table(resnet, 5000).policies, resnet.dataset.report.labels
    judged = {
        policy.key: 100 * int((found.outcomes == labels).sum()) / 10_000
        for policy in policies
        if (found := known.evaluation(resnet, SplitName.REPORT, policy)) is not None and found.is_complete(10_000)
    }
    said = f"{len(judged)} of {len(policies)} policies, judged on 10,000 report images; searches chose on 5,000 others"
    assert plain(slide.lead) == f"{said}. Ring: this run."
    assert not any("chart shows" in plain(note) for note in slide.notes)
    rows = {row["policy"]: row for row in slide.figure.rows}
    assert {key: row["report_top1_percent"] for key, row in rows.items()} == pytest.approx(judged)
    assert run.policy is not None
    assert [rows[run.policy.key][f"{end}_percent"] for end in ("low", "high")] == document["report_top1_interval"]
    assert {row["report_images"] for row in rows.values()} == {10_000}
    (stored,) = (one for one in json.loads(html.to_json(made))["slides"] if one["key"] == "trade-off")
    assert len(stored["rows"]) == len(slide.figure.rows) and "search_top1_percent" not in stored["rows"][0]


def test_compared_runs_stand_on_report_images_too(known: Library) -> None:
    uniform = next(run.id for run in known.runs(bundled.model("resnet20")) if run.request.label == "all at 8 bits")
    made = deck(known, usual(known, "resnet20"), uniform)
    slide = trade_off(made)
    assert slide.figure is not None and y_title(slide) == "top-1 %, 10,000 report images"
    marked = {row["group"]: row["report_top1_percent"] for row in slide.figure.rows if row["group"].startswith("run ")}
    assert marked == {
        f"run {name}": document["report_top1_percent"] for name, document in zip("AB", made.runs, strict=True)
    }


def text_boxes(figure: Mapping[str, Any], width: float) -> dict[str, Box]:
    """Where the names beside marks stand on a plot `width` pixels wide; bold letters are a little wider."""
    layout = figure["layout"]
    height = layout["height"] - layout["margin"]["t"] - layout["margin"]["b"]
    (left, right), (low, high) = layout["xaxis"]["range"], layout["yaxis"]["range"]
    boxes = {}
    for note in layout["annotations"]:
        if "xref" in note or "yref" in note:
            continue
        text = re.sub("<.*?>", "", note["text"])
        place = Place(*(note[name] for name in ("xanchor", "yanchor", "xshift", "yshift")))
        anchor = Anchor((note["x"] - left) / (right - left), (high - note["y"]) / (high - low), text)
        boxes[text] = text_box(anchor, place, width, height, note["font"]["size"])
    return boxes


def test_a_run_by_another_traffic_model_is_told_by_it(known: Library, tmp_path: Path) -> None:
    run = known.run(usual(known, "resnet20"))
    library = Library(Store(tmp_path / "store.sqlite"), known.bundled)
    request = replace(run.request, traffic="fused")
    library.add_run(replace(run, id="0123456789", request=request, steps=()))
    made = deck(library, "0123456789")
    read = Reader(html.page(made, plotly=""))
    (document,) = made.runs
    assert document["intensity"] != run_document(known, run)["intensity"]
    for _, field, text in read.figures:
        assert agrees(text, look_up(document, field)), (field, text)
    profile, fp32 = bundled.profile("resnet20"), bundled.profile("resnet20").uniform(32)
    by_key = {slide.key: slide for slide in made.slides}
    moved = {number.label: plain(number.value) for number in by_key["problem"].numbers}["÷ bytes moved"]
    assert agrees(moved, moved_bytes(profile, fp32, by="fused"))
    assert all("fused traffic" in slide.kicker for slide in made.slides)
    for key in ("problem", "roofline", "trade-off"):
        figure = by_key[key].figure
        assert figure is not None
        assert figure.light["layout"]["xaxis"]["title"]["text"] == "FLOPs per byte, fused"
    notes = " ".join(plain(note) for note in by_key["message"].notes)
    assert "batch 1, fused traffic. Every layer runs with" in notes and "unfused" not in notes
    # Beside a usual run each figure names whose it is, and the picture is the first one's.
    both = deck(library, "0123456789", run.id)
    assert "batch 1, fused and unfused traffic" in " ".join(plain(n) for s in both.slides for n in s.notes)


@pytest.mark.thorough
def test_names_do_not_lie_over_each_other(known: Library) -> None:
    """Of runs at the marks that are named anyway, beside each other, and at one policy."""
    kinds = {run.request.label or f"{run.request.algorithm} {run.request.alpha}": run.id for run in every_run(known)
             if run.request.model == "resnet20"}  # fmt: skip
    named = [kinds[name] for name in ("greedy 0.9", "all at 8 bits", "all at 4 bits", "greedy 0.0", "coordinate 0.9",
                                      "greedy 0.5")]  # fmt: skip
    for chosen in (*combinations(named[:4], 2), named):
        slide = trade_off(deck(known, *chosen))
        assert slide.figure is not None
        for width in SLIDE_WIDTHS_PX:
            boxes = text_boxes(slide.figure.light, width)
            assert {"A", "B", "FP32", "INT8", "INT4"} <= boxes.keys()
            for (one, box), (other, beside) in combinations(boxes.items(), 2):
                assert box.overlap(np.array([beside.edges])) == 0, (chosen, width, one, other)


def test_runs_at_one_policy_share_a_name(known: Library) -> None:
    same = [run.id for run in known.runs(bundled.model("resnet20")) if run.request.alpha in (0.5, 0.7)][:3]
    figure = trade_off(deck(known, *same)).figure
    assert figure is not None
    # Greedy ends at the same policy at alpha 0.5 and at 0.7, coordinate descent at another.
    assert {row["group"] for row in figure.rows if row["group"].startswith("run ")} == {"run A, C", "run B"}


def test_what_is_known_to_be_better_is_said_with_its_reason(known: Library) -> None:
    made = deck(known, usual(known, "resnet20"))
    (better,) = made.better
    # At alpha 0.9 and N 60.01: 0.9 × (45.168 − 44.937) / 60.01 = 0.0035 is more than 0.1 × 0.06 points / 10 = 0.0006.
    assert plain(better.text) == (
        "Better at alpha 0.9: 45.17 FLOPs per byte and 92.82 % on search images (13 layers at 4 bits, 7 at 8), the "
        "best of all 276 policies measured. This run is where greedy alone ended: 44.94 and 92.88 %."
    )
    provenance = made.slides[-1].table
    assert provenance is not None and better.text in [value for _, value in provenance.rows]
    coordinate = next(
        run
        for run in known.runs(bundled.model("resnet20"))
        if (run.request.algorithm, run.request.alpha) == ("coordinate", 0.9)
    )
    assert coordinate.policy == better.policy
    assert deck(known, coordinate.id).better == ()
    uniform = next(run.id for run in known.runs(bundled.model("resnet20")) if run.request.label == "all at 8 bits")
    said = [plain(one.text) for one in deck(known, uniform, usual(known, "resnet20"), coordinate.id).better]
    assert len(said) == 1 and said[0].startswith("Better than B at alpha 0.9: 45.17")


@pytest.mark.parametrize(
    ("run_ids", "words"), [((), "0 runs are asked for"), (("a", "b", "c", "d", "e", "f", "g"), "takes 1 to 6")]
)
def test_too_few_and_too_many_runs(known: Library, run_ids: tuple[str, ...], words: str) -> None:
    with pytest.raises(SettingError, match=words):
        deck(known, *run_ids)


def test_runs_that_cannot_be_shown(known: Library, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="unknown run 'nosuch'"):
        deck(known, "nosuch")
    library = Library(Store(tmp_path / "store.sqlite"), known.bundled)
    empty = replace(known.run(usual(known, "digits_cnn")), id="0123456789", policy=None, status=RunStatus.QUEUED)
    library.add_run(empty)
    with pytest.raises(SettingError, match="is queued and has no policy yet"):
        deck(library, "0123456789")


def test_the_default_run_is_greedy_at_alpha_0_9(known: Library) -> None:
    for model in MODELS:
        run = build.default_run(known, bundled.model(model))
        assert run is not None
        assert (run.request.algorithm, run.request.alpha, run.request.label) == ("greedy", 0.9, None)
    assert build.default_run(Library(None, None), bundled.model("resnet20")) is None


def test_data_as_json_and_csv(known: Library) -> None:
    made = deck(known, usual(known, "resnet20"), usual(known, "digits_cnn"))
    document = json.loads(html.to_json(made))
    assert document["runs"] == json.loads(json.dumps(list(made.runs)))
    assert [slide["title"] for slide in document["slides"]] == [plain(slide.title) for slide in made.slides]
    speed = next(slide for slide in document["slides"] if slide["key"] == "speed")
    assert {row["machine"] for row in speed["rows"]} == {machine.name for machine in known.machines.values()}
    rows = list(csv.DictReader(io.StringIO(html.table(made))))
    assert [row["id"] for row in rows] == [run["id"] for run in made.runs]
    assert float(rows[0]["report_drop_interval_low"]) == made.runs[0]["report_drop_interval"][0]
    assert float(rows[0]["predicted_speedup_a100-tf32"]) == made.runs[0]["predicted_speedup"]["a100-tf32"]


def test_numbers_keep_their_units() -> None:
    assert html.unbroken("ResNet-20 does 51 % in 12 min, 165 kB") == (
        "ResNet\u201120 does 51\u00a0% in 12\u00a0min, 165\u00a0kB"
    )
    assert html.unbroken("10 machines, 3 s 5") == "10 machines, 3\u00a0s 5"


def test_an_empty_part_says_nothing() -> None:
    assert say("", "a", ("b",)) == ("a", "b")
    assert Slide("key", "about", say("title")).numbers == ()


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("AIQ_DATA_DIR", str(tmp_path / "data"))
    run = usual(open_library(), "digits_cnn")

    def call(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["aiq_core", "report", *arguments])
        with pytest.raises(SystemExit) as ended:
            command_line.main()
        said = capsys.readouterr()
        assert bool(ended.value.code) is bool(said.err)
        return said.err or said.out

    path = tmp_path / "deck.html"
    assert "9 slides" in call(run, "--output", str(path), "--machine", "pi-5")
    text = path.read_text(encoding="utf-8")
    assert "Raspberry Pi 5" in text and bundled.model("digits_cnn").title in text
    assert "9 slides" in call(run, "--output", str(tmp_path / "deck.json"))
    assert json.loads((tmp_path / "deck.json").read_text())["runs"][0]["id"] == run
    assert "9 slides" in call(run, "--output", str(tmp_path / "deck.csv"))
    assert "unknown run 'nosuch'" in call("nosuch")
    assert "unknown machine 'abacus'; choose from a100-tf32" in call(run, "--machine", "abacus")
    assert "deck.pdf ends in '.pdf'; choose a name that ends in .html" in call(run, "--output", "deck.pdf")
    assert "cannot be written (No such file" in call(run, "--output", str(tmp_path / "nosuch" / "deck.html"))
