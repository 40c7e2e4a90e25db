"""What the Lab will show, told before its page runs: its charts at each width of the picked site."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from aiq_core.errors import SettingError
from aiq_core.records import OFFERED_BITS, SiteKind
from pages.common import controls
from pages.lab import drawings, editor, policies, state
from pages.lab.history import Entry
from pages.lab.shown import Shown, offered, parts


def address(shown: Shown) -> str:
    """Asks for the foresight of the picked site: the same for each of its widths."""
    asked = controls.query(replace(shown.view, policy=shown.at(OFFERED_BITS[0]).policy.key))
    more = {
        state.PARAMETERS[shown.site.kind]: shown.site.name,
        "start": shown.start.policy.key,
        "start-text": shown.start.text,
        "against": shown.against,
    }
    return f"lab?{urlencode(asked | more)}"


def foresight(query: Mapping[str, str]) -> dict[str, Any]:
    """`at` gives the place in `shown` of each width offered in the group named `control`.

    Raises SettingError for what is no address of the Lab's.
    """
    shown = _asked(query)
    found = []
    for bits in OFFERED_BITS:
        then = shown.at(bits)
        charts = [drawings.bits(then), *([drawings.weights(then)] if then.is_layer else [])]
        if then.view.machine.runs_fp32:
            charts.append(drawings.roofline(then))
        found.append({"sentence": parts(then), "charts": [chart.payload for chart in charts]})
    return {"control": editor.bits_label(shown.site), "at": [*range(len(found))], "shown": found}


def _asked(query: Mapping[str, str]) -> Shown:
    view = controls.asked(query, dark="dark" in query)
    profile = view.model.profile
    start = Entry(policies.read_key(query.get("start", ""), profile), query.get("start-text", ""), is_start=True)
    site, against = state.site_of(query), query.get("against", "")
    if site is None or site not in profile.sites:
        offered_names = (
            profile.activation_groups if site and site.kind is SiteKind.ACTIVATIONS else profile.quantizable_names
        )
        raise _not_offered("" if site is None else site.name, offered_names)
    if against not in offered(view, start):
        raise _not_offered(against, offered(view, start))
    return Shown(view, policies.read_key(view.policy or "", profile), start, against, site)


def _not_offered(value: str, choices: Iterable[str]) -> SettingError:
    return SettingError(f"{value[:60]!r} is not offered; choose from {', '.join(choices)}")
