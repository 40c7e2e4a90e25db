"""Slides made from runs: titles computed from the numbers, figures, tables, and one self-contained HTML file."""
