"""What benchmarks share: the machine's description, multiply-accumulates counted as they run, tables, a page."""

import os
import platform
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from aiq_core import __version__
from aiq_core.runtime.cpu import cpu_kind
from aiq_core.runtime.folded_layer import FoldedLayer

COSTS = Path(__file__).resolve().parent.parent / "docs" / "search_cost.md"
"""The page of what searches cost."""


def machine(threads: int) -> str:
    """Processor, threads, what else it is doing, and versions, in one line."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg()[:2])
    parts = (
        f"{cpu_kind()}, {os.cpu_count()} logical cores, {threads} torch thread{'s' if threads != 1 else ''}",
        f"load {load} at the start",
        f"Python {platform.python_version()}, torch {torch.__version__}, numpy {np.__version__}",
        f"AIQ Explorer {__version__}",
    )
    return "; ".join(parts)


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """A Markdown table; the first `left` columns are aligned left, the rest right."""
    rule = ["---" if place < left else "---:" for place in range(len(header))]
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, rule, *rows))


@dataclass
class LayerCost:
    """What one layer did: multiply-accumulates, images and seconds."""

    kind: str
    macs: int = 0
    images: int = 0
    seconds: float = 0.0


@dataclass
class Meter:
    """Counts every convolution and linear layer of the modules it watches, while they run."""

    layers: dict[nn.Module, LayerCost] = field(default_factory=dict)
    _started: float = 0.0

    @property
    def macs(self) -> int:
        return sum(cost.macs for cost in self.layers.values())

    @property
    def image_layers(self) -> int:
        return sum(cost.images for cost in self.layers.values())

    def watch(self, modules: Iterable[nn.Module]) -> "Meter":
        """Starts counting layers inside the given modules."""
        for module in (inner for outer in modules for inner in outer.modules()):
            if isinstance(module, nn.Conv2d | nn.Linear | FoldedLayer) and module not in self.layers:
                self.layers[module] = LayerCost(layer_kind(module))
                module.register_forward_pre_hook(self._before)
                module.register_forward_hook(self._after)
        return self

    def forget(self) -> None:
        """Starts every count anew."""
        self.layers = {module: LayerCost(cost.kind) for module, cost in self.layers.items()}

    def _before(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._started = time.perf_counter()

    def _after(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        cost = self.layers[module]
        cost.seconds += time.perf_counter() - self._started
        cost.images += len(output)
        # Every output element is one sum over the weights of its channel.
        cost.macs += output.numel() * module.weight[0].numel()  # type: ignore[union-attr, operator, index]


def layer_kind(module: nn.Conv2d | nn.Linear | FoldedLayer) -> str:
    """What a layer is, as tables name it, by its weights' shape."""
    shape = module.weight.shape
    if len(shape) == 2:
        return "linear"
    # Of one input channel, as of digits, a convolution looks depthwise; those that are timed have three.
    if shape[1] == 1 and shape[0] > 1:
        return "depthwise convolution"
    return f"{shape[2]} × {shape[2]} convolution"


def write_section(title: str, lines: Sequence[str]) -> None:
    """Puts a section into the page of what searches cost, in the place of an earlier one: by images, then others."""
    command = f"python -m benchmarks.{Path(sys.argv[0]).stem} {' '.join(sys.argv[1:])}".strip()
    mark = "\n## "
    text = COSTS.read_text(encoding="utf-8") if COSTS.exists() else ""
    sections = dict(part.split("\n", 1) for part in text.split(mark)[1:])
    sections[title] = "\n" + "\n\n".join([*lines, f"Made by `{command}`."]) + "\n"

    def order(name: str) -> tuple[bool, int]:
        first = name.split()[0].replace(",", "")
        return not first.isdigit(), int(first) if first.isdigit() else 0

    ordered = (f"{mark}{name}\n{sections[name]}" for name in sorted(sections, key=order))
    COSTS.write_text("# What a search costs\n" + "".join(ordered), "utf-8")
