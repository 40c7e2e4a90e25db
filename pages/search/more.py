"""The form's further settings: widths, where a search begins, floor and normalisers, rounding, traffic, a name."""

import streamlit as st

from aiq_core.frontier import Measure
from aiq_core.objective import JOINT_NORMALISER_FACTOR, NORMALISER_FACTOR
from aiq_core.records import DEFAULT_ACCURACY_NORMALISER, FP32_BITS, OFFERED_BITS, Granularity
from aiq_core.rounding import ROUNDINGS
from aiq_core.space import Space, parse_start
from aiq_core.traffic import TRAFFIC_MODELS
from aiq_core.wording import number, uniform_name
from pages.common.controls import View
from pages.search import draft, stored
from pages.search.draft import Kind

LOWER_BITS = OFFERED_BITS[1:]
MEASURES = {
    Measure.KL: "Divergence of predictions (KL)",
    Measure.FISHER: "Fisher information, the quick check",
    Measure.LOGIT: "Squared error of logits",
}
STARTS = {False: ("fp32", "w8a32"), True: ("w8a8", "w6a6", "w4a8", "fp32")}
"""Where a search may begin, by whether activations have bits; the usual one first."""


def settings(view: View, kind: Kind) -> dict[str, object]:
    """The fields of a draft that the expander holds."""
    values: dict[str, object] = {}
    if kind is Kind.FRONT:
        values |= _layers(view, kind)
        values["measure"] = st.selectbox(
            "What a width costs by itself",
            list(MEASURES),
            format_func=MEASURES.__getitem__,
            key="job-measure",
            help="On calibration images, without labels. Divergence is what fronts are found by; the quick check takes "
            "one pass.",
        )
    if kind in (Kind.SEARCH, Kind.SWEEP):
        values |= _layers(view, kind)
        top = _top1(view)
        values["floor_percent"] = st.number_input(
            "Accuracy floor (% on search images)",
            0.0,
            100.0,
            None,
            0.1,
            key=f"job-floor-{view.model}",
            placeholder="FP32 minus 2.42 points",
            help="No policy below it is taken." + ("" if top is None else f" FP32 reaches {number(top, 2)} %."),
        )
        values["intensity_normaliser"] = st.number_input(
            "FLOPs/byte that count as 1",
            0.0,
            None,
            None,
            1.0,
            key=f"job-normaliser-{view.model}",
            placeholder=f"{_factor(view.space):g} × AI at the lowest widths",
        )
        values["accuracy_normaliser"] = st.number_input(
            "Points that count as 1", 0.0, None, DEFAULT_ACCURACY_NORMALISER, 1.0, key="job-points"
        )
    space = view.space
    values["rounding"] = st.selectbox(
        "Weights rounded",
        list(ROUNDINGS),
        list(ROUNDINGS).index(space.rounding),
        format_func=lambda name: ROUNDINGS[name].title,
        key=f"job-rounding-{space.name}",
        help=f"Explore shows policies of {space.title} whose weights are rounded by {space.rounding}.",
    )
    values["granularity"] = st.selectbox(
        "A scale per",
        list(Granularity),
        format_func=str,
        key="job-granularity",
        help="Explore shows policies with a scale per channel.",
    )
    values["traffic"] = st.selectbox(
        "Bytes counted",
        list(TRAFFIC_MODELS),
        format_func=lambda name: TRAFFIC_MODELS[name].title,
        key="job-traffic",
        help="By which traffic model intensity is searched for, and then shown.",
    )
    values["use_bundled"] = st.toggle(
        "Use what ships with the app",
        True,
        key="job-bundled",
        help="Off: measures everything on this machine, even what the bundled results know.",
    )
    values["label"] = st.text_input("Name", key="job-label", max_chars=draft.LABEL_LENGTH, placeholder="none")
    return values


def _layers(view: View, kind: Kind) -> dict[str, object]:
    names, space, front = view.model.profile.quantizable_names, view.space, kind is Kind.FRONT
    # Widths of a front are others than a search's, and so are the fields that hold them.
    of = f"{space.name}-front" if front else space.name
    widths = _widths("Weights", space.front_widths if front else space.widths, f"job-widths-{of}")
    lower = [bits for bits in widths if bits != FP32_BITS]
    found: dict[str, object] = {"widths": widths}
    if space.is_joint:
        usual = space.front_activation_widths if front else space.activation_widths
        found["activation_widths"] = _widths("Activations", usual, f"job-activation-widths-{of}")
    if not front:
        found["start"] = st.selectbox(
            "Begins at",
            STARTS[space.is_joint],
            format_func=lambda text: uniform_name(parse_start(text, view.model.profile)),
            key=f"job-start-{space.name}",
            help="A search takes single steps from here, to any width on offer.",
        )
    excluded = st.multiselect("Stay FP32", names, key=f"job-excluded-{view.model}", placeholder="none")
    fixed: dict[str, int] = {}
    for bits in sorted(lower, reverse=True):
        free = [name for name in names if name not in excluded and name not in fixed]
        key = f"job-fixed-{bits}-{view.model}"
        if key in st.session_state:  # a layer taken elsewhere is no longer on offer here
            st.session_state[key] = [name for name in st.session_state[key] if name in free]
        held = st.multiselect(f"Held at {bits} bits", free, key=key, placeholder="none")
        fixed |= dict.fromkeys(held, bits)
    return {**found, "excluded": tuple(excluded), "fixed": fixed}


def _widths(what: str, usual: tuple[int, ...], key: str) -> tuple[int, ...]:
    """The widths on offer to a kind of site. FP32 is always one where it is usually."""
    offered = LOWER_BITS if FP32_BITS in usual else OFFERED_BITS
    default = [bits for bits in usual if bits in offered]
    chosen = st.pills(
        f"{what}: widths{' below FP32' if FP32_BITS in usual else ''}",
        offered,
        selection_mode="multi",
        default=default,
        format_func=lambda bits: "FP32" if bits == FP32_BITS else str(bits),
        key=key,
    )
    always = {FP32_BITS} & {*usual}
    return tuple(sorted({*chosen, *always}, reverse=True))


def _factor(space: Space) -> float:
    """By what the normaliser is larger than the AI at a space's lowest widths, unless told otherwise."""
    return JOINT_NORMALISER_FACTOR if space.is_joint else NORMALISER_FACTOR


def _top1(view: View) -> float | None:
    images = stored.chooses_on(view.space, view.images)
    score = stored.baseline(view.model, images)
    return None if score is None else 100 * score / images
