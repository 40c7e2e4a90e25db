"""Chromium as tests, benchmarks and pictures start it, and when a page of the app is drawn."""

import shutil

from playwright.sync_api import Browser, Playwright

NAMES = ("/usr/bin/chromium", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DRAWN = """() => !document.querySelector('[data-testid="stStatusWidget"], [data-testid="stSkeleton"]') &&
    [...document.querySelectorAll('.aiq-chart')].every(c => c.querySelector('.main-svg'))"""
"""Whether the script has run and every chart on the page is drawn."""


def launch(playwright: Playwright) -> Browser:
    """The system's Chromium, else the one that `playwright install chromium` fetched."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    return playwright.chromium.launch(executable_path=found, args=FLAGS)
