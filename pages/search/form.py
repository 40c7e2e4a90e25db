"""The sidebar's form: it offers what is valid, says what a job will take, and starts it."""

import os

import streamlit as st

from aiq_core import fronts, jobs
from aiq_core.catalog import Model
from aiq_core.errors import AiqError
from aiq_core.estimate import estimate, sentence
from aiq_core.frontier import DEFAULT_POINTS, MOST_POINTS
from aiq_core.library import repeats
from aiq_core.manual import BOTH
from aiq_core.records import (
    OFFERED_BITS,
    UNFUSED,
    Request,
    SplitName,
)
from aiq_core.search.strategies import SEARCHES, strategy
from aiq_core.space import Space
from aiq_core.wording import number
from pages.common import budgets, controls, known
from pages.common.controls import View
from pages.common.fronts import can_measure_costs
from pages.search import actions, draft, more, stored
from pages.search.draft import Draft, Kind

KINDS = {
    Kind.FRONT: "The whole frontier",
    Kind.SEARCH: "A search at one alpha",
    Kind.SWEEP: "A sweep over alphas",
    Kind.UNIFORM: "Every layer at one width",
    Kind.POLICIES: "Policies of my own (JSON)",
}
ALGORITHMS = {name: strategy.title for name, strategy in SEARCHES.items()}
KIND_HELP = (
    "The whole frontier finds the best policy at each AI from what widths cost by themselves, without search labels, "
    "and measures those alone. A search takes single steps at one alpha, each judged by measuring."
)
STEPS = (0.05, 0.1, 0.2, 0.25)
LOWER_BITS = OFFERED_BITS[1:]


def draw(view: View) -> None:
    """The form in the sidebar."""
    filled = _fields(view)
    try:
        requests = draft.requests(filled, stored.baseline(filled.model, stored.chooses_on(view.space, filled.images)))
    except AiqError as error:
        empty = filled.kind is Kind.POLICIES and not filled.text.strip()
        (st.info if empty else st.error)(str(error), icon=":material/edit:" if empty else ":material/error:")
        _start(())
        return
    st.caption(images_words(requests[0], filled.model))
    fresh = _not_bundled(requests)
    if fresh:
        st.caption(sentence(estimate(known.library(), fresh, stored.runs())))
    _already(requests, fresh)
    _start(fresh)


def _start(requests: tuple[Request, ...]) -> None:
    name = f"Start {len(requests)} searches" if len(requests) > 1 else "Start"
    st.button(
        name,
        key="start",
        type="primary",
        icon=":material/play_arrow:",
        width="stretch",
        disabled=not requests,
        on_click=actions.start,
        args=(requests,),
    )


def _fields(view: View) -> Draft:
    if "job-kind" not in st.session_state and controls.asks_for_alpha(st.query_params):
        st.session_state["job-kind"] = Kind.SEARCH
    kinds = [kind for kind in KINDS if kind is not Kind.FRONT or can_measure_costs(view.model)]
    kind = st.selectbox("Run", kinds, format_func=KINDS.__getitem__, key="job-kind", help=KIND_HELP)
    values: dict[str, object] = {"kind": kind}
    if kind is not Kind.SEARCH:
        controls.keep("alpha")
    if kind in (Kind.SEARCH, Kind.SWEEP):
        values["algorithm"] = st.selectbox(
            "Algorithm",
            list(ALGORITHMS),
            format_func=ALGORITHMS.__getitem__,
            key="job-algorithm",
            help="Greedy takes the single best move again and again. Coordinate descent gives each layer in turn its "
            "best width, sweep after sweep, and may take moves back. Both prune exactly.",
        )
    if kind is Kind.FRONT:
        values |= _front()
    elif kind is Kind.SEARCH:
        controls.alpha_slider()
        values["alpha"] = alpha = round(float(st.session_state["alpha"]), 2)
        if alpha < 1:
            by, how = st.session_state.get("job-traffic", UNFUSED), view.space.quantizer(view.model.dataset)
            rate = view.space.rate(view.model.profile, alpha, by, how)
            st.caption(f"1 FLOP/byte is worth {number(rate, 2 if rate < 1 else 1)} points here")
    elif kind is Kind.SWEEP:
        values["alphas"] = _alphas()
    elif kind is Kind.UNIFORM:
        values |= _uniform_bits(view.space)
    else:
        values["text"] = st.text_area(
            "Policy, or a list of them",
            key=f"job-text-{view.model}",
            height=110,
            placeholder=_example(view.model),
            help="JSON: an object of layer: bits, one of both kinds such as "
            f"`{BOTH}`, or a list of such. What is left out stays FP32. "
            f"Layers: {', '.join(view.model.profile.quantizable_names)}. "
            f"Activation groups: {', '.join(view.model.profile.activation_groups)}.",
        )
    values |= _budget(kind)
    with st.expander("Layers, floor, name", icon=":material/tune:"):
        values |= more.settings(view, kind)
    return Draft(model=view.model, images=_images(view), space=view.space, **values)  # type: ignore[arg-type]


def images_words(request: Request, model: Model) -> str:
    """Which images choose, confirm and report."""
    report = f"{model.dataset.available(SplitName.REPORT):,} report images judge"
    how = strategy(request.algorithm)
    if how.front:
        return f"Points are confirmed on {fronts.confirming(request).count:,} search images; {report}."
    if not how.searches:
        return f"Measured on {request.images:,} search images; {report}."
    if request.choose_images is None:
        return f"Chooses on {request.images:,} search images; {report}."
    confirming = request.images - request.choose_images
    return f"Chooses on the first {request.choose_images:,} search images, confirms on {confirming:,} others; {report}."


def _front() -> dict[str, object]:
    """Points, evaluations to look around them, and budgets in words."""
    with st.container(horizontal=True, gap="small"):
        points = st.number_input("Points", 1, MOST_POINTS, DEFAULT_POINTS, 1, key="job-points-of-front", width=96)
        refinement = st.number_input(
            "Refine by",
            0,
            None,
            0,
            50,
            key="job-refinement",
            width=96,
            help="Evaluations more, to exchange bits between two sites near the points found: minutes that pay little.",
        )
    with st.expander("Budgets", icon=":material/straighten:"):
        within = budgets.fields("job-within", controls.machine())
    return {"points": points, "refinement": refinement, "within": tuple(map(str, within))}


def _uniform_bits(space: Space) -> dict[str, object]:
    if not space.is_joint:
        return {"bits": st.selectbox("Bits", LOWER_BITS, key="job-bits")}
    with st.container(horizontal=True, gap="small"):
        weights = st.selectbox("Weights", LOWER_BITS, key="job-bits", width=96)
        activations = st.selectbox("Activations", LOWER_BITS, key="job-activation-bits", width=96)
    return {"bits": weights, "activation_bits": activations}


def _example(model: Model) -> str:
    layers = model.profile.quantizable_names
    return f'{{"{layers[0]}": 8, "{layers[-1]}": 4}}'


def _alphas() -> tuple[float, ...]:
    first, last = st.slider("Alphas from, to", 0.0, 1.0, (0.0, 1.0), 0.05, key="job-alphas")
    step = st.select_slider("Every", STEPS, 0.1, key="job-step")
    found = draft.sweep_alphas(first, last, step)
    st.caption(f"{len(found)} searches: " + ", ".join(f"{alpha:g}" for alpha in found))
    return found


def _budget(kind: Kind) -> dict[str, object]:
    """Both end a job at its best so far; empty means no limit."""
    minutes = _server_minutes()
    with st.container(horizontal=True, gap="small"):
        evaluations = None
        if kind in (Kind.FRONT, Kind.SEARCH, Kind.SWEEP):
            evaluations = st.number_input(
                "Evaluations",
                min_value=0,
                value=None,
                step=10,
                key="job-evaluations",
                placeholder="no limit",
                width=96,
                help="At most so many: a search that has asked for them ends with its best so far.",
            )
        limit = st.number_input(
            "Minutes",
            min_value=0.0,
            value=None,
            step=1.0,
            format="%g",
            key="job-minutes",
            width=96,
            placeholder="no limit" if minutes is None else f"{minutes:g} (server)",
            help="At most so long: it then ends with its best so far."
            + ("" if minutes is None else f" This server allows {minutes:g} at most (AIQ_MAX_MINUTES)."),
        )
    if minutes is not None:
        limit = min(limit, minutes) if limit is not None else minutes
    return {"max_evaluations": evaluations, "max_minutes": limit}


def _server_minutes() -> float | None:
    """What `jobs.submit` will allow, so that the estimate counts with it; a bad value is for it to complain of."""
    try:
        return float(os.environ["AIQ_MAX_MINUTES"])
    except (KeyError, ValueError):
        return None


def _images(view: View) -> int:
    """The page's images, or those that are here."""
    here = view.model.dataset.available(SplitName.SEARCH)
    if view.images > here:
        st.caption(f"On the {here:,} images that ship with the app; `python -m aiq_core data` fetches the rest.")
    return min(view.images, here)


def _not_bundled(requests: tuple[Request, ...]) -> tuple[Request, ...]:
    """Those that do not ship with the app as they are: such a run is shown, not run again."""
    bundled = known.library().bundled
    return tuple(request for request in requests if bundled is None or not bundled.has_run(request.digest))


def _already(requests: tuple[Request, ...], fresh: tuple[Request, ...]) -> None:
    shipped = [request for request in requests if request not in fresh]
    if shipped and len(requests) == 1:
        st.info(
            "This very run ships with the app. To measure it here, turn off “Use what ships with the app”.",
            icon=":material/inventory_2:",
        )
        st.button("Show it", key="show-shipped", on_click=actions.show, args=(shipped[0].digest,), width="stretch")
    elif shipped:
        st.caption(f"{len(shipped)} of {len(requests)} ship with the app and are not run again.")
    ended = [run for run in stored.runs() if run.status not in jobs.UNFINISHED]
    done = [run for request in fresh for run in repeats(ended, request, known.library().model(request.model))]
    if len(fresh) == 1 and done:
        st.caption("You ran exactly this before; running it again measures nothing new.")
        st.button("Show that run", key="show-done", on_click=actions.show, args=(done[0].id,), width="stretch")
