"""A network as a card: what is known of it, where it opens, and, of a user's own, how it goes."""

from functools import partial

import streamlit as st

from aiq_core.catalog import Model
from aiq_core.catalog.model import CONTACT_SHEET
from aiq_core.library import read_only
from aiq_core.tasks import add as adding
from pages.common import controls, errors, known
from pages.common.controls import View
from pages.common.popovers import popover
from pages.models import counted
from pages.models.facts import drawn, facts

COLUMNS = 3
OPENED = "models-opened"


def draw(view: View) -> None:
    """Every network, side by side."""
    library = known.library()
    cards = [partial(_card, model, view) for model in library.models.values()]
    cards += [partial(counted.card, name, profile, view) for name, profile in library.profiles.items()]
    for start in range(0, len(cards), COLUMNS):
        for column, card in zip(st.columns(COLUMNS, gap="small"), cards[start : start + COLUMNS], strict=False):
            with column, st.container(border=True, gap="xsmall", height="stretch"):
                card()


def _card(model: Model, view: View) -> None:
    found = facts(model)
    origin = "ships with the app" if model.bundled else "your own"
    st.markdown(f"**{model.title}** :gray[{origin}]")
    st.caption(f"`{model.name}`: {found.about}")
    if counted.has_stamp(view.machine):
        counted.draw_stamp(*drawn(model, view.machine, view.look))
    st.markdown("Top-1 " + "  \n".join(found.accuracies))
    st.caption(found.measured)
    st.markdown(f"AI **{found.intensity}** FLOPs per byte")
    st.caption(found.work)
    st.caption(found.known)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button(
            "Open in Explore",
            key=f"open-{model.name}",
            type="tertiary",
            icon=":material/query_stats:",
            on_click=_open,
            args=(model.name,),
        )
        if (model.folder / CONTACT_SHEET).is_file():
            popover("Images", "grid_view", partial(_images, model), key=f"images-{model.name}")
        if not model.bundled and not read_only():
            popover("Remove", "delete", partial(_ask, model), key=f"remove-{model.name}")


def _open(name: str) -> None:
    controls.choose_model(name)
    st.session_state[OPENED] = True


def go() -> None:
    """Leaves for Explore, where a card was opened."""
    if st.session_state.pop(OPENED, False):
        st.switch_page("pages/explore/page.py")


def _images(model: Model) -> None:
    alt = f"Twelve images of {model.dataset.title} with their classes and what {model.title} reads them as"
    st.image(str(model.folder / CONTACT_SHEET), alt=alt)


def _ask(model: Model) -> None:
    found = facts(model)
    st.markdown(f"Remove **{model.title}**?")
    st.caption(
        f"The copies of its network, weights and images go. Its {found.runs:,} runs and {found.evaluations:,} "
        "evaluations stay in the store, and are known again once the same network is added under this name."
    )
    st.button("Remove it", key=f"removed-{model.name}", type="primary", on_click=_remove, args=(model,))


def _remove(model: Model) -> None:
    with errors.kept():
        adding.remove(known.library(), model.name)
        st.session_state[errors.NOTE] = f"{model.title} is removed."
