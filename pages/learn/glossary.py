"""The words of the lessons, each in a line."""

from collections.abc import Iterable
from functools import partial

import streamlit as st

from aiq_core.objective import FLOOR_POINTS, NORMALISER_FACTOR
from aiq_core.records import DEFAULT_ACCURACY_NORMALISER
from pages.common import popovers

TERMS = {
    "FLOP": "one floating-point add or multiply; counts work.",
    "FLOP/s": "operations per second; a speed.",
    "MAC": "one multiply plus one add: two FLOPs.",
    "Arithmetic intensity (AI)": "FLOPs done per byte moved.",
    "Kernel": "here: a program that computes one layer, or any other piece of work on the machine.",
    "FP32, TF32": "32-bit floating-point numbers; TF32 is what an A100 rounds them to inside its matrix units.",
    "DRAM": "the machine's large memory, outside of the chip that computes.",
    "Unfused": "each layer reads its input from DRAM and writes its output there; fused ones would pass it on.",
    "Ridge": "the intensity where both roofs meet: peak divided by bandwidth.",
    "Memory-bound": "moving bytes takes longer than computing.",
    "Compute-bound": "computing takes longer than moving bytes.",
    "Bandwidth": "bytes that memory delivers per second.",
    "Integer arithmetic": "INT8 multiply-adds: more a second than FP32 ones, where the CPU has them and both factors "
    "are integers.",
    "Depthwise": "a convolution that reads one channel for each that it writes: few FLOPs for each byte.",
    "Batch": "images that are run through the network together.",
    "Activations": "what layers read and write: the image on its way through the network.",
    "Quantization": "storing numbers as small integers times a scale.",
    "Scale": "the distance between neighbouring levels.",
    "Clipping": "moving weights beyond the range to its end.",
    "SQNR": "signal to quantization noise ratio: 6 dB more is half the error.",
    "PTQ": "post-training quantization: quantizing a trained model without training it again.",
    "QAT": "quantization-aware training: training with rounding inside, so that weights adapt.",
    "Bit-width": "bits per stored number; 4 bits give 15 symmetric levels.",
    "Policy": "a bit-width for each layer's weights and activations.",
    "Loss": "what a search makes small: accuracy lost, minus intensity, weighed by alpha.",
    "Accuracy floor": f"what no search goes below: {FLOOR_POINTS:g} points under FP32, unless set otherwise.",
    "Normalisers": f"what intensity and points lost are divided by before alpha weighs them: {NORMALISER_FACTOR} × the "
    f"intensity with every layer at its fewest bits, and {DEFAULT_ACCURACY_NORMALISER:g} points.",
    "Greedy": "take the best single move of all, freeze that layer, repeat.",
    "Coordinate descent": "go layer by layer, give each its best width, FP32 too; sweep again until nothing changes.",
    "Sweep": "one round of coordinate descent over all layers; or runs at many alphas.",
    "Alpha": "intensity's weight in the loss; it sets accuracy's price.",
    "Pareto front": "the policies that no other beats: at least as good on accuracy and intensity, and better on one.",
    "Convex hull": "the Pareto points that a straight line can touch from outside.",
    "Envelope": "the lowest known loss at every alpha.",
    "Search and report images": "a search chooses on the first, held out of training; the second, which it never saw, "
    "judge what it chose.",
    "Batch norm folded in": "its scale and shift are multiplied into the weights before them, as one does to run it.",
    "The paper": "Iyer, Rajan, Singh: Arithmetic-Intensity-Aware Quantization, arXiv 2512.14090.",
    "Confidence interval": "the true values that the counted images leave plausible.",
}

MISCONCEPTIONS = (
    ("FLOPs are speed.", "A model has FLOPs; a machine has FLOP/s."),
    ("Memory-bound describes a model.", "It describes model, batch and machine together."),
    (
        "Half the bits, twice the speed.",
        "Only bytes that moved, on a path that waited for them, come back as time.",
    ),
    (
        "Big, first or last layers are the fragile ones.",
        "Size tells the gain; only measuring tells the cost.",
    ),
    (
        "Sweeping alpha shows every good trade-off.",
        "Prices find the hull; budgets find what lies behind it.",
    ),
)


def explain(terms: Iterable[str]) -> str:
    """A tooltip: each term in a line."""
    return "\n\n".join(f"**{term}**: {TERMS[term]}" for term in terms)


def popover(first: Iterable[str]) -> None:
    """All words, those of the lesson first."""
    popovers.popover("Words", "dictionary", partial(_words, tuple(first)))


def _words(first: tuple[str, ...]) -> None:
    for term in first:
        st.markdown(f"**{term}**: {TERMS[term]}")
    with st.expander("All words and five misconceptions"):
        for term, meaning in TERMS.items():
            if term not in first:
                st.markdown(f"**{term}**: {meaning}")
        st.markdown("##### Five misconceptions")
        for wrong, right in MISCONCEPTIONS:
            st.markdown(f"*{wrong}* {right}")
