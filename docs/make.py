"""Makes docs/results.md and its charts from the stored evaluations: `make docs`. Needs playwright and Chromium."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pandas as pd
from playwright.sync_api import sync_playwright

from aiq_core.catalog import bundled
from aiq_core.charts.aggressive import aggressive_figure
from aiq_core.charts.optimism import optimism_figure
from aiq_core.charts.predicted import predicted_figure
from aiq_core.charts.study import contest, study_figure
from aiq_core.charts.style import Look
from aiq_core.claims import claims
from aiq_core.claims.evidence import Evidence
from aiq_core.deck.html import plotly_script
from aiq_core.deployment.experiment import Experiment
from aiq_core.library import BUNDLED_RESULTS, Library
from aiq_core.store import Store
from benchmarks._browser import launch
from pages.results import content

DOCS = Path(__file__).resolve().parent
MODELS = ("resnet20", "mobilenet_v2", "plain_convnet20", "heavy_early_resnet20")
WIDTH_PX = 720
LOOK = Look()
BITS = 4
STUDY = (
    "All weights at one width, activations at FP32, by every method, grid and granularity; "
    "`benchmarks/rounding.py` measures SQNR and seconds. Bias: it takes the mean error, as in GPTQ."
)
DRAW = """async figure => {
    const box = document.body.appendChild(document.createElement('div'));
    await Plotly.newPlot(box, figure.data, figure.layout);
    return await Plotly.toImage(box, {format: 'svg', width: figure.layout.width, height: figure.layout.height});
}"""


def main() -> None:
    """Writes the page, then its charts."""
    # The bundled results alone: what anyone sees in a fresh clone.
    library = Library(None, Store(BUNDLED_RESULTS, immutable=True))
    known, evidence = claims(library), Evidence(library)
    parts = [
        "# Results",
        f"**{content.headline(known)}.** {content.CHECKED}.",
        "Recomputed from the evaluations in `assets/runs/results.sqlite` by `make docs`; `python -m aiq_core claims` "
        "and the Results page say the same. Accuracies are top-1 on every image of the split, intervals are at 95 %.",
        "## The paper's claims",
        "[arXiv 2512.14090](https://arxiv.org/abs/2512.14090), on our networks and images.",
        markdown(content.table(known, paper=True)),
        "## Ours",
        markdown(content.table(known, paper=False)),
    ]
    figures: dict[str, dict[str, Any]] = {}
    for model in MODELS:
        if (found := evidence.experiment(model)) is not None:
            parts.append(experiment(found, library, figures))
    parts.append("## Search images against report images")
    for model in MODELS:
        if (judged := content.optimism(evidence, model)) is not None and judged.points:
            name = f"optimism-{model}"
            figures[name] = optimism_figure(judged, LOOK)
            parts.append(image(name, f"Points lost on report against search images, {bundled().model(model).title}"))
            parts.append(f"{bundled().model(model).title}. {content.optimism_caption(judged)}")
    parts.append("## Larger layers, fewer bits?")
    for model in MODELS:
        if (widths := content.widths(evidence, model)).rows:
            name = f"widths-{model}"
            figures[name] = aggressive_figure(widths, LOOK)
            parts.append(
                image(name, f"Bits of each layer by weight count in every search, {bundled().model(model).title}")
            )
            parts.append(f"{bundled().model(model).title}, a row a search. {content.widths_caption(widths)}")
    parts += ["## How to round", STUDY]
    for model in MODELS:
        if trials := content.study(evidence, model):
            title, name = bundled().model(model).title, f"rounding-{model}"
            if contest(trials, BITS) is not None:
                figures[name] = study_figure(trials, BITS, LOOK, (WIDTH_PX,))
                parts.append(image(name, f"Weight error and points lost with all weights at {BITS} bits, {title}"))
            parts += [f"{title}. {content.study_caption(trials)}", markdown(content.study_table(trials))]
    parts += ["## What a search costs", content.search_cost() or "Not measured yet: `make bench`."]
    draw(figures)
    (DOCS / "results.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    print(f"{DOCS / 'results.md'}: {len(known)} claims, {len(figures)} charts")


def experiment(found: Experiment, library: Library, figures: dict[str, dict[str, Any]]) -> str:
    """The throughput experiment of a model as tables, and how it was predicted as a chart, which `figures` takes."""
    title, model = found.model.title, found.model.name
    told = f"{content.experiment_caption(found)} Ratios are to FP32 in the same engine; FP32 itself has images/s."
    parts = [f"## In real runtimes: {title}", f"{told} [How](deployment.md) it is deployed and predicted."]
    parts.append(markdown(content.experiment_table(found, content.OWN)))
    predicted = content.predicted(library, found)
    if predicted is not None:
        figures[f"predicted-{model}"] = predicted_figure(predicted, LOOK)
        parts.append(image(f"predicted-{model}", f"Predicted against measured seconds a batch, {title}"))
        parts.append(content.predicted_caption(found, predicted))
    return "\n\n".join(parts)


def image(name: str, alt: str) -> str:
    """A chart's place in the page."""
    return f"![{alt}](images/{name}.svg)"


def markdown(table: pd.DataFrame) -> str:
    """A Markdown table of text."""
    rows: Sequence[Sequence[str]] = [list(table.columns), ["---"] * len(table.columns), *table.to_numpy().tolist()]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)


def draw(figures: dict[str, dict[str, Any]]) -> None:
    """Writes each figure as docs/images/NAME.svg, drawn by Plotly in Chromium as on the page."""
    folder = DOCS / "images"
    folder.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = launch(playwright)
        page = browser.new_page()
        page.add_script_tag(content=plotly_script())
        for name, figure in figures.items():
            layout = figure["layout"] | {"width": WIDTH_PX, "paper_bgcolor": LOOK.palette.background}
            address = page.evaluate(DRAW, {"data": figure["data"], "layout": layout})
            (folder / f"{name}.svg").write_text(steady(unquote(address.partition(",")[2])) + "\n", encoding="utf-8")
        browser.close()


def steady(svg: str) -> str:
    """The same text for the same figure: Plotly names clips and traces by random numbers."""
    found = re.search(r'id="(?:defs|topdefs)-([0-9a-f]+)"', svg)
    svg = svg if found is None else svg.replace(found[1], "figure")
    for place, name in enumerate(dict.fromkeys(re.findall(r"\btrace([0-9a-f]{6})\b", svg))):
        svg = svg.replace(f"trace{name}", f"trace-{place}")
    return svg


if __name__ == "__main__":
    sys.exit(main())
