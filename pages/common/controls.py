"""The sidebar's controls, bound to the address: the same on every page, so that a link restores the view."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from aiq_core.catalog import Model
from aiq_core.charts.style import Look
from aiq_core.hardware import DEFAULT_MACHINE, PRESETS, Machine
from aiq_core.records import UNFUSED
from aiq_core.search.strategies import FRONTS, SEARCHES
from aiq_core.space import JOINT, SPACES, WEIGHTS, Space
from aiq_core.traffic import TRAFFIC_MODELS
from pages.common import known

DEFAULT_MODEL = "resnet20"
DEFAULT_ALPHA = 0.9
DEFAULT_SPACE = JOINT.name
ALPHA = "Alpha: accuracy ↔ intensity"
BEST = "best"
SOURCES = {
    BEST: "Best found",
    **{name: strategy.title for name, strategy in (FRONTS | SEARCHES).items()},
}
OFF = "off"
BUDGETS = (OFF, *(f"{tenth / 10:.1f}" for tenth in range(31)))
DEFAULT_BUDGET = "0.5"
BATCHES = tuple(2**power for power in range(11))
FOLDED = ("learn", "present")
"""Addresses of the pages that open with the sidebar folded away."""

SLOTS, KEPT, DECIDED = "_slots", "_kept", "_decided"
POLICY, PINNED, CLICKED = "policy", "pin", "clicked"
"""Session keys: the policy that decides, the pinned one, and whether a click, not a link, set the first."""


@dataclass(frozen=True)
class View:
    """What the controls say. `policy` is the key of a clicked or linked policy, which then decides.

    `traffic` names the traffic model by which bytes are counted where the page has that control.
    """

    model: Model
    source: str
    alpha: float
    budget: float | None
    policy: str | None
    pinned: str | None
    machine: Machine
    batch: int
    images: int
    look: Look
    traffic: str = UNFUSED
    space: Space = WEIGHTS

    @property
    def algorithm(self) -> str | None:
        """Whose runs decide; None for the best found."""
        return None if self.source == BEST else self.source


def complaints(asked: Mapping[str, str]) -> list[str]:
    """What an address asks for that is not on offer; Streamlit would reset it in silence."""
    said = []
    model = asked.get("model", DEFAULT_MODEL)
    names = known.library().models
    if model not in names:
        said.append(f"unknown model {model!r}; choose from {', '.join(names)}")
    alpha = asked.get("alpha", str(DEFAULT_ALPHA))
    if not _is_alpha(alpha):
        said.append(f"alpha={alpha!r} is not offered; choose a number from 0 (accuracy) to 1 (AI)")
    for name, offered in _offered().items():
        value = asked.get(name)
        if value is not None and value not in offered:
            said.append(f"{name}={value!r} is not offered; choose from {', '.join(offered[:16])}")
    return said


def asks_for_alpha(asked: Mapping[str, str]) -> bool:
    """Whether an address names an alpha or whose runs decide, and no budget: then no budget does."""
    return "budget" not in asked and ("alpha" in asked or "from" in asked)


def _is_alpha(text: str) -> bool:
    try:
        return 0 <= float(text) <= 1
    except ValueError:
        return False


def is_return() -> bool:
    """Whether the reader went back or forward to this address, which then says what is shown, not the session."""
    # Streamlit's own widgets know it by the same mark; a version without it would go by the session.
    return getattr(get_script_run_ctx(), "is_history_navigation", False)


def put(name: str, value: str | None) -> None:
    """Writes a value into the address; None leaves the address without it."""
    if value is None:
        st.query_params.pop(name, None)
    elif st.query_params.get(name) != value:
        st.query_params[name] = value


def select(label: str, key: str, options: dict[str, str], default: str, **more: Any) -> None:
    """A selectbox whose address holds the option's key: Streamlit's own binding would hold what it shows."""
    if key not in st.session_state or is_return():
        asked = st.query_params.get(key, default)
        st.session_state[key] = asked if asked in options else default
    elif st.session_state[key] not in options:
        st.session_state[key] = default
    value = st.selectbox(label, list(options), format_func=lambda option: options[option], key=key, **more)
    put(key, None if value == default else value)


def _decide_by_alpha() -> None:
    st.session_state["budget"] = OFF
    forget_policy()


def _touched_images() -> None:
    # After another model was chosen the browser still sends the text of the former's, which is no choice.
    if st.session_state["images"] in known.image_counts(known.model(st.session_state["model"])):
        forget_policy()


def forget_policy() -> None:
    """A control was touched: it decides now, not the policy clicked or linked before."""
    st.session_state[POLICY] = None
    st.session_state[CLICKED] = False
    st.session_state[DECIDED] = {}


def _changed_model() -> None:
    """Another model is shown as it was left, by the policy that decided there."""
    st.session_state[POLICY] = st.session_state[DECIDED].get(st.session_state["model"])
    st.session_state[CLICKED] = False
    st.session_state[PINNED] = None


def choose_model(name: str) -> None:
    """Another model, as if it were chosen in the sidebar; from a callback only."""
    st.session_state["model"] = name
    _changed_model()


def _in_address(key: str) -> None:
    """Keeps a value that no widget holds in the address: read from it at first, written to it after."""
    if key not in st.session_state or is_return():
        st.session_state[key] = st.query_params.get(key)
    put(key, st.session_state[key])


SECTIONS = ("space", "from", "alpha", "budget", "machine", "batch", "traffic")
"""What a page may leave out of the sidebar. The model and More are on every page."""


def draw(sections: Collection[str] = SECTIONS, own: Collection[str] = ()) -> None:
    """Draws the controls; `view` reads them. `own` are those that the page draws itself, in the slot `form`."""
    # On the first run only: after it the widgets write the address, and what they hold is on offer.
    for complaint in complaints(st.query_params) if "alpha" not in st.session_state else ():
        st.warning(f"{complaint}. Showing the default instead.", icon=":material/link_off:")
    if "alpha" not in st.session_state and asks_for_alpha(st.query_params):
        st.session_state["budget"] = OFF
    keep(*(name for name in SECTIONS if name not in sections and name not in own))
    slots = st.session_state[SLOTS] = {}
    with st.sidebar:
        models = known.library().models.items()
        names = {name: f"{model.title} · {model.dataset.title}" for name, model in models}
        select("Model", "model", names, DEFAULT_MODEL, on_change=_changed_model)
        if known.model(st.session_state["model"]).card.is_chance:
            st.caption(":material/casino: Chance level: it is right as often as guessing, so no figure says much")
        if "space" in sections:
            titles = {name: space.title.capitalize() for name, space in SPACES.items()}
            select("Bits for", "space", titles, DEFAULT_SPACE, on_change=forget_policy, help=SPACE_HELP)
            dataset = known.model(st.session_state["model"]).dataset
            if dataset.calibration_hash is None:
                st.caption(f"Weights only here: {dataset.title} has no calibration images for ranges of activations")
        if "from" in sections:
            best = (
                "Best found: the lowest loss at this alpha among every policy measured so far, by whatever strategy. "
            )
            best += "Of a named one, its own points are picked from and marked."
            select("Policy from", "from", SOURCES, BEST, on_change=_decide_by_alpha, help=best)
        if "alpha" in sections:
            alpha_slider()
        slots |= {"alpha": st.empty(), "search": st.container(), "form": st.container()}
        if "budget" in sections:
            st.select_slider(
                "Accuracy I can give up (points)",
                BUDGETS,
                DEFAULT_BUDGET,
                key="budget",
                bind="query-params",
                on_change=forget_policy,
                help="Shows the highest intensity whose measured drop is within it, on search images that no search "
                "chose on where activations have bits. Alpha is ignored then; to touch it turns this off.",
            )
            slots["budget"] = st.container()
        if "machine" in sections:
            names = {key: _machine_name(each) for key, each in known.library().machines.items()}
            select("Hardware", "machine", names, DEFAULT_MACHINE)
        if "batch" in sections:
            st.select_slider(
                "Images at once (batch)",
                BATCHES,
                1,
                key="batch",
                bind="query-params",
                help="Moves rooflines and times only: weights are read once a batch, so fewer bits per "
                "weight matter less as it grows. Each image brings its own activations: their bits keep their worth.",
            )
        if "traffic" in sections:
            titles = {name: model.title for name, model in TRAFFIC_MODELS.items()}
            select("Bytes counted", "traffic", titles, UNFUSED, help=TRAFFIC_HELP)
        with st.expander("More", icon=":material/tune:"):
            model = known.model(st.session_state["model"])
            counts = known.image_counts(model)
            notes = {model.dataset.search.shipped: " (excerpt)", counts["all"]: " (all)"}
            shown = {name: f"{n:,}{notes.get(n, '')}" for name, n in counts.items()}
            shares = "; ".join(f"{n:,} have {model.dataset.search.balance(n)}" for n in counts.values())
            usual = known.usual_images(model)
            select("Search images", "images", shown, usual, on_change=_touched_images, help=shares + ".")
            st.toggle("Projector: larger type and marks", key="projector", bind="query-params")
    _in_address(POLICY)
    _in_address(PINNED)
    st.session_state.setdefault(DECIDED, {})[st.session_state["model"]] = st.session_state[POLICY]


SPACE_HELP = (
    "Weights only is the paper's setting: activations stay FP32, weights are rounded to nearest. With activations, "
    "weights are rounded by GPTQ, activations on static ranges, and search images that no search chose on judge."
)
TRAFFIC_HELP = "By which traffic model bytes are counted, for every figure here. " + " ".join(
    f"**{model.title}**: {model.sentence}" for model in TRAFFIC_MODELS.values()
)


def alpha_slider() -> None:
    """Alpha, shared by every page."""
    st.slider(
        ALPHA,
        0.0,
        1.0,
        DEFAULT_ALPHA,
        0.01,
        key="alpha",
        bind="query-params",
        on_change=_decide_by_alpha,
        help="The weight of arithmetic intensity in the loss: 0 asks for accuracy only, 1 for intensity only.",
    )


def keep(*names: str) -> None:
    """Holds controls that are not drawn now at their values: Streamlit forgets what no widget shows.

    Those held until now are set once more: the browser would show and send their defaults.
    """
    for name in {*names, *st.session_state.get(KEPT, ())}:
        st.session_state[name] = st.session_state.get(name, _DEFAULTS[name])
    st.session_state[KEPT] = names


_DEFAULTS = {
    "model": DEFAULT_MODEL,
    "space": DEFAULT_SPACE,
    "from": BEST,
    "alpha": DEFAULT_ALPHA,
    "budget": DEFAULT_BUDGET,
    "machine": DEFAULT_MACHINE,
    "batch": 1,
    "traffic": UNFUSED,
}


def _offered() -> dict[str, tuple[str, ...]]:
    """What an address may say of each control that has a list."""
    return {
        "budget": BUDGETS,
        "machine": tuple(known.library().machines),
        "batch": tuple(map(str, BATCHES)),
        "from": tuple(SOURCES),
        "traffic": tuple(TRAFFIC_MODELS),
        "space": tuple(SPACES),
    }


def _machine_name(machine: Machine) -> str:
    return machine.name if machine.runs_fp32 else f"{machine.name} (can't run FP32 activations)"


def _machine(key: str) -> Machine:
    # One that was removed since the session chose it is no fault of the reader's.
    return known.library().machines.get(key, PRESETS[DEFAULT_MACHINE])


def machine() -> Machine:
    """The machine that is chosen, where no more of the view is asked for."""
    return _machine(st.session_state["machine"])


def view() -> View:
    """What the controls say now."""
    look = Look(dark=st.context.theme.type == "dark", projector=bool(st.session_state["projector"]))
    return _view(st.session_state, look)


def asked(query: Mapping[str, str], dark: bool) -> View:
    """What an address asks for, as the controls will say once they are drawn; what is not on offer is the default."""
    said: dict[str, Any] = {POLICY: None, PINNED: None, "images": None, **_DEFAULTS, **query}
    offered = {**_offered(), "model": known.library().models}
    if asks_for_alpha(query):
        said["budget"] = OFF
    said |= {name: _DEFAULTS[name] for name, options in offered.items() if str(said[name]) not in options}
    if not _is_alpha(said["alpha"]):
        said["alpha"] = DEFAULT_ALPHA
    return _view(said, Look(dark=dark, projector=query.get("projector", "").lower() == "true"))


def _view(said: Mapping[str, Any], look: Look) -> View:
    model = known.model(said["model"])
    counts = known.image_counts(model)
    return View(
        model=model,
        source=said["from"],
        alpha=round(float(said.get("alpha", DEFAULT_ALPHA)), 2),
        budget=None if said["budget"] == OFF else float(said["budget"]),
        policy=said[POLICY],
        pinned=said[PINNED],
        machine=_machine(said["machine"]),
        batch=int(said["batch"]),
        images=counts.get(said["images"], counts[known.usual_images(model)]),
        look=look,
        traffic=said["traffic"],
        space=WEIGHTS if model.dataset.calibration_hash is None else SPACES[said["space"]],
    )


def query(view: View) -> dict[str, str]:
    """The address that asks for a view, as `asked` reads it; with `dark` where it is."""
    counts = known.image_counts(view.model)
    found = {
        "model": view.model.name,
        "from": view.source,
        "alpha": f"{view.alpha:.2f}",
        "budget": OFF if view.budget is None else f"{view.budget:.1f}",
        "machine": view.machine.key,
        "batch": str(view.batch),
        "traffic": view.traffic,
        "space": view.space.name,
        "images": next(name for name, count in counts.items() if count == view.images),
        "projector": str(view.look.projector).lower(),
    }
    more = {POLICY: view.policy, PINNED: view.pinned, "dark": "1" if view.look.dark else None}
    return found | {name: value for name, value in more.items() if value is not None}


def slot(name: str):  # type: ignore[no-untyped-def]
    """A place in the sidebar that a page may fill."""
    return st.session_state[SLOTS][name]
