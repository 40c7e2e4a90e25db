"""Models: every network, bundled and own, what is known of each, and how to add another."""

import streamlit as st

from pages.common import controls, errors, known
from pages.models import adding, cards


def main() -> None:
    cards.go()
    view = controls.view()
    errors.say()
    models = known.library().models.values()
    own = sum(not model.bundled for model in models)
    yours = f"{own} of them your own" if own else "none of them your own yet"
    st.markdown(f"#### {len(models)} networks, {yours}")
    adding.progress()
    cards.draw(view)
    adding.draw()


main()
