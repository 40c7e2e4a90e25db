"""A deck as one HTML file that asks the network for nothing, and its data as JSON and CSV."""

import csv
import io
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from aiq_core.charts.style import DARK, LIGHT, config
from aiq_core.deck.fonts import STATIC, font_faces
from aiq_core.deck.slide import Deck, Slide
from aiq_core.deck.text import plain

FILES = Path(__file__).parent / "files"
FORMAT = "aiq-explorer deck"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FILES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["unbroken"] = unbroken
    return environment


def unbroken(text: str) -> str:
    """Text whose numbers stay with their units, and ResNet with its 20, where a line ends."""
    return re.sub(
        r"(?<=\w)-(?=\d)",
        "\N{NON-BREAKING HYPHEN}",
        re.sub(r"(?<![^\d]) (?=(?:%|×|[kMG]?B|min|s|h)(?!\w))", "\N{NO-BREAK SPACE}", text),
    )


@cache
def plotly_script() -> str:
    """The part of Plotly's JavaScript that the app's charts need."""
    return (STATIC / "plotly-cartesian.min.js").read_text(encoding="utf-8")


def page(deck: Deck, plotly: str | None = None) -> str:
    """The file. `plotly` takes the place of Plotly's script, for a page that brings it itself."""
    return _environment().get_template("deck.html.j2").render(
        deck=deck,
        light=LIGHT,
        dark=DARK,
        fonts=Markup(font_faces()),
        style=Markup((FILES / "deck.css").read_text(encoding="utf-8")),
        script=Markup((FILES / "deck.js").read_text(encoding="utf-8")),
        plotly=Markup(plotly_script() if plotly is None else plotly),
        figures=safe_json(_figures(deck)),
        data=safe_json(document(deck)),
        table=safe_json(table(deck)),
        file_name=file_name(deck),
        plain=plain,
    )  # fmt: skip


def safe_json(value: Any) -> Markup:
    """JSON that no text inside can end the script it stands in."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    for character, escape in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026"), ("\u2028", "\\u2028")):
        text = text.replace(character, escape)
    return Markup(text.replace("\u2029", "\\u2029"))


def _figures(deck: Deck) -> dict[str, Any]:
    """Slide number -> its figure in both themes."""
    return {
        str(place): {"light": slide.figure.light, "dark": slide.figure.dark, "config": config(f"slide-{place}")}
        for place, slide in enumerate(deck.slides, 1)
        if slide.figure is not None
    }


def document(deck: Deck) -> dict[str, Any]:
    """The deck's data: each slide's words and rows, and the runs as `show --json` prints them."""
    return {
        "format": FORMAT,
        "title": deck.title,
        "machine": deck.machine,
        "version": deck.version,
        "slides": [_slide(slide) for slide in deck.slides],
        "runs": list(deck.runs),
    }


def _slide(slide: Slide) -> dict[str, Any]:
    return {
        "key": slide.key,
        "about": slide.kicker,
        "title": plain(slide.title),
        "numbers": [
            {"label": number.label, "value": plain(number.value), "note": plain(number.note)}
            for number in slide.numbers
        ],
        "rows": [] if slide.figure is None else [dict(row) for row in slide.figure.rows],
        "notes": [plain(note) for note in slide.notes],
    }


def to_json(deck: Deck) -> str:
    """The deck's data as JSON text."""
    return json.dumps(document(deck), indent=2, allow_nan=False, ensure_ascii=False)


def table(deck: Deck) -> str:
    """The runs' figures as CSV, a row a run: their documents without steps and layers."""
    rows = [_flat(run) for run in deck.runs]
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _flat(document: Any, prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in document.items():
        if name in ("steps", "policy", "fixed"):
            continue
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}_")
        elif name.endswith("_interval") and value is not None:
            flat |= {f"{prefix}{name}_low": value[0], f"{prefix}{name}_high": value[1]}
        else:
            flat[prefix + name] = " ".join(map(str, value)) if isinstance(value, list) else value
    return flat


def file_name(deck: Deck) -> str:
    """What the file is called, without its ending."""
    models = "-".join(dict.fromkeys(str(run["model"]) for run in deck.runs))
    runs = str(deck.runs[0]["id"]) if len(deck.runs) == 1 else f"{len(deck.runs)}-runs"
    return f"aiq-{models}-{runs}"
