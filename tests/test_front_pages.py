"""A frontier run on every page, without a browser: Search, Explore, Present, and a network that nothing is known of."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from aiq_core import estimate, jobs
from aiq_core.catalog import Model
from aiq_core.deck import build, html
from aiq_core.deck.text import plain
from aiq_core.documents import run_document
from aiq_core.errors import SettingError
from aiq_core.frontier import DEFAULT_POINTS, Budget, Quantity
from aiq_core.fronts import WITHIN, as_chosen, choose, points
from aiq_core.hardware import PRESETS
from aiq_core.records import Request, Run, RunStatus, SplitName
from aiq_core.space import JOINT, WEIGHTS
from aiq_core.store import Store
from aiq_core.wording import duration
from pages.common import fronts as known_fronts
from pages.common import names
from pages.search import draft, heading
from pages.search.draft import Draft, Kind
from tests import bundled, fronts
from tests.test_deck import Reader, agrees, look_up

ROOT = Path(__file__).resolve().parent.parent
DIGITS = bundled.model("digits_cnn")
FRONT = Draft(DIGITS, 500, kind=Kind.FRONT, space=JOINT)
EXPLORE, SEARCH, PRESENT = "", "search", "present"


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., AppTest]]:
    """Opens a page at an address: app("search", run="…"); on a copy of the front's store, without workers."""
    fronts.made()
    shutil.copytree(fronts.FOLDER, tmp_path / "data")
    monkeypatch.setenv("AIQ_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr("aiq_core.jobs.ensure_worker", lambda library: None)
    st.cache_resource.clear()
    st.cache_data.clear()

    def run(page: str, **query: str) -> AppTest:
        test = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
        for name, value in query.items():
            test.query_params[name.rstrip("_")] = value
        test.run()
        if page:
            test.switch_page(str(ROOT / "pages" / page / "page.py")).run()
        assert not test.exception
        return test

    yield run
    st.cache_resource.clear()
    st.cache_data.clear()


def button(test: AppTest, key: str) -> Any:
    return next(element for element in test.button if element.key == key)


def said(test: AppTest) -> str:
    """Every sentence on the page."""
    return " ".join(str(element.value) for element in (*test.markdown, *test.caption))


def submitted(tmp_path: Path) -> list[Run]:
    """Runs of the page's store besides the front."""
    return [run for run in Store(tmp_path / "data" / "store.sqlite").runs() if run.id != fronts.made()[1].id]


# Asking for one


def test_a_front_draft_is_the_space_s_front_with_its_budgets() -> None:
    how = JOINT.quantizer(DIGITS.dataset)
    assert draft.requests(FRONT, None) == (JOINT.front_request("digits_cnn", how, DIGITS.profile, 500),)
    changed = replace(FRONT, points=7, within=("stored<=6kB", "intensity>=10x"), refinement=9, excluded=("linear",))
    (request,) = draft.requests(changed, None)
    assert (request.points, request.refinement, request.excluded) == (7, 9, ("linear",))
    assert request.within == ("stored<=6000B", "intensity>=10x")
    assert "at most 6 kB stored" in names.what(new(request))
    assert "refined by 9 evaluations" in heading.settings(new(request))
    with pytest.raises(SettingError, match="limited 2 times"):
        draft.requests(replace(FRONT, within=("bits<=3", "bits<=2.8")), None)


def new(request: Request) -> Run:
    from aiq_core.execute import new_run

    return new_run(DIGITS, request)


def test_an_estimate_counts_points_and_says_whether_costs_come_first() -> None:
    library, run = fronts.made()
    (request,) = draft.requests(replace(FRONT, points=9, refinement=11), None)
    text = estimate.sentence(estimate.estimate(library, [request], []))
    assert text.startswith("20 evaluations (what widths cost by themselves is known already)")
    (other,) = draft.requests(replace(FRONT, use_bundled=False, rounding="mse"), None)
    assert "after measuring what widths cost" in estimate.sentence(estimate.estimate(library, [other], []))
    # A rate of fronts is no rate of searches: a front confirms each point.
    done = replace(run, evaluations_new=5, seconds=10.0)
    assert estimate.rate([done], "digits_cnn", 250, front=True) is not None
    assert estimate.rate([done], "digits_cnn", 250) is None


def test_progress_is_by_points_and_with_a_refinement_by_evaluations() -> None:
    library, run = fronts.made()
    half = replace(run, steps=run.steps[:3], status=RunStatus.RUNNING)
    assert jobs.share_done(library, half) == 3 / fronts.POINTS
    assert jobs.eta_s(library, half) is None
    refined = replace(half, request=replace(half.request, refinement=14), evaluations=10)
    assert jobs.share_done(library, refined) == 10 / (fronts.POINTS + 14)


def test_the_form_starts_a_front_within_budgets(app: Callable[..., AppTest], tmp_path: Path) -> None:
    page = app(SEARCH, model="digits_cnn")
    assert page.selectbox(key="job-kind").value == Kind.FRONT
    page.number_input(key="job-points-of-front").set_value(5)
    page.number_input(key="job-within-intensity").set_value(8.0).run()
    button(page, "start").click().run()
    assert not page.exception and not page.error
    (run,) = submitted(tmp_path)
    assert (run.request.points, run.request.within) == (5, ("intensity>=8x",))
    assert "at least 8.00 × FP32's AI" in said(page)
    assert "Its first point will show here." in said(page)


# Showing one


def test_search_shows_a_front_with_its_points_costs_and_prediction(app: Callable[..., AppTest]) -> None:
    _, run = fronts.made()
    page = app(SEARCH, model="digits_cnn", run=run.id)
    assert not page.error
    metrics = {metric.label: metric.value for metric in page.metric}
    assert metrics["Points"] == str(fronts.POINTS)
    table = next(frame for frame in page.dataframe if "why" in frame.value)
    assert list(table.value["AI"]) == sorted((step.intensity for step in run.steps), reverse=True)
    assert all("least predicted cost" in why for why in table.value["why"])
    words = said(page)
    assert "Predicted against measured" in words and "rank correlation" in words and "**Costs**" in words


def test_a_front_is_compared_by_its_point_within_half_a_point(app: Callable[..., AppTest]) -> None:
    library, run = fronts.made()
    other = next(
        each for each in library.runs(DIGITS) if JOINT.is_usual(each.request, run.request.quantizer, DIGITS.profile)
    )
    page = app(SEARCH, model="digits_cnn", run=run.id, with_=other.id)
    assert not page.error and not page.warning
    assert "its point within 0.5 points" in said(page)


def test_the_policy_that_stands_for_a_front_keeps_the_budget() -> None:
    library, run = fronts.made()
    found = points(library, run)
    kept = [point for point in found if point.confirm is not None and point.confirm.drop.value <= 0.5]
    policy = as_chosen(library, run).policy
    assert policy == max(kept, key=lambda point: point.intensity).policy
    listed = replace(run, request=replace(run.request, points=None))
    assert as_chosen(library, listed) is listed


# Explore


def test_explore_picks_from_the_front_and_marks_it(app: Callable[..., AppTest]) -> None:
    library, run = fronts.made()
    page = app(EXPLORE, model="digits_cnn", from_="frontier", alpha="1.00")
    words = said(page)
    assert "frontier at alpha 1.00" in words
    shipped = next(run for run in library.runs(DIGITS) if run.request.points == DEFAULT_POINTS)
    both = {step.policy for each in (run, library.run(shipped.id)) for step in each.steps}
    assert f"{len(both)} points, marked in the trade-off" in words
    assert not [element for element in page.button if element.label.startswith("Whole frontier")]
    query = names.explore_query(run)
    assert query == {"model": "digits_cnn", "space": "joint", "from": "frontier"}


def test_without_a_front_the_frontier_is_what_explore_offers(app: Callable[..., AppTest], tmp_path: Path) -> None:
    page = app(EXPLORE, model="digits_cnn", from_="frontier", space="weights")
    assert "No frontier on 500 search images yet; showing the best found." in said(page)
    offer = next(element for element in page.button if element.label.startswith("Whole frontier"))
    wanted = WEIGHTS.front_request("digits_cnn", WEIGHTS.quantizer(DIGITS.dataset), DIGITS.profile, 500)
    front = fronts.made()[1]
    # By the pace of the front that was run here, of which an image costs what it cost then.
    seconds = 20 * front.seconds / front.evaluations_new * 500 / front.request.images
    assert offer.label == f"Whole frontier, about {duration(seconds)}"
    offer.click().run()
    (run,) = submitted(tmp_path)
    assert run.request == wanted


def test_a_network_without_any_run_offers_the_whole_frontier_alone(
    app: Callable[..., AppTest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiq_core.library.BUNDLED_RESULTS", tmp_path / "none.sqlite")
    page = app(EXPLORE, model="resnet20")
    assert "Nothing is measured yet for ResNet-20" in said(page)
    assert [element.label for element in page.main.button] == ["Whole frontier, about a minute"]
    page.main.button[0].click().run()
    assert not page.exception and not page.error
    (run,) = submitted(tmp_path)
    model: Model = bundled.model("resnet20")
    here = model.dataset.available(SplitName.SEARCH)
    how = JOINT.quantizer(model.dataset)
    assert run.request == JOINT.front_request("resnet20", how, model.profile, here)


def unmeasured() -> float:
    """Times FP32's AI, of a policy that a budget leaves and nobody measured."""
    library, _ = fronts.made()
    solver, how = known_fronts.solver(DIGITS, JOINT), JOINT.quantizer(DIGITS.dataset)
    assert solver is not None
    for quarters in range(16, 50):
        found = solver.solve([Budget(Quantity.INTENSITY, quarters / 4)]).policy
        if library.evaluation(DIGITS, SplitName.SEARCH, found, how) is None:
            return quarters / 4
    raise AssertionError("everything is measured")


def test_budgets_are_answered_at_once_and_measured_by_one_button(app: Callable[..., AppTest], tmp_path: Path) -> None:
    page = app(EXPLORE, model="digits_cnn")
    page.session_state["popover-Other budgets"] = True
    page.run()
    page.number_input(key="within-intensity").set_value(unmeasured()).run()
    words = said(page)
    assert "predicted to cost" in words and "Predicted, not measured yet." in words
    button(page, "within-measure").click().run()
    assert not page.exception
    (run,) = submitted(tmp_path)
    (policy,) = run.request.policies
    assert run.request.quantizer == JOINT.quantizer(DIGITS.dataset)
    assert page.session_state["policy"] == policy.key
    assert "Predicted; being measured." in said(page)
    page.number_input(key="within-stored").set_value(0.0001).run()
    assert any("is out of reach" in warning.value or "not together" in warning.value for warning in page.warning)


# Present


def test_a_front_s_slides_begin_with_the_front_and_go_on_with_its_point(app: Callable[..., AppTest]) -> None:
    library, run = fronts.made()
    made = build.build(library, [run.id], PRESETS["pi-5"])
    assert [slide.key for slide in made.slides[:3]] == ["front", "predicted", "message"]
    gains = [100 * (point.ratio - 1) for point in points(library, run)]
    choice = choose(points(library, run), WITHIN).point
    assert choice is not None
    title = plain(made.slides[0].title)
    assert title == (
        f"{fronts.POINTS} points from +{gains[0]:,.0f} % to +{gains[-1]:,.0f} %; "
        f"within 0.5 points lost: +{100 * (choice.ratio - 1):,.0f} %"
    )
    document = run_document(library, as_chosen(library, run), within=WITHIN)
    for _, field, text in Reader(html.page(made, plotly="")).figures:
        assert agrees(text, look_up(document, field)), (field, text)
    page = app(PRESENT, model="digits_cnn", run=run.id)
    assert not page.error and not page.warning
    assert page.multiselect(key="present-runs").value == [run.id]


def test_points_that_were_drawn_are_shown_and_said_to_be(app: Callable[..., AppTest], tmp_path: Path) -> None:
    """NSGA-II's steps are a front too, which nothing predicted."""
    _, run = fronts.made()
    request = replace(run.request, algorithm="nsga2", seed=0, measure=None)
    drawn = replace(run, id="drawn", request=request)
    Store(tmp_path / "data" / "store.sqlite").add_run(replace(new(request), id="drawn"))
    Store(tmp_path / "data" / "store.sqlite").save_run(drawn, run.steps)
    words = said(app(SEARCH, model="digits_cnn", run="drawn"))
    assert f"NSGA-II, {fronts.POINTS} evaluations" in words and "These policies were drawn" in words
    assert names.explore_query(drawn) == {"model": "digits_cnn", "space": "joint", "from": "nsga2"}
    page = app(EXPLORE, model="digits_cnn", from_="nsga2", alpha="1.00")
    assert "NSGA-II at alpha 1.00" in said(page)
    assert f"{fronts.POINTS} points, marked in the trade-off" in said(page)
