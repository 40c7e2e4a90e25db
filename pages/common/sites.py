"""The layer or activation group at work, as a list: for keyboard and screen reader, where the bits chart is clicked."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from aiq_core.records import ModelProfile, Policy, Site
from aiq_core.wording import bits_name, site_names


def site_list(
    label: str, key: str, profile: ModelProfile, policy: Policy, site: Site, pick: Callable[[Site], Any], **look: Any
) -> None:
    """Every site with its width, the one at work chosen; `pick` hears of another.

    The widget is of each site's own: until the browser has the answer to a click it goes on sending what it holds,
    which is another site's by then.
    """
    by_name, short, box = {str(each): each for each in profile.sites}, site_names(profile.sites), f"{key}-{site}"
    st.session_state[box] = str(site)

    def chosen() -> None:
        # The browser sends an option's text: with the width of a moment ago it is the name of none.
        if st.session_state[box] in by_name:
            pick(by_name[st.session_state[box]])

    st.selectbox(
        label,
        by_name,
        key=box,
        format_func=lambda name: f"{short[name]} · {bits_name(profile.width(policy, by_name[name]))}",
        on_change=chosen,
        **look,
    )
