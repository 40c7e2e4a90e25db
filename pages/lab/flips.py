"""The images that a policy turns: lost and gained apart, each with both predictions and its class."""

import base64
import html
import io
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray
from PIL import Image

from aiq_core.catalog import Split
from aiq_core.records import SplitName
from aiq_core.wording import join
from pages.common.charts import card
from pages.common.controls import View
from pages.lab.accuracy import Measured

SPLIT = "lab-split"
UNMEASURED = "Not measured yet: which images these bits turn is known once their accuracy is."
INCOMPARABLE = "Neither the policy before nor FP32 is measured on these images, so there is nothing to compare."
TILE_PX, HEIGHT_PX = 58, 244
MOST_TILES = 60
"""How many images of each kind are drawn; the CSV has them all."""


@dataclass(frozen=True, eq=False)
class Flips:
    """Places in the split, in its order, of images that only the policy before has right (lost), or only this one
    (gained); `moved` counts those that are wrong both times, as another class. The first `shown` can be shown.
    """

    lost: NDArray[np.intp]
    gained: NDArray[np.intp]
    moved: int
    shown: int


def flips(found: Measured, labels: NDArray[np.uint8], shown: int) -> Flips:
    """Raises ValueError where there is nothing to compare with."""
    if found.before is None:
        raise ValueError("the policy before is not measured")
    on = found.on
    labels, after, before = (array[on.span] for array in (labels, found.after, found.before))
    right, was_right = after == labels, before == labels
    return Flips(
        lost=on.start + np.flatnonzero(was_right & ~right),
        gained=on.start + np.flatnonzero(right & ~was_right),
        moved=int(np.count_nonzero(~right & ~was_right & (before != after))),
        shown=shown,
    )


def flips_frame(found: Measured, turned: Flips, labels: NDArray[np.uint8], names: tuple[str, ...]) -> pd.DataFrame:
    """A row an image."""
    assert found.before is not None
    rows = [
        {
            "split": str(found.split),
            "image": int(place),
            "kind": kind,
            "class": names[labels[place]],
            "before": names[found.before[place]],
            "after": names[found.after[place]],
        }
        for kind, places in (("lost", turned.lost), ("gained", turned.gained))
        for place in places
    ]
    return pd.DataFrame(rows, columns=["split", "image", "kind", "class", "before", "after"])


def confusions(found: Measured, places: NDArray[np.intp], names: tuple[str, ...], most: int = 2) -> str:
    """The commonest changes: `cat → dog (5), deer → horse (3)`."""
    assert found.before is not None
    counts = Counter((int(found.before[i]), int(found.after[i])) for i in places)
    return ", ".join(f"{names[a]} → {names[b]} ({n})" for (a, b), n in counts.most_common(most) if n > 1)


def draw(view: View, found: dict[SplitName, Measured | None], extra: Callable[[], None]) -> None:
    """The flipped images of a split, or why there are none to show."""
    known = {split: found[split] for split in (SplitName.REPORT, SplitName.SEARCH) if found[split] is not None}
    if known and st.session_state.get(SPLIT) not in known:
        st.session_state[SPLIT] = next(iter(known))
    measured = known[st.session_state[SPLIT]] if known else None
    if measured is None or measured.before is None:
        with card("Flipped images", "", extra=extra):
            _empty(UNMEASURED if measured is None else INCOMPARABLE)
        return
    dataset = view.model.dataset
    labels, names = dataset.split(measured.split).labels, dataset.class_names
    turned = flips(measured, labels, len(pictures(dataset.split(measured.split))))
    frame = flips_frame(measured, turned, labels, names)
    name = f"{view.model}-{measured.split}-flips"
    title = f"{len(turned.lost):,} lost, {len(turned.gained):,} gained"
    with card("Flipped images", title, lambda: frame, name, extra):
        with st.container(height=round(HEIGHT_PX * view.look.scale), border=False, key="lab-flips"):
            st.html(page(view, measured, turned, labels, names))
        _below(list(known), measured, turned)


def _empty(text: str) -> None:
    with st.container(height=HEIGHT_PX + 48, border=False, vertical_alignment="center", horizontal_alignment="center"):
        st.markdown(f":material/image_search: :gray[{text}]", text_alignment="center")


def _below(splits: list[SplitName], found: Measured, turned: Flips) -> None:
    hidden = int((turned.lost >= turned.shown).sum() + (turned.gained >= turned.shown).sum())
    said = [f"against {'FP32' if found.against_fp32 else 'before'}, {found.images:,} {found.judges}"]
    if found.cells is not None and found.cells.lost + found.cells.gained:
        said.append(f"McNemar p {found.cells.p:.2g}")
    missing = ""
    if hidden:
        said.append(f"{hidden:,} not here")
        missing = (
            f"Only the {turned.shown:,} images that ship with the app can be shown; `python -m aiq_core data` fetches "
            "the rest. The CSV lists every image that turned."
        )
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if len(splits) > 1:
            st.segmented_control(
                "Images", splits, key=SPLIT, format_func=str, required=True, label_visibility="collapsed"
            )
        st.caption(join(said), width="content", help=missing or None)


def pictures(split: Split) -> NDArray[np.uint8]:
    """The images of a split that are here: all where they were fetched, else those that ship with the app."""
    return split.images(split.size if split.is_here else split.shipped)


def page(view: View, found: Measured, turned: Flips, labels: NDArray[np.uint8], names: tuple[str, ...]) -> str:
    """Both groups as HTML: a title with the count and a grid of images that wraps."""
    images = pictures(view.model.dataset.split(found.split))
    palette, size = view.look.palette, view.look.font_px
    style = f"font:{size:g}px Inter,sans-serif;color:{palette.text}"
    parts = []
    for glyph, what, places in (
        ("✕", "lost: right before, wrong now", turned.lost),
        ("✓", "gained: wrong before, right now", turned.gained),
    ):
        shown = places[places < turned.shown][:MOST_TILES]
        common = confusions(found, places, names)
        left = f", {len(shown)} shown" if len(shown) < len(places) else ""
        parts.append(
            f"<div style='margin:2px 0 4px'><b>{glyph} {len(places):,} {what}</b>{left}"
            f"<span style='color:{palette.muted}'>{html.escape(f'; commonest {common}' if common else '')}</span></div>"
        )
        tiles = "".join(tile(view, images[i], found, int(i), labels, names) for i in shown)
        parts.append(f"<div style='display:flex;flex-wrap:wrap;gap:8px 6px;margin-bottom:8px'>{tiles}</div>")
    if turned.moved:
        parts.append(
            f"<div style='color:{palette.muted}'>{turned.moved:,} more are wrong both times, as another class.</div>"
        )
    if not len(turned.lost) + len(turned.gained):
        parts = [f"<div>No image turned from right to wrong or back.</div>{parts[-1] if turned.moved else ''}"]
    return f"<div style='{style}'>{''.join(parts)}</div>"


def tile(
    view: View, image: NDArray[np.uint8], found: Measured, place: int, labels: NDArray[np.uint8], names: tuple[str, ...]
) -> str:
    """An image with its class and both predictions."""
    assert found.before is not None
    look = view.look
    true, before, after = (names[classes[place]] for classes in (labels, found.before, found.after))
    pixels, small = round(TILE_PX * look.scale), look.font_px * 0.86
    text = html.escape(f"image {place} of {found.split}, a {true}: before {before}, now {after}", quote=True)
    marks = [f"{html.escape(name)}{' ✓' if name == true else ''}" for name in (before, after)]
    return (
        f"<div style='width:{round(pixels * 1.35)}px;line-height:1.25;text-align:center;font-size:{small:g}px' "
        f"title='{text}'>"
        f"<img src='{_png(image)}' alt='{text}' width='{pixels}' height='{pixels}' "
        f"style='image-rendering:pixelated;border-radius:3px;display:block;margin:0 auto 2px'>"
        f"{marks[0]}<br>→ {marks[1]}"
        + (
            f"<br><span style='color:{look.palette.muted}'>is {html.escape(true)}</span>"
            if true not in (before, after)
            else ""
        )
        + "</div>"
    )


def _png(image: NDArray[np.uint8]) -> str:
    """The image as it is, as a data address; the browser enlarges it."""
    pixels = image[..., 0] if image.shape[-1] == 1 else image
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
