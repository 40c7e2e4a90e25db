"""Text that remembers where its numbers come from: every figure on a slide names its field of a run's document."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiq_core.wording import number


@dataclass(frozen=True, slots=True)
class Shown:
    """A figure as it is displayed, and the field of a run's document (`a.b.0`) that it displays."""

    text: str
    run: str
    field: str


Text = tuple[str | Shown, ...]
"""Words and figures in reading order."""


def say(*parts: "str | Shown | Text") -> Text:
    """One text of words, figures and texts."""
    said: list[str | Shown] = []
    for part in parts:
        if isinstance(part, tuple):
            said.extend(part)
        elif part != "":
            said.append(part)
    return tuple(said)


def plain(text: Text) -> str:
    """The text alone."""
    return "".join(part if isinstance(part, str) else part.text for part in text)


def look_up(document: Mapping[str, Any], field: str) -> Any:
    """What a document holds at `a.b.0`."""
    value: Any = document
    for part in field.split("."):
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value


def shown(document: Mapping[str, Any], field: str, form: Callable[[Any], str]) -> Shown:
    """A field of a run's document as `form` writes it."""
    return Shown(form(look_up(document, field)), str(document["id"]), field)


def digits(count: int) -> Callable[[float], str]:
    """Writes a number with this many digits after the point."""
    return lambda value: number(value, count)


def size_of(value: float) -> str:
    """A number without a sign, with a digit more where it is small: 51, 5.2, 0."""
    return number(abs(value), 0 if abs(value) >= 9.5 or value == 0 else 1)


def points(value: float) -> str:
    """Points of accuracy without a sign, short, with a digit more where it is small: 0.7, 0.04."""
    return number(abs(value), 1 if abs(value) >= 0.095 else 2)


def point_word(value: float) -> str:
    """`point` or `points`, as `points` writes the value."""
    return "point" if points(value) == "1.0" else "points"
