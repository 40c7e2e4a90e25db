"""The network that is shown alone and the bits that were chosen for it: all of it stands in the address."""

import streamlit as st

from aiq_core.errors import SettingError
from aiq_core.records import ModelProfile, Move, Policy, Site, SiteKind
from pages.common import controls, known

NETWORK, WIDTHS = "network", "widths"
SITES = {SiteKind.WEIGHTS: "layer", SiteKind.ACTIVATIONS: "activations"}
"""What the address calls the site at work."""

FIRST_BITS = 8
"""Of weights and activations, where nothing was chosen yet: what machines have arithmetic for."""


def network() -> str | None:
    """The network that the address asks for, where there is one to show; says where there is none."""
    name, offered = st.query_params.get(NETWORK), list(known.library().profiles)
    if name is None or name in offered:
        return name
    if name in known.library().models:
        remedy = "it has weights and images; open its card"
    else:
        remedy = f"choose from {', '.join(offered)}" if offered else "add one by --only-profile"
    st.warning(f"network={name[:60]!r} is none that is counted alone: {remedy}.", icon=":material/link_off:")
    return None


def policy(profile: ModelProfile) -> Policy:
    """The bits chosen; says where the address has some that are not this network's."""
    usual, key = profile.uniform(FIRST_BITS, FIRST_BITS), st.query_params.get(WIDTHS)
    try:
        found = usual if key is None else Policy.from_key(key)
        profile.check(found)
    except SettingError as error:
        st.warning(f"The link's widths were not used: {error}.", icon=":material/link_off:")
        return usual
    return found


def site(profile: ModelProfile) -> Site:
    """The layer or activation group at work: the address's, else the heaviest layer."""
    asked = next((Site(kind, st.query_params[name]) for kind, name in SITES.items() if name in st.query_params), None)
    if asked in profile.sites:
        return asked
    if asked is not None:
        name = f"{SITES[asked.kind]}={asked.name[:60]!r}"
        st.warning(f"{name} is not in {profile.model}; choose one in the bits chart or the list.")
    return max(profile.sites, key=lambda each: (each.kind is SiteKind.WEIGHTS, profile.elements(each)))


# Callbacks


def open_network(name: str | None) -> None:
    """Shows a network by itself, as it is when nothing was chosen; None shows the list."""
    for each in (WIDTHS, *SITES.values()):
        controls.put(each, None)
    controls.put(NETWORK, name)


def pick(picked: Site) -> None:
    """Works on another site."""
    for kind, name in SITES.items():
        controls.put(name, picked.name if kind is picked.kind else None)


def set_bits(profile: ModelProfile, before: Policy, picked: Site, bits: int) -> None:
    """One site at other bits."""
    controls.put(WIDTHS, profile.moved(before, Move(picked, bits)).key)


def set_all(before: Policy, kind: SiteKind, bits: int) -> None:
    """Every site of a kind at other bits."""
    weights, activations = before.weight_bits, before.activation_bits
    if kind is SiteKind.WEIGHTS:
        weights = (bits,) * len(weights)
    else:
        activations = (bits,) * len(activations)
    controls.put(WIDTHS, Policy(weights, activations).key)


def common(widths: tuple[int, ...]) -> int | None:
    """The width that all have; None where they differ."""
    return widths[0] if len({*widths}) == 1 else None
