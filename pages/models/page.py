"""Models: every network, bundled and own, what is known of each, and how to add another."""

import streamlit as st

from pages.common import controls, errors, known
from pages.common.controls import View
from pages.models import adding, alone, cards, widths


def main() -> None:
    cards.go()
    view = controls.view()
    errors.say()
    name = widths.network()
    if name is None:
        _all(view)
    else:
        alone.draw(name, known.library().profiles[name], view)


def _all(view: View) -> None:
    library = known.library()
    models, counted = library.models.values(), len(library.profiles)
    own = counted + sum(not model.bundled for model in models)
    yours = f"{own} of them your own" if own else "none of them your own yet"
    st.markdown(f"#### {len(models) + counted} networks, {yours}")
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"):
        st.caption(f"Layers in FP32 at batch 1 under the roof of {view.machine.name}", width="content")
        st.markdown("[Add your own](#add-your-own)", width="content")
    cards.draw(view)
    adding.draw()


main()
