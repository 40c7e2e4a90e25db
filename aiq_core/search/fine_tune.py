"""A policy trained on at its widths: no search chose it, and no rounding alone made it."""

from aiq_core.search.strategy import Strategy

FINE_TUNE = Strategy("fine_tune", "Fine-tuned", "fine-tuned", "trained on at these widths")
