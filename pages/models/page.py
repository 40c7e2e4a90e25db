"""Models: every network, bundled and own, what is known of each, and how to add another."""

import streamlit as st

from pages.common import controls, errors, known
from pages.models import adding, cards


def main() -> None:
    cards.go()
    view = controls.view()
    errors.say()
    library = known.library()
    models, alone = library.models.values(), len(library.profiles)
    own = alone + sum(not model.bundled for model in models)
    yours = f"{own} of them your own" if own else "none of them your own yet"
    st.markdown(f"#### {len(models) + alone} networks, {yours}")
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", gap="small"):
        st.caption(f"Layers in FP32 at batch 1 under the roof of {view.machine.name}", width="content")
        st.markdown("[Add your own](#add-your-own)", width="content")
    cards.draw(view)
    adding.draw()


main()
