"""Present: chosen runs as slides that read from the back row, and as one file that needs no network."""

from dataclasses import replace
from urllib.parse import urlencode

import streamlit as st

from aiq_core.deck import html
from aiq_core.deck.build import MOST_RUNS, build, default_run
from aiq_core.deck.facts import without_policy
from aiq_core.deck.slide import Better, Deck
from aiq_core.deck.text import plain
from aiq_core.errors import AiqError
from aiq_core.records import Run, RunStatus
from pages.common import controls, known, names
from pages.common.controls import View
from pages.present import address, frame

CHOSEN, OF_MODEL, OPENED = "present-runs", "present-model", "present-opened"


@st.cache_resource(max_entries=12, show_spinner="Making the slides…")
def _deck(run_ids: tuple[str, ...], machine: str, version: str) -> Deck:
    return build(known.library(), run_ids, known.library().machine(machine))


@st.cache_resource(max_entries=12, show_spinner=False)
def _shown(run_ids: tuple[str, ...], machine: str, version: str) -> str:
    return html.page(_deck(run_ids, machine, version), plotly="")


def main() -> None:
    view, version = controls.view(), known.library().version()
    titles = _titles(version)
    for complaint in _choose_first(view, titles):
        st.warning(complaint, icon=":material/link_off:")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown("#### Present", width="content")
        st.multiselect(
            "Runs",
            list(titles),
            format_func=lambda run_id: titles[run_id],
            key=CHOSEN,
            max_selections=MOST_RUNS,
            placeholder="Choose runs to present",
            label_visibility="collapsed",
        )
        files = st.container(horizontal=True, width="content", gap="small")
    chosen = tuple(st.session_state[CHOSEN])
    usual = default_run(known.library(), view.model, controls.DEFAULT_ALPHA)
    address.keep_runs([] if usual is not None and chosen == (usual.id,) else list(chosen))
    if not chosen:
        _nothing(view)
        return
    key = (chosen, view.machine.key, version)
    deck = _deck(*key)
    if st.session_state.pop(OPENED, False) and address.asked_slide() != str(address.slide(len(deck.slides))):
        asked = address.asked_slide()
        st.warning(f"slide={asked!r} is not there; this deck has {len(deck.slides)}. Showing the first.",
                   icon=":material/link_off:")  # fmt: skip
    with files:
        _files(deck)
    for better in deck.better:
        st.markdown(f":small[{plain(better.text)}{_on_explore(better, view)}]")
    frame.show(_shown(*key), f"Slides: {deck.title}", len(deck.slides), view.look.dark)


@st.cache_resource(max_entries=2, show_spinner=False)
def _titles(version: str) -> dict[str, str]:
    """Run id -> what it is called, of every run that has a policy, those of one model together."""
    runs = [run for run in known.library().runs() if run.policy is not None or _has_points(run)]
    order = list(known.library().models)
    runs.sort(key=lambda run: order.index(run.request.model))
    states = {run.id: "" if run.status is RunStatus.DONE else f" · {run.status}" for run in runs}
    return {run.id: f"{names.title(run)} · {run.id}{states[run.id]}" for run in runs}


def _has_points(run: Run) -> bool:
    return run.request.points is not None and run.status is RunStatus.DONE


def _choose_first(view: View, titles: dict[str, str]) -> list[str]:
    """Chooses the address's runs, else the model's usual one, also where the model changes; what could not be used."""
    complaints = []
    opened = OF_MODEL not in st.session_state or controls.is_return()
    if not opened and st.session_state[OF_MODEL] == view.model and CHOSEN in st.session_state:
        return complaints
    asked = address.run_ids() if opened else []
    st.session_state[OPENED] = opened
    st.session_state[OF_MODEL] = view.model
    for run_id in [run_id for run_id in asked if run_id not in titles]:
        complaints.append(_unusable(run_id))
    asked = list(dict.fromkeys(run_id for run_id in asked if run_id in titles))
    if len(asked) > MOST_RUNS:
        complaints.append(f"The link names {len(asked)} runs, a deck takes {MOST_RUNS}. Showing the first {MOST_RUNS}.")
    usual = default_run(known.library(), view.model, controls.DEFAULT_ALPHA)
    st.session_state[CHOSEN] = asked[:MOST_RUNS] or ([] if usual is None else [usual.id])
    return complaints


def _unusable(run_id: str) -> str:
    """Why the address's run is not shown."""
    try:
        run = known.library().run(run_id)
    except AiqError as error:
        reason = str(error).partition(";")[0]
        return f"The link's run is not here ({reason}). Choose one below, or import its file on Search."
    return f"Run {run.id} {without_policy(run)}, so there is nothing to present. Choose another below."


def _on_explore(better: Better, view: View) -> str:
    """A link to the policy on Explore, in a tab of its own; empty where Explore does not show its kind."""
    run = replace(better.run, policy=better.policy)
    query = names.explore_query(run)
    if query is None:
        return ""
    return f" [See it on Explore](./?{urlencode(query | {'from': controls.BEST, 'machine': view.machine.key})})"


def _nothing(view: View) -> None:
    title = view.model.title
    with st.container(border=True, horizontal_alignment="center"):
        st.markdown(
            "#### Nothing chosen to present\n\nChoose runs above. "
            f"Searches of {title} start on the Search page; a run appears here when it is done."
        )
        st.page_link("pages/search/page.py", label="Search", icon=":material/manage_search:")


def _files(deck: Deck) -> None:
    name = html.file_name(deck)
    st.download_button(
        "Save as HTML", lambda: html.page(deck).encode(), f"{name}.html", "text/html", icon=":material/download:",
        on_click="ignore", help="One file with everything inside: it opens without this app and without a network. "
        "Keys: ← → space Home End, F full screen, T light or dark, P prints one slide a page.",
    )  # fmt: skip
    with st.popover("Data", icon=":material/table_rows:"):
        st.download_button("CSV, a row a run", lambda: html.table(deck).encode(), f"{name}.csv", "text/csv",
                           on_click="ignore")  # fmt: skip
        st.download_button("JSON, everything", lambda: html.to_json(deck).encode(), f"{name}.json", "application/json",
                           on_click="ignore")  # fmt: skip


main()
