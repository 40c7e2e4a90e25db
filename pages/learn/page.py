"""Learn: seven lessons, each a screen; predict, then reveal. The numbers are the chosen model's and machine's."""

import streamlit as st

from pages.common import controls
from pages.learn import address, batch, frame, layers, price, questions, roofline, rounding, speed, walk

STEPS = {1: roofline, 2: batch, 3: rounding, 4: layers, 5: walk, 6: price, 7: speed, address.QUESTIONS: questions}


def main() -> None:
    view = controls.view()
    address.start()
    if st.session_state.setdefault("learn:model", view.model) != view.model:
        st.session_state["learn:model"] = view.model
        address.forget_guesses()
    if st.session_state.setdefault("learn:space", view.space) != view.space:
        st.session_state["learn:space"] = view.space
        address.ask_again(price.LESSON)
    address.warnings()
    frame.navigation()
    lesson = STEPS[address.step()]
    lesson.draw(view)
    address.write(lesson.SETTINGS)


main()
