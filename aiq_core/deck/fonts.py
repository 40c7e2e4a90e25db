"""The app's font as CSS that carries it along, so that a file looks the same anywhere; without it, system fonts."""

import base64
from functools import cache

from aiq_core.catalog import ASSETS

STATIC = ASSETS.parent / "static"

FACES = {
    "inter-latin.woff2": "U+0000-00FF, U+0131, U+0152-0153, U+02BB-02BC, U+02C6, U+02DA, U+02DC, U+0304, U+0308, "
    "U+0329, U+2000-206F, U+20AC, U+2122, U+2191, U+2193, U+2212, U+2215, U+FEFF, U+FFFD",
    "inter-greek.woff2": "U+0370-0377, U+037A-037F, U+0384-038A, U+038C, U+038E-03A1, U+03A3-03FF",
    "inter-symbols.woff2": "U+2070-2079, U+207B, U+2080-2089, U+2190, U+2192, U+2194-2199, U+21B5, U+2206, U+2211, "
    "U+221A, U+221E, U+2248, U+2260, U+2264-2265, U+25A0-25A1, U+25B2, U+25B6, U+25BC, U+25C6, U+25CB, U+25CF, "
    "U+2713, U+2717",
}
"""File -> the characters it holds, as in .streamlit/config.toml."""


@cache
def font_faces() -> str:
    """@font-face rules with the fonts inside; empty where the files are not installed."""
    rules = []
    for name, characters in FACES.items():
        path = STATIC / name
        if path.is_file():
            content = base64.b64encode(path.read_bytes()).decode()
            rules.append(
                "@font-face { font-family: Inter; font-weight: 100 900; font-display: block; "
                f"src: url(data:font/woff2;base64,{content}) format('woff2'); unicode-range: {characters}; }}"
            )
    return "\n".join(rules)
