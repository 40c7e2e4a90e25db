"""How many images a forward takes."""

from aiq_core.records import ModelProfile

CHUNK = 125
"""Images a forward: the fewest from which predictions do not depend on it (tested), so that a loser stops soonest."""

CHUNK_NUMBERS = 2**24
"""At most so many numbers that a layer reads and writes at once: large images need no more memory than small ones."""


def chunk_of(profile: ModelProfile, most: int = CHUNK) -> int:
    """Images a forward of a network: `most`, or as few as keep to `CHUNK_NUMBERS`."""
    largest = max((layer.input_elements + layer.output_elements for layer in profile.layers), default=1)
    return max(1, min(most, CHUNK_NUMBERS // largest))
