"""Measures what each width of each site costs by itself on the calibration images; no labels are read."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from aiq_core.activations import PIXEL_BITS, Calibration, coarser_pixels
from aiq_core.catalog import Model
from aiq_core.catalog.dataset import CALIBRATION
from aiq_core.errors import EvaluationError
from aiq_core.frontier.sensitivity import Measure, Sensitivity, file_of, key_of, known
from aiq_core.records import FP32_BITS, ImageSet, Move, Policy, Quantizer, SiteKind, SplitName
from aiq_core.runtime.calibrate import calibration
from aiq_core.runtime.chunk import chunk_of
from aiq_core.runtime.data import to_input
from aiq_core.runtime.evaluate import TorchEvaluator, coarsen
from aiq_core.runtime.files import write_whole
from aiq_core.runtime.folded import network_of
from aiq_core.runtime.rounded import RoundedLayers

CHUNK = 64
"""Images a backward pass: every tensor of a chunk is held."""

DRAWS = 4
"""Labels drawn an image: with one, what Fisher's costs are chosen by is largely the draw."""

SEED = 0

Report = Callable[[int, int], None]
"""(widths measured, of how many): called between forwards, and may raise to stop."""


Written = tuple[str, int]
"""A layer and which of its calls, or no layer and an operation of the graph."""


class Forwards(Protocol):
    """What gives the logits of policies: here, or on other machines."""

    def expect_logits(self, policies: Sequence[Policy], base: Policy) -> None:
        """Hears which will be asked for, in that order."""

    def logits(self, policy: Policy, base: Policy) -> NDArray[np.float32]:
        """What a policy gives for every image in order, float32[images, classes]."""


MakeForwards = Callable[[Model, ImageSet, Quantizer], Forwards]


def sensitivity(
    model: Model,
    settings: Quantizer,
    widths: tuple[int, ...],
    activation_widths: tuple[int, ...],
    measure: Measure = Measure.KL,
    shipped: bool = True,
    report: Report = lambda done, of: None,
    forwards: MakeForwards = TorchEvaluator,
) -> Sensitivity:
    """A model's sensitivities at these widths: shipped, from the cache, or measured now and kept.

    `forwards` makes what runs the network; Fisher's backward passes run here whatever it is.
    Raises EvaluationError where logits are NaN or infinite.
    """
    profile = model.profile
    wanted = [
        Move(site, bits)
        for site in profile.sites
        for bits in (widths if site.kind is SiteKind.WEIGHTS else activation_widths)
        if bits != FP32_BITS
    ]
    found = known(model, settings, measure, shipped)
    held = dict(found.costs) if found else {}
    missing = [move for move in wanted if move not in held]
    if missing:
        held |= _MEASURES[measure](model, settings, missing, report, forwards)
        size = model.dataset.split(CALIBRATION).size
        found = Sensitivity(key_of(model, settings, measure), measure, size, held)
        write_sensitivity(found, file_of(found.key))
    assert found is not None  # nothing was missing
    return found


def write_sensitivity(made: Sensitivity, path: Path) -> None:
    """Write sensitivities as JSON."""
    write_whole(path, (json.dumps(made.to_json(), indent=1) + "\n").encode())


def _by_forwards(
    distance: Callable[[Tensor, Tensor], Tensor],
) -> Callable[[Model, Quantizer, list[Move], Report, MakeForwards], dict[Move, float]]:
    """Every width by itself in the network: `distance`(FP32's logits, its logits) is a mean over images."""

    def costs(
        model: Model, settings: Quantizer, moves: list[Move], report: Report, forwards: MakeForwards
    ) -> dict[Move, float]:
        # To an evaluator it is a split as others are; no evaluation of it is kept.
        images = ImageSet(cast(SplitName, CALIBRATION), model.dataset.split(CALIBRATION).size)
        evaluator = forwards(model, images, settings)
        fp32 = model.profile.uniform(FP32_BITS)
        policies = [model.profile.moved(fp32, move) for move in moves]
        evaluator.expect_logits([fp32, *policies], fp32)
        right = torch.from_numpy(evaluator.logits(fp32, fp32))
        found = {}
        for done, (move, policy) in enumerate(zip(moves, policies, strict=True)):
            report(done, len(moves))
            found[move] = float(distance(right, torch.from_numpy(evaluator.logits(policy, fp32))))
        return found

    return costs


def divergence(right: Tensor, logits: Tensor) -> Tensor:
    """The Kullback-Leibler divergence of predictions from FP32's in nats, a mean over images."""
    p, q = (torch.log_softmax(each.double(), -1) for each in (right, logits))
    return (p.exp() * (p - q)).sum(-1).mean()


def squared_error(right: Tensor, logits: Tensor) -> Tensor:
    """Half the squared distance of logits, a mean over images."""
    return (right.double() - logits.double()).square().sum(-1).mean() / 2


def fisher(
    model: Model, settings: Quantizer, moves: list[Move], report: Report, forwards: MakeForwards
) -> dict[Move, float]:
    """Half the mean squared derivative of the log-likelihood along what rounding changes."""
    watched = _Watched(model, settings, moves)
    split = model.dataset.split(CALIBRATION)
    split.images(split.size)  # which checks them
    chunk, generator = chunk_of(model.profile, CHUNK), torch.Generator().manual_seed(SEED)
    sums: dict[Move, float] = defaultdict(float)
    for start in range(0, split.size, chunk):
        report(start * len(moves) // split.size, len(moves))
        for found in watched.derivatives(split.read(start, start + chunk), generator):
            for move, along in found.items():
                sums[move] += float(along.double().square().sum()) / (2 * DRAWS * split.size)
    return dict(sums)


class _Watched:
    """A folded FP32 network whose layers' outputs and stored tensors are watched on the way forward and back."""

    def __init__(self, model: Model, settings: Quantizer, moves: list[Move]) -> None:
        self.model, self.profile, self.moves = model, model.profile, moves
        self.network = network_of(model)
        if self.network.is_whole:
            raise EvaluationError(
                f"what {model} calls depends on the image, so it has no derivatives here; measure by kl"
            )
        groups = any(move.site.kind is SiteKind.ACTIVATIONS for move in moves)
        self._ranges: Calibration | None = None
        if groups and settings.activations is not None:
            self._ranges = calibration(model, settings.activations)
        rounded = RoundedLayers(model, settings)
        self._changes: dict[Move, tuple[Tensor, Tensor]] = {}
        for move in moves:
            if move.site.kind is SiteKind.WEIGHTS:
                layer, to = self.network.layers[move.site.name], rounded(move.site.name, move.bits)
                weight, bias = torch.from_numpy(to.weight), torch.from_numpy(np.array(to.bias))
                self._changes[move] = weight - layer.weight.data, bias - layer.bias.data
        self._image = next(i for i, operation in enumerate(self.profile.graph) if operation.operator == "image")

    def derivatives(self, pixels: np.ndarray, generator: torch.Generator) -> Iterator[dict[Move, Tensor]]:
        """For each draw, move -> derivative of the log-likelihood along its change, [images]."""
        card = self.model.card
        x = to_input(pixels, card.mean, card.std).contiguous(memory_format=torch.channels_last).requires_grad_()
        read: dict[Written, tuple[Any, ...]] = {}
        written: dict[Written, Tensor] = {}
        stored: dict[int, tuple[Tensor, Tensor]] = {}

        def take(name: str) -> Callable[[nn.Module, tuple[Any, ...], Tensor], None]:
            def hook(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
                key = name, sum(other == name for other, _ in read)
                # A copy: what follows may write into either.
                read[key] = inputs[0].detach().clone(), *inputs[1:]
                output.retain_grad()
                written[key] = output

            return hook

        def store(place: int, tensor: Tensor) -> Tensor:
            tensor.retain_grad()
            stored[place] = tensor, tensor.detach().clone()
            return tensor.clone()

        names = {move.site.name for move in self._changes}
        hooks = [self.network.layers[name].register_forward_hook(take(name)) for name in names]
        y: Tensor = x
        for part in range(len(self.network.parts)):
            y = self.network.run(part, y, store)
        for hook in hooks:
            hook.remove()
        if not torch.isfinite(y).all():
            raise EvaluationError(f"{self.model} gives NaN or infinite logits; use a network that stays finite")
        chances = torch.softmax(y.detach(), -1)
        deltas = {move: self._delta(move, read, stored, pixels, x) for move in self.moves}
        for draw in range(DRAWS):
            labels = torch.multinomial(chances, 1, generator=generator)[:, 0]
            for tensor in (*written.values(), *(tensor for tensor, _ in stored.values())):
                tensor.grad = None
            loss = functional.cross_entropy(y, labels, reduction="sum")
            loss.backward(retain_graph=draw < DRAWS - 1)  # type: ignore[no-untyped-call]
            sources = written | {("", place): tensor for place, (tensor, _) in stored.items()}
            yield {
                move: torch.stack([(_gradient(sources[key]) * delta).flatten(1).sum(1) for key, delta in changes]).sum(
                    0
                )
                for move, changes in deltas.items()
            }

    @torch.no_grad()
    def _delta(
        self,
        move: Move,
        read: dict[Written, tuple[Any, ...]],
        stored: dict[int, tuple[Tensor, Tensor]],
        pixels: np.ndarray,
        x: Tensor,
    ) -> list[tuple[Written, Tensor]]:
        """What a move changes: each call of a layer, or each operation, and the change of what it writes."""
        if move.site.kind is SiteKind.WEIGHTS:
            name, (weight, bias) = move.site.name, self._changes[move]
            layer = self.network.layers[name]
            held = layer.weight.data, layer.bias.data
            layer.weight.data, layer.bias.data = weight, bias
            changed = [(key, layer(*inputs)) for key, inputs in read.items() if key[0] == name]
            layer.weight.data, layer.bias.data = held
            return changed
        return [
            (("", place), self._rounded(place, move.bits, value, pixels, x) - value)
            for place, (_, value) in stored.items()
            if self.profile.stored_tensors[place] == move.site.name
        ]

    def _rounded(self, place: int, bits: int, value: Tensor, pixels: np.ndarray, x: Tensor) -> Tensor:
        if place == self._image:
            if bits >= PIXEL_BITS:
                return value
            return to_input(coarser_pixels(pixels, bits), self.model.card.mean, self.model.card.std)
        assert self._ranges is not None  # there are groups among the moves
        return coarsen(self._ranges.tensors[place], bits, value.clone())


def _gradient(tensor: Tensor) -> Tensor:
    return torch.zeros_like(tensor) if tensor.grad is None else tensor.grad


_MEASURES: dict[Measure, Callable[[Model, Quantizer, list[Move], Report, MakeForwards], dict[Move, float]]] = {
    Measure.FISHER: fisher,
    Measure.KL: _by_forwards(divergence),
    Measure.LOGIT: _by_forwards(squared_error),
}
