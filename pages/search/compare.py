"""Two runs beside each other: their paths overlaid, the layers that differ, and their policies on the same images."""

from collections.abc import Callable
from functools import partial

import streamlit as st

from aiq_core import fronts
from aiq_core.charts.bits import bits_frame
from aiq_core.charts.bits_figure import bits_figure
from aiq_core.fronts import WITHIN
from aiq_core.intensity import intensity, moved_bytes, stored_bytes, weight_bytes
from aiq_core.library import asked_step
from aiq_core.records import ImageSet, Policy, Run, SplitName
from aiq_core.wording import differences as in_words
from aiq_core.wording import duration, number, per_byte, size
from pages.common import known, names
from pages.common.charts import card, chart
from pages.common.controls import View
from pages.search import actions, differences, stored
from pages.search.bars import policy_bits
from pages.search.figures import progress_data, progress_figure, progress_frame


def draw(view: View, first: Run, second: Run) -> None:
    """A and B; raises SettingError where they cannot be compared."""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"):
        st.markdown(f"#### {known.model(first.request.model).title}: two runs compared", width="content")
        with st.container(horizontal=True, width="content", gap="small"):
            st.button(
                "Swap",
                icon=":material/swap_horiz:",
                type="tertiary",
                on_click=actions.compare,
                args=(second.id, first.id),
            )
            st.button("Close", icon=":material/close:", type="tertiary", on_click=actions.stop_comparing)
    first, second = (fronts.as_chosen(known.library(), run) for run in (first, second))
    a, b = differences.comparable(first, second)
    for letter, run in (("A", first), ("B", second)):
        point = f", its point within {number(WITHIN.limit, 1)} points" if run.request.points is not None else ""
        st.caption(f"**{letter}** {names.what(run)}{point} · run {run.id} · {names.origin(run)} · {run.status}")
    _numbers(first, second, a, b)
    _verdicts(first, second, a, b)
    left, right = st.columns(2, gap="small")
    with left:
        _overlay(view, first, second)
        _settings(first, second)
    with right:
        _bits(view, first, second, a, b)


def _numbers(first: Run, second: Run, a: Policy, b: Policy) -> None:
    profile = known.model(first.request.model).profile
    by, quantizers = first.request.traffic, (first.request.quantizer, second.request.quantizer)
    both = tuple(zip((a, b), quantizers, strict=True))
    values = (intensity(profile, policy, 1, by, quantizer) for policy, quantizer in both)
    as_stored = (stored_bytes(profile, policy, quantizer) for policy, quantizer in both)
    moved = (moved_bytes(profile, policy, 1, by, quantizer) for policy, quantizer in both)
    rows: tuple[tuple[str, float, float, Callable[[float], str]], ...] = (
        (per_byte(by), *values, lambda value: number(value, 2)),
        ("Weights", weight_bytes(profile, a), weight_bytes(profile, b), size),
        ("As stored", *as_stored, size),
        ("Bytes moved", *moved, size),
        ("Evaluations", first.evaluations, second.evaluations, lambda value: number(value, 0)),
        ("Time", first.seconds, second.seconds, duration),
    )
    with st.container(horizontal=True, border=True, gap="small"):
        for label, before, after, text in rows:
            st.metric(
                f"{label}, B",
                text(after),
                differences.change(after, before),
                width=145,
                delta_color="off",
                delta_arrow="off" if after == before or before == 0 else "auto",
                help=f"A: {text(before)}. The change is B against A.",
            )


def _verdicts(first: Run, second: Run, a: Policy, b: Policy) -> None:
    library, request = known.library(), first.request
    report = min(stored.judged(library, first, a), stored.judged(library, second, b))
    model, how = library.model(request.model), (request.quantizer, second.request.quantizer)
    # What a search kept apart to confirm on; where only one of two did, the other chose on these too.
    apart = max(each.request.choose_images or 0 for each in (first, second))
    confirm = first.request.choose_images is not None and second.request.choose_images is not None
    search, judge = ("confirm" if confirm else SplitName.SEARCH), ImageSet(SplitName.SEARCH, request.images, apart)
    for name, on in ((search, judge), (SplitName.REPORT, ImageSet(SplitName.REPORT, report))):
        both = zip((a, b), how, strict=True)
        found = [library.shown(model, on.split, policy, on.images, each, on.start) for policy, each in both]
        cells = library.paired(
            model, on.split, on.images, a, b, how[1], imported=True, start=on.start, before_quantizer=how[0]
        )
        if cells is None:
            st.markdown(f"On {name} images not both are measured here, so there is no paired comparison.")
            continue
        said = differences.sentence(cells, name)
        brought = {each.origin.source for each in found if each is not None} - {"measured"}
        st.markdown(said + (f" :gray[({', '.join(names.ORIGINS[s] for s in sorted(brought))})]" if brought else ""))


def _overlay(view: View, first: Run, second: Run) -> None:
    model = known.model(first.request.model)
    references = stored.references(first.request)
    data = progress_data([("A", first), ("B", second)], model.profile, references, candidates=False)
    name = f"{first.id}-{second.id}-paths"
    with card("Paths", "moves taken by A and B", partial(progress_frame, data), name):
        points = model.metric.title.capitalize()
        alt = f"{points} against FLOPs per byte: {len(first.steps)} steps of A and {len(second.steps)} of B."
        chart(progress_figure(data, view.look), "paths", name, alt)


def _bits(view: View, first: Run, second: Run, a: Policy, b: Policy) -> None:
    profile = known.model(second.request.model).profile
    data = policy_bits(second, b, asked_step(second, b, profile), a)
    frame = differences.sites(profile, a, b)
    title = f"differs from A in {in_words(a, b)}; lines show A" if len(frame) else "A and B agree"
    name = f"{first.id}-{second.id}-bits"
    with card("Bits of B", title, partial(bits_frame, data), name):
        chart(bits_figure(data, view.look), "compare-bits", name, f"{data.title} of B: {data.spoken}")
    if len(frame):
        with card("Where they differ", "", lambda: frame, f"{first.id}-{second.id}-sites"):
            st.dataframe(
                frame,
                hide_index=True,
                key="compare-layers",
                alt=f"{len(frame)} layers and activation groups differ",
                height=min(260, 36 * (len(frame) + 1)),
            )


def _settings(first: Run, second: Run) -> None:
    frame = differences.settings(first, second)
    if len(frame):
        with card("Settings that differ", ""):
            st.dataframe(frame, hide_index=True, key="compare-settings", alt=f"{len(frame)} settings differ")
