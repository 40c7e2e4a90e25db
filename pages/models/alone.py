"""A network that was counted alone, by itself: bits to choose, and what is computed and predicted of them."""

from functools import partial

import streamlit as st

from aiq_core.charts.bits import bits_data, bits_frame
from aiq_core.charts.bits_figure import bits_figure, clickable
from aiq_core.charts.reasons import Reason
from aiq_core.charts.roofline import roofline_data, roofline_frame
from aiq_core.charts.roofline_figure import roofline_figure
from aiq_core.charts.style import width_name
from aiq_core.intensity import intensity
from aiq_core.records import FP32_BITS, OFFERED_BITS, ModelProfile, Policy, Site, SiteKind
from aiq_core.wording import bit_counts, join, number, signed, site_names
from pages.common import computed, controls, known, machines
from pages.common.charts import Click, Drawing, card, drawing_card, has_roofline
from pages.common.controls import View
from pages.common.sites import site_list
from pages.models import counted, widths
from pages.models.facts import work
from pages.models.times import Time, frame, table, times

HEIGHT_PX = 420
KINDS = {SiteKind.WEIGHTS: "All weights", SiteKind.ACTIVATIONS: "All activations"}


def draw(name: str, profile: ModelProfile, view: View) -> None:
    """The whole page, in the place of the list."""
    policy = widths.policy(profile)
    found = times(profile, policy, known.library().machines.values(), controls.BATCHES)
    here = next(each for each in found if (each.machine, each.batch) == (view.machine, view.batch))
    with st.container(gap="xsmall"):
        _heading(name, profile, policy)
        with st.container(horizontal=True, border=True, gap="small"):
            computed.draw(profile, view.machine, view.batch, profile.uniform(FP32_BITS), policy)
            _speed_up(here)
    if profile.sites:
        site = widths.site(profile)
        drawing_card(
            _bits(name, profile, policy, site, view),
            on_click=partial(_clicked, profile),
            beneath=partial(_choices, name, profile, policy, site),
        )
    else:
        st.caption("Nothing of it can have bits: it keeps no weights that a layer multiplies by.")
    if here.policy_s is not None or has_roofline(view.machine):
        drawing_card(_roofline(name, profile, policy, view), partial(machines.machine_sources, view.machine))
    with card(
        "Predicted time of a batch", "and times faster than FP32", partial(frame, found, name, policy), f"{name}-times"
    ):
        st.dataframe(
            table(found),
            column_config={"machine": st.column_config.Column(pinned=True, width=210)},
            hide_index=True,
            height="content",
        )
        st.caption(f"By the roofline, if kernels for these widths existed: {bit_counts(policy)}. Not measured.")


def _heading(name: str, profile: ModelProfile, policy: Policy) -> None:
    now, fp32 = (intensity(profile, each) for each in (policy, profile.uniform(FP32_BITS)))
    gain = "" if policy.is_fp32 else f", {signed(100 * (now / fp32 - 1), 0)} % on FP32"
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"):
        st.markdown(f"#### {name}: :violet[{number(now, 2)} FLOPs per byte]{gain}", width="content")
        with st.container(horizontal=True, width="content", gap="small"):
            st.button(
                "All networks",
                key="alone-back",
                type="tertiary",
                icon=":material/arrow_back:",
                on_click=widths.open_network,
                args=(None,),
            )
            counted.remover(name)
    st.caption(join([bit_counts(policy), work(profile)]))
    st.caption(
        "No accuracy is known, as it was counted without weights and labels: all here is computed or predicted, "
        "nothing is measured, and nothing can be searched."
    )


def _speed_up(found: Time) -> None:
    st.metric(
        "Predicted speed-up",
        "–" if found.speed_up is None else f"{number(found.speed_up, 2)} ×",
        "can't run FP32" if found.fp32_s is None else "if kernels existed",
        delta_color="off",
        delta_arrow="off",
        width=computed.WIDTH_PX,
        help=f"Roofline time in FP32 over that at these widths, on {found.machine.name} at batch {found.batch}. "
        "Predicted, not measured.",
    )


def _bits(name: str, profile: ModelProfile, policy: Policy, site: Site, view: View) -> Drawing:
    """A bar a layer and activation group; a click picks it."""
    reasons = dict.fromkeys(profile.sites, Reason("chosen here", ""))
    data = bits_data(profile, policy, reasons, None, groups=True)
    return Drawing(
        "alone-bits",
        f"{name}-bits",
        data.title,
        f"{'above: weights, below: activations; ' * data.has_groups}click one to give it other bits",
        f"{data.title} of {name}, {site} picked: {data.spoken}",
        clickable(bits_figure(data, view.look), data, site, view.look),
        partial(bits_frame, data),
    )


def _clicked(profile: ModelProfile, click: Click) -> None:
    if click.index is not None and click.index < len(profile.sites):
        widths.pick(profile.sites[click.index])


def _choices(name: str, profile: ModelProfile, policy: Policy, site: Site) -> None:
    """Bits of all weights, of all activations, and of the site that was picked."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        for kind, label in KINDS.items():
            held = policy.weight_bits if kind is SiteKind.WEIGHTS else policy.activation_bits
            if held:
                _bits_control(label, f"alone-{name}-{kind}", widths.common(held), partial(widths.set_all, policy, kind))
        _one(name, profile, policy, site)


def _one(name: str, profile: ModelProfile, policy: Policy, site: Site) -> None:
    """The site as a list, and its widths."""
    site_list("One of them", f"alone-{name}-site", profile, policy, site, widths.pick, width=360)
    _bits_control(
        f"Bits of {site_names(profile.sites)[str(site)]}",
        f"alone-{name}-bits-{site}",
        profile.width(policy, site),
        partial(widths.set_bits, profile, policy, site),
    )


def _bits_control(label: str, key: str, held: int | None, choose: partial[None]) -> None:
    """Widths to choose from, the one that is held marked; none is where several are."""
    st.session_state[key] = held

    def chosen() -> None:
        if (bits := st.session_state[key]) is not None:
            choose(bits)

    st.segmented_control(label, OFFERED_BITS, key=key, format_func=width_name, wrap=True, on_change=chosen)


def _roofline(name: str, profile: ModelProfile, policy: Policy, view: View) -> Drawing:
    runs_fp32 = view.machine.runs_fp32
    before, name_before = (profile.uniform(FP32_BITS), "FP32") if runs_fp32 else (policy, "now")
    data = roofline_data(
        view.machine,
        profile,
        before,
        policy,
        view.batch,
        OFFERED_BITS,
        controls.BATCHES,
        name_before,
        joint=True,
        height_px=HEIGHT_PX,
    )
    alt = (
        f"Roofline of {view.machine.name} with {len(data.dots)} layers of {name} at batch {view.batch}; "
        f"{data.memory_bound} are memory-bound at these widths."
    )
    return Drawing(
        "alone-roofline",
        f"{name}-roofline-{view.machine.key}",
        "Roofline",
        f"layers, {'FP32 → now' if runs_fp32 else 'at these widths'}, by predicted time, batch {view.batch}",
        alt,
        roofline_figure(data, view.look),
        partial(roofline_frame, data),
    )
