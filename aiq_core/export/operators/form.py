"""What writes one operation: it adds its nodes to a file, and names what they give."""

from collections.abc import Callable

from aiq_core.export.onnx_writer import Writer
from aiq_core.graph import Operation

Form = Callable[[Writer, int, Operation], str]
"""(file, place in the graph, operation) -> the name of its result."""

INPUT, OUTPUT = "image", "logits"
"""What a file reads and gives."""


def name_of(place: int, operation: Operation) -> str:
    """What an operation without tensors of its own is called."""
    return f"{operation.operator}_{place}"
