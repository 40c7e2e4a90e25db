"""What a deck is: pure data, from which a page, a file or a test is made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiq_core.deck.text import Text
from aiq_core.records import Policy, Run


@dataclass(frozen=True, slots=True)
class Number:
    """One large figure: its value, what it is, and what it is compared with."""

    label: str
    value: Text
    note: Text = ()


@dataclass(frozen=True)
class Figure:
    """A Plotly figure in both themes, its text for screen readers, and its data, a row a mark."""

    light: Mapping[str, Any]
    dark: Mapping[str, Any]
    alt: str
    rows: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under column names; `pairs` are facts with their names, which need no head."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Text, ...], ...]
    caption: str
    pairs: bool = False


@dataclass(frozen=True)
class Slide:
    """One idea: a title that says it, and what shows it. `notes` say how its figures were got."""

    key: str
    kicker: str
    title: Text
    lead: Text = ()
    numbers: tuple[Number, ...] = ()
    figure: Figure | None = None
    table: Table | None = None
    notes: tuple[Text, ...] = ()


@dataclass(frozen=True)
class Better:
    """A policy known to be better than a run's at the run's alpha, and what is said of both."""

    run: Run
    policy: Policy
    text: Text


@dataclass(frozen=True)
class Deck:
    """Slides in order, and the documents of the runs they were made from, as `show --json` prints them."""

    title: str
    machine: str
    machine_name: str
    slides: tuple[Slide, ...]
    runs: tuple[Mapping[str, Any], ...] = field(repr=False)
    version: str = ""
    better: tuple[Better, ...] = ()
