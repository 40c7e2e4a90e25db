"""The reference evaluator: folded, rounded, chunk by chunk, likely mistakes first, shared prefixes run once."""

from collections.abc import Iterator
from datetime import UTC, datetime

import joblib
import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from aiq_core.catalog import Model
from aiq_core.errors import EvaluationError
from aiq_core.records import FP32_BITS, ImageSet, Origin, Outcomes, Policy, Quantizer, is_done
from aiq_core.runtime.cpu import cpu_kind
from aiq_core.runtime.data import to_input
from aiq_core.runtime.fold import fold_batch_norm
from aiq_core.runtime.memory import keep_freed_memory
from aiq_core.runtime.models import spec
from aiq_core.runtime.prefixes import PrefixCache
from aiq_core.runtime.rounded import RoundedLayers
from aiq_core.runtime.weights import network_with

CHUNK = 125
"""Images a forward: the fewest from which predictions do not depend on it (tested), so that a loser stops soonest."""

THREADS = min(torch.get_num_threads(), joblib.cpu_count())
"""Threads unless told otherwise: no more than OMP_NUM_THREADS, the cores, and what a container may use of them."""


def current_origin(threads: int | None = None, chunk: int = CHUNK) -> Origin:
    """This machine, these versions, now."""
    created = datetime.now(UTC).isoformat(timespec="seconds")
    return Origin(cpu_kind(), torch.__version__.split("+")[0], threads or THREADS, chunk, created)


class TorchEvaluator:
    """Predicts classes of one model on one image set under any policy; what `search.memo.Evaluator` asks for."""

    def __init__(
        self,
        model: Model,
        images: ImageSet,
        rounding: Quantizer = Quantizer(),
        threads: int | None = None,
        cache_bytes: int | None = None,
        chunk: int = CHUNK,
    ) -> None:
        self.threads = threads or THREADS
        torch.set_num_threads(self.threads)
        keep_freed_memory()
        self.model, self.image_set, self.chunk, self.rounding = model, images, chunk, rounding
        architecture = spec(model.name)
        network = network_with(architecture, model.weights, str(model.folder))
        self._segments = architecture.segments(fold_batch_norm(network, model.profile))
        for segment in self._segments:
            segment.to(memory_format=torch.channels_last)
        self._round = RoundedLayers(model, rounding)
        self._rounded: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}
        self._layers = _quantizable_modules(network, model.profile.quantizable_names)
        self._folded = [_copies(layer) for layer in self._layers]
        self._held = [FP32_BITS] * len(self._layers)
        members = [set(segment.modules()) for segment in self._segments]
        self._segment_layers = [[i for i, layer in enumerate(self._layers) if layer in group] for group in members]
        self._cache = PrefixCache(_default_cache_bytes() if cache_bytes is None else cache_bytes)
        self.layer_images = 0
        """Segments run x images, a measure of the work done."""
        pixels = model.dataset.images(images)
        self._arrange(pixels, np.arange(len(pixels)))
        self._labels = model.dataset.split(images.split).labels[: len(pixels)]
        fp32 = model.profile.uniform(FP32_BITS)
        with torch.inference_mode():
            chunks = [self._forward(index, fp32, fp32) for index in range(len(self._inputs))]
        logits = torch.cat(chunks)[: len(pixels)].numpy()
        self._fp32_outcomes = self._outcomes(logits, fp32, np.arange(len(pixels)))
        # Ties in split order.
        self._arrange(pixels, np.argsort(model.metric.margins(logits, self._labels), kind="stable"))

    @property
    def origin(self) -> Origin:
        """This machine, these versions, now."""
        return current_origin(self.threads, self.chunk)

    def chunks(self, policy: Policy, base: Policy | None, outcomes: Outcomes) -> Iterator[Outcomes]:
        """Fills `outcomes` (of the split) in place, a chunk at a time, where they are not done; yields them after each.

        Likely mistakes come first, so that what cannot win is known to early. Work that `policy` shares with `base` is
        run once and kept; FP32 itself was run when the evaluator was made.
        """
        if policy.is_fp32:
            within = outcomes[: len(self._fp32_outcomes)]
            if not is_done(within).all():
                within[:] = self._fp32_outcomes
                yield outcomes
            return
        with torch.inference_mode():
            for index in range(len(self._inputs)):
                images = self._chunk_images(index)
                if not is_done(outcomes[images]).all():
                    logits = self._forward(index, policy, base or policy).numpy()
                    outcomes[images] = self._outcomes(logits, policy, images)
                    yield outcomes

    def _outcomes(self, logits: NDArray[np.float32], policy: Policy, images: NDArray[np.int64]) -> Outcomes:
        """What became of each of `images`. Raises EvaluationError where logits are NaN or infinite: nothing did."""
        finite = np.isfinite(logits).reshape(len(logits), -1).all(axis=1)
        if not finite.all():
            bad, seen = np.unique(images[~finite]), np.unique(images)
            raise EvaluationError(
                f"{policy.key} gives NaN or infinite logits for {len(bad)} of {len(seen)} images: they have no class; "
                "choose wider bits, or a network that stays finite"
            )
        return self.model.metric.outcomes(logits, self._labels[images])

    def _arrange(self, pixels: NDArray[np.uint8], order: NDArray[np.int64]) -> None:
        """Lays the images out in chunks, in the given order."""
        self._order = order
        count = -(-len(order) // self.chunk)
        self._inputs = [self._normalise(pixels[self._chunk_images(index)]) for index in range(count)]

    def _chunk_images(self, index: int) -> NDArray[np.int64]:
        """Positions of a chunk's images, always `chunk` of them: the last one is filled up from the front."""
        start = index * self.chunk
        return np.take(self._order, np.arange(start, start + self.chunk), mode="wrap")

    def _forward(self, index: int, policy: Policy, base: Policy) -> Tensor:
        """Logits of one chunk: the prefix that policy shares with base from the cache, the rest run."""
        first = self._first_difference(policy, base)
        x, start = self._inputs[index], 0
        for boundary in range(first, 0, -1):
            cached = self._cache.get((index, boundary, self._prefix(base, boundary)))
            if cached is not None:
                x, start = cached, boundary
                break
        for position in range(start, first):
            x = self._run(position, base, x)
            self._cache.put((index, position + 1, self._prefix(base, position + 1)), x)
        for position in range(first, len(self._segments)):
            x = self._run(position, policy, x)
        return x

    def _first_difference(self, policy: Policy, base: Policy) -> int:
        """The first segment whose bits differ; 0 where none do, so that nothing is cached for a single forward."""
        for position, layers in enumerate(self._segment_layers):
            if any(policy.weight_bits[i] != base.weight_bits[i] for i in layers):
                return position
        return 0

    def _prefix(self, policy: Policy, boundary: int) -> tuple[int, ...]:
        return tuple(policy.weight_bits[i] for layers in self._segment_layers[:boundary] for i in layers)

    def _run(self, position: int, policy: Policy, x: Tensor) -> Tensor:
        for i in self._segment_layers[position]:
            bits = policy.weight_bits[i]
            if self._held[i] != bits:
                layer = self._layers[i]
                layer.weight.data, layer.bias.data = self._tensors(i, bits)  # type: ignore[union-attr]
                self._held[i] = bits
        self.layer_images += len(x)
        return self._segments[position](x)  # type: ignore[no-any-return]

    def _tensors(self, index: int, bits: int) -> tuple[Tensor, Tensor]:
        """A layer's folded weights and bias at a width, rounded once."""
        if bits == FP32_BITS:
            return self._folded[index]
        if (index, bits) not in self._rounded:
            rounded = self._round(self.model.profile.quantizable_names[index], bits)
            weight, bias = torch.from_numpy(rounded.weight), torch.from_numpy(np.array(rounded.bias))
            layout = torch.channels_last if weight.ndim == 4 else torch.contiguous_format
            self._rounded[index, bits] = weight.contiguous(memory_format=layout), bias
        return self._rounded[index, bits]

    def _normalise(self, pixels: NDArray[np.uint8]) -> Tensor:
        return to_input(pixels, self.model.card.mean, self.model.card.std).contiguous(memory_format=torch.channels_last)


def _quantizable_modules(network: nn.Module, names: tuple[str, ...]) -> list[nn.Conv2d | nn.Linear]:
    modules = [network.get_submodule(name) for name in names]
    return [module for module in modules if isinstance(module, nn.Conv2d | nn.Linear)]


def _copies(layer: nn.Conv2d | nn.Linear) -> tuple[Tensor, Tensor]:
    """Weights and bias of a folded layer, which has both."""
    weight, bias = (layer.get_parameter(name).detach() for name in ("weight", "bias"))
    return weight.clone(memory_format=torch.preserve_format), bias.clone()


def _default_cache_bytes() -> int:
    """At most 3 GiB, and never more than a quarter of the memory that is free."""
    return min(3 * 2**30, int(psutil.virtual_memory().available) // 4)
