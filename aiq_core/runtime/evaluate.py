"""The reference evaluator: folded, rounded, chunk by chunk, likely mistakes first, shared prefixes run once.

Activations are rounded where the traffic model writes them, each tensor on its own static scale at its group's width.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate

import joblib
import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aiq_core.activations import PIXEL_BITS, Calibration, TensorRange, coarser_pixels, levels
from aiq_core.catalog import Model
from aiq_core.errors import SettingError
from aiq_core.records import FP32_BITS, ImageSet, Origin, Outcomes, Policy, Quantizer, is_done
from aiq_core.runtime.calibrate import calibration
from aiq_core.runtime.chunk import CHUNK, chunk_of
from aiq_core.runtime.chunked import Chunked, Layers
from aiq_core.runtime.data import Pixels, to_input
from aiq_core.runtime.device import compute_exactly, device_of, processor_of
from aiq_core.runtime.folded import network_of
from aiq_core.runtime.memory import keep_freed_memory
from aiq_core.runtime.prefixes import Key, PrefixCache

MOST_INPUT_BYTES = 2**27
"""Of normalised images that are held, CIFAR-10's among them; beyond, they are made again each time."""

MOST_CACHE_BYTES, LARGE_CACHE_BYTES = 3 * 2**30, 2**28
"""Of shared activations: a run has up to four evaluators, and those of large images leave room for each other."""

MOST_ROUNDED_BYTES = 2**27
"""Of rounded weights that are held beside their integers: those of every width of the bundled networks, for one."""

HERE = device_of(None)

THREADS = min(torch.get_num_threads(), joblib.cpu_count())
"""Threads unless told otherwise: no more than OMP_NUM_THREADS, the cores, and what a container may use of them."""


def current_origin(threads: int | None = None, chunk: int = CHUNK, device: torch.device = HERE) -> Origin:
    """This machine, these versions, now."""
    created = datetime.now(UTC).isoformat(timespec="seconds")
    return Origin(processor_of(device), torch.__version__.split("+")[0], threads or THREADS, chunk, created)


@dataclass(frozen=True)
class Given:
    """What another machine found already: the order of the images, the ranges of activations and rounded layers."""

    order: NDArray[np.int64]
    ranges: Calibration | None
    layers: Layers


class TorchEvaluator(Chunked):
    """Predicts classes of one model on one image set under any policy; what `search.memo.Evaluator` asks for.

    With `given`, it rounds nothing and FP32 is not run first. Also for a GPU images are normalised, weights rounded and
    ranges of activations found by the CPU: a policy is the same wherever it runs.
    """

    def __init__(
        self,
        model: Model,
        images: ImageSet,
        rounding: Quantizer = Quantizer(),
        threads: int | None = None,
        cache_bytes: int | None = None,
        chunk: int | None = None,
        given: Given | None = None,
        device: torch.device = HERE,
    ) -> None:
        super().__init__(
            model, images, rounding, chunk or chunk_of(model.profile), None if given is None else given.layers
        )
        self.threads = threads or THREADS
        torch.set_num_threads(self.threads)
        keep_freed_memory()
        self.device = device
        if device != HERE:
            compute_exactly()
        profile = model.profile
        self.network = network_of(model).to(device)
        self._parts = len(self.network.parts)
        self._rounded: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}
        self._layers = [self.network.layers[name] for name in profile.quantizable_names]
        self._folded = [_copies(layer) for layer in self._layers]
        self._held = [FP32_BITS] * len(self._layers)
        self._groups = {
            place: profile.activation_groups.index(group) for place, group in profile.stored_tensors.items()
        }
        self._part_layers = [
            [profile.quantizable_names.index(name) for name in part.layers if name in profile.quantizable_names]
            for part in self.network.parts
        ]
        self._part_groups = [sorted({self._groups[place] for place in part.stored}) for part in self.network.parts]
        sizes = [len(layers) + len(groups) for layers, groups in zip(self._part_layers, self._part_groups, strict=True)]
        self._reach = [0, *accumulate(sizes)]
        """Boundary -> how many widths decide what comes before it."""
        self._calibration: Calibration | None = None
        self._image_place = next(i for i, operation in enumerate(profile.graph) if operation.operator == "image")
        self._cache = PrefixCache(_default_cache_bytes(device, self.chunk) if cache_bytes is None else cache_bytes)
        self.layer_images = 0
        """Parts run x images, a measure of the work done."""
        self._split = model.dataset.split(images.split)
        self._split.images(images.images)  # which checks them
        self._inputs: dict[int, Tensor] = {}
        if given is not None:
            self.take(given)
            return
        fp32 = profile.uniform(FP32_BITS)
        self.take_fp32(np.concatenate([self.chunk_logits(index, fp32, fp32) for index in range(self.count)]))

    @property
    def origin(self) -> Origin:
        """This machine, these versions, now."""
        return current_origin(self.threads, self.chunk, self.device)

    def chunks(self, policy: Policy, base: Policy | None, outcomes: Outcomes) -> Iterator[Outcomes]:
        """Fills `outcomes` (of the split) in place, a chunk at a time, where they are not done; yields them after each.

        Likely mistakes come first, so that what cannot win is known to early. Work that `policy` shares with `base` is
        run once and kept; FP32 itself was run when the evaluator was made.
        """
        if policy.is_fp32:
            if self.fill_fp32(outcomes):
                yield outcomes
            return
        with torch.inference_mode():
            for index in range(self.count):
                images = self.chunk_images(index)
                within = outcomes[self.image_set.span]
                if not is_done(within[images]).all():
                    logits = self._forward(index, policy, base or policy).cpu().numpy()
                    within[images] = self.outcomes(logits, policy, images)
                    yield outcomes

    def expect(self, coming: Iterable[object]) -> None:
        """Computes nothing ahead: there is one machine, and it is asked soon enough."""

    def expect_logits(self, policies: Sequence[Policy], base: Policy) -> None:
        """As `expect`."""

    def chunk_logits(self, index: int, policy: Policy, base: Policy) -> NDArray[np.float32]:
        """What a policy gives for a chunk of images, float32[chunk, classes]; shares work as `chunks` does."""
        with torch.inference_mode():
            return np.asarray(self._forward(index, policy, base).cpu().numpy())

    def take(self, given: Given) -> None:
        """Goes by what another machine found."""
        self._calibration = given.ranges
        self.arrange(given.order)

    def arrange(self, order: NDArray[np.int64]) -> None:
        """Lays the images out in chunks anew; nothing is left of those before."""
        super().arrange(order)
        self._inputs.clear()
        self._cache.clear()

    def _forward(self, index: int, policy: Policy, base: Policy) -> Tensor:
        """Logits of one chunk: the prefix that policy shares with base from the cache, the rest run."""
        first = self._first_difference(policy, base)
        prefix = [bits for position in range(first) for bits in self._bits(base, position)]

        def key(boundary: int) -> Key:
            return index, boundary, tuple(prefix[: self._reach[boundary]])

        cached = ((self._cache.get(key(boundary)), boundary) for boundary in range(first, 0, -1))
        x, start = next((found for found in cached if found[0] is not None), (None, 0))
        if x is None:
            x = self._image(index, (base if first else policy).activation_bits)
        for position in range(start, first):
            x = self._run(position, base, x)
            self._cache.put(key(position + 1), x)
        for position in range(first, self._parts):
            x = self._run(position, policy, x)
        return x

    def _first_difference(self, policy: Policy, base: Policy) -> int:
        """The first part whose bits differ; 0 where none do, so that nothing is cached for a single forward."""
        for position in range(self._parts):
            if self._bits(policy, position) != self._bits(base, position):
                return position
        return 0

    def _bits(self, policy: Policy, position: int) -> list[int]:
        """All that a policy says of a part."""
        layers = [policy.weight_bits[i] for i in self._part_layers[position]]
        return layers + [policy.activation_bits[i] for i in self._part_groups[position]]

    def _run(self, position: int, policy: Policy, x: Tensor) -> Tensor:
        for i in self._part_layers[position]:
            bits = policy.weight_bits[i]
            if self._held[i] != bits:
                layer = self._layers[i]
                layer.weight.data, layer.bias.data = self._tensors(i, bits)
                self._held[i] = bits
        self.layer_images += len(x)

        def store(place: int, stored: Tensor) -> Tensor:
            bits = policy.activation_bits[self._groups[place]]
            # The image is rounded as pixels, before it is normalised.
            if bits == FP32_BITS or place == self._image_place:
                return stored
            return coarsen(self._ranges().tensors[place], bits, stored)

        return self.network.run(position, x, store)

    def _ranges(self) -> Calibration:
        if self._calibration is None:
            if self.rounding.activations is None:
                raise SettingError("no ranges are set for activations; give their rule, or leave them at FP32")
            self._calibration = calibration(self.model, self.rounding.activations)
        return self._calibration

    def _image(self, index: int, activation_bits: tuple[int, ...]) -> Tensor:
        """A chunk of images, at the width of their group."""
        bits = activation_bits[self._groups[self._image_place]] if self._image_place in self._groups else FP32_BITS
        if bits < PIXEL_BITS:
            return self._normalise(coarser_pixels(self._read(index), bits))
        if index in self._inputs:
            return self._inputs[index]
        normalised = self._normalise(self._read(index))
        if (len(self._inputs) + 1) * normalised.nbytes <= MOST_INPUT_BYTES:
            self._inputs[index] = normalised
        return normalised

    def _read(self, index: int) -> NDArray[np.uint8]:
        return self._split.at(self.image_set.start + self.chunk_images(index))

    def _tensors(self, index: int, bits: int) -> tuple[Tensor, Tensor]:
        """A layer's folded weights and bias at a width, rounded once."""
        if bits == FP32_BITS:
            return self._folded[index]
        if (index, bits) not in self._rounded:
            rounded = self._round(self.model.profile.quantizable_names[index], bits)
            weight, bias = torch.from_numpy(rounded.weight), torch.from_numpy(np.array(rounded.bias))
            layout = torch.channels_last if weight.ndim == 4 else torch.contiguous_format
            self._rounded[index, bits] = weight.contiguous(memory_format=layout).to(self.device), bias.to(self.device)
            while (
                sum(held.nbytes for held, _ in self._rounded.values()) > MOST_ROUNDED_BYTES and len(self._rounded) > 1
            ):
                del self._rounded[next(iter(self._rounded))]
        return self._rounded[index, bits]

    def _normalise(self, pixels: Pixels) -> Tensor:
        x = to_input(pixels, self.model.card.mean, self.model.card.std).contiguous(memory_format=torch.channels_last)
        return x.to(self.device)


def coarsen(found: TensorRange, bits: int, x: Tensor) -> Tensor:
    """A tensor at a width, in place: a multiply and a rounding are twice as fast as torch.fake_quantize."""
    scale = found.scale(bits)
    return x.mul_(1 / scale).round_().clamp_(*levels(bits, found.signed)).mul_(scale) if scale else x.zero_()


def _copies(layer: nn.Module) -> tuple[Tensor, Tensor]:
    """Weights and bias of a folded layer, which has both; they stay when the layer is given others."""
    weight, bias = (layer.get_parameter(name).detach() for name in ("weight", "bias"))
    return weight, bias


def _default_cache_bytes(device: torch.device, chunk: int) -> int:
    """Never more than a quarter of the device's memory that is free."""
    free = psutil.virtual_memory().available if device == HERE else torch.cuda.mem_get_info(device)[0]
    return min(MOST_CACHE_BYTES if chunk >= CHUNK else LARGE_CACHE_BYTES, int(free) // 4)
