"""Arithmetic-Intensity-Aware Quantization: per-layer bit-widths that raise FLOPs per byte while accuracy holds.

Start at `aiq_core.records` for the nouns, `aiq_core.library` to read runs, and `python -m aiq_core --help`
for the command line. Method: Iyer, Rajan, Singh, arXiv 2512.14090.
"""

__version__ = "0.1.0"
