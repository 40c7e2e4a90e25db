"""The policy at work and its history, kept in the session; the policy stands in the address too."""

from collections.abc import Mapping, Sequence

import streamlit as st

from aiq_core.errors import SettingError
from aiq_core.frontier import ALGORITHM
from aiq_core.records import UNFUSED, ModelProfile, Policy, Site, SiteKind
from aiq_core.search.strategies import FRONTS
from aiq_core.space import SPACES, Space
from aiq_core.wording import bits_name
from pages.common import controls, errors, fronts, known
from pages.common.controls import View
from pages.common.selection import Wish, select
from pages.lab import policies
from pages.lab.history import Entry, History

HISTORIES, SITE = "lab_histories", "lab_site"
SPACE = "space"
START = "start"
"""In the address: where the editing of its policy began, unless that is the policy itself."""
SITE_BOX, BITS = "lab-layer", "lab-bits"
PARAMETERS = {SiteKind.WEIGHTS: "layer", SiteKind.ACTIVATIONS: "activations"}
"""What the address calls the site at work."""
PANEL, WEIGHTS, FLIPS = "lab-panel", "weights", "flips"


def history(view: View) -> History:
    """The model's history with the policy that decides now at its end; says where a link's could not be used.

    A visit that begins here, or comes back, finds policy and start in the address: the edits are one undo then.
    """
    profile, usual = view.model.profile, default(view)
    reads = controls.is_return() or HISTORIES not in st.session_state
    kept: dict[str, History] = st.session_state.setdefault(HISTORIES, {})
    policy = _linked("policy", view.policy, profile)
    start = _linked(START, st.query_params.get(START) if reads else None, profile)
    if policy is None and start not in (None, usual.policy):
        policy, st.session_state[controls.POLICY] = start, start.key
    where = "Explore" if st.session_state.get(controls.CLICKED) else "the link"
    entry = usual if policy is None else Entry(policy, where, is_start=True)
    begun = entry if start in (None, entry.policy) else Entry(start, "the link", is_start=True)
    found = kept.get(view.model.name, History((begun,)))
    if reads:
        found = found.linked(begun, entry.policy)
    elif found.current.policy != entry.policy:
        # Chosen elsewhere meanwhile: what was edited here is one undo away.
        found = found.push(entry)
    controls.put(START, None if found.start.policy.key == view.policy else found.start.policy.key)
    kept[view.model.name] = found
    return found


def _linked(name: str, key: str | None, profile: ModelProfile) -> Policy | None:
    try:
        return None if key is None else policies.read_key(key, profile)
    except SettingError as error:
        st.warning(f"The link's {name} was not used: {error}.", icon=":material/link_off:")
        return None


def default(view: View) -> Entry:
    """What Explore shows: the best found at alpha, the budget's, or the named algorithm's."""
    profile = view.model.profile
    if not known.is_known(view.model, view.images, view.space):
        return Entry(profile.uniform(32), "FP32", is_start=True)
    table = known.table(view.model, view.images, space=view.space)
    algorithm = view.algorithm if view.algorithm in FRONTS else ALGORITHM
    front = fronts.front(view.model, view.images, UNFUSED, view.space, str(algorithm))
    wish = Wish(view.alpha, view.budget, None, view.algorithm)
    chosen = select(table, wish, known.runs(view.model), front.policies)
    if chosen.run is not None:
        return Entry(chosen.policy, f"{view.algorithm} at alpha {chosen.run.request.alpha:g}", is_start=True)
    if view.budget is not None:
        return Entry(chosen.policy, f"highest AI within {view.budget:.1f} points", is_start=True)
    return Entry(chosen.policy, f"best found at alpha {view.alpha:.2f}", is_start=True)


def site(profile: ModelProfile) -> Site:
    """The site at work: the address's or the last one picked, else the heaviest layer."""
    if SITE not in st.session_state or controls.is_return():
        st.session_state[SITE] = asked = site_of(st.query_params)
        if asked is not None and asked not in profile.sites:
            name = f"{PARAMETERS[asked.kind]}={asked.name[:60]!r}"
            st.warning(f"{name} is not in {profile.model}; choose it in the bits chart or the list.")
    if st.session_state[SITE] not in profile.sites:
        heaviest = max(profile.quantizable, key=lambda layer: layer.weights)
        st.session_state[SITE] = Site(SiteKind.WEIGHTS, heaviest.name)
    found: Site = st.session_state[SITE]
    for kind, parameter in PARAMETERS.items():
        controls.put(parameter, found.name if kind is found.kind else None)
    return found


def site_of(query: Mapping[str, str]) -> Site | None:
    """The site that an address names."""
    return next((Site(kind, query[name]) for kind, name in PARAMETERS.items() if name in query), None)


# Callbacks


def show(model: str, changed: History) -> None:
    """Makes a history's policy the app's."""
    st.session_state[HISTORIES][model] = changed
    st.session_state[controls.POLICY] = changed.current.policy.key
    st.session_state[controls.CLICKED] = False


def push(model: str, policy: Policy, text: str, is_start: bool = False) -> None:
    show(model, st.session_state[HISTORIES][model].push(Entry(policy, text, is_start)))


def undo(model: str) -> None:
    show(model, st.session_state[HISTORIES][model].undo())


def redo(model: str) -> None:
    show(model, st.session_state[HISTORIES][model].redo())


def set_site(picked: Site) -> None:
    st.session_state[SITE] = picked


def set_bits(model: str, sites: Sequence[Site], bits: int, what: str) -> None:
    """Sets sites to a width: one edit, whatever their number."""
    before = st.session_state[HISTORIES][model].current.policy
    after = policies.with_bits(known.model(model).profile, before, sites, bits)
    push(model, after, f"{what} to {bits_name(bits)}")


def start_from(model: str, policy: Policy, text: str, space: Space | None = None) -> None:
    """Starts from a policy, in its own space where it has one."""
    show_space(policy, space)
    push(model, policy, text, is_start=True)


def show_space(policy: Policy, space: Space | None = None) -> None:
    """Shows a space, and in any case one in which the policy can be."""
    shown = SPACES[st.session_state[SPACE]] if space is None else space
    st.session_state[SPACE] = policies.space_of(policy, shown).name


def switch_space(policy: Policy, space: Space) -> None:
    """Shows the policy at work in another space."""
    st.session_state[controls.POLICY] = policy.key
    show_space(policy, space)


def import_text(model: str, key: str) -> None:
    """Starts from what was pasted, on its own model."""
    text = st.session_state.get(key, "")
    if not text.strip():
        return
    with errors.kept():
        named, policy_key = policies.read_text(text, model)
        if named == model:
            start_from(model, Policy.from_key(policy_key), "imported")
        else:
            show_space(Policy.from_key(policy_key))
            st.session_state["model"] = named
            st.session_state[controls.PINNED] = None
            st.session_state[controls.POLICY], st.session_state[controls.CLICKED] = policy_key, False
