"""The paper's algorithm as written, to compare ours with: every candidate, every image, the network as trained."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from aiq_core.catalog import Model
from aiq_core.intensity import traffic
from aiq_core.records import FP32_BITS, ImageSet, Move, Policy, Score, SplitName
from aiq_core.rounding.nearest import quantize
from aiq_core.runtime.models import spec
from aiq_core.runtime.weights import network_with
from aiq_core.search.problem import Ask, Problem, State, start_state
from benchmarks._common import Meter

BATCH = 128

Taken = tuple[Move | None, Score]
"""What a step took, None where it kept what it had, and the score after it."""

Search = Callable[[Problem, Ask], Iterator[Taken]]


def plain_greedy(problem: Problem, ask: Ask) -> Iterator[Taken]:
    """The paper's algorithm as it is written, to compare with: every candidate is evaluated, the lowest loss wins.

    Ties go to the first in network order, then to the wider; a policy below the floor cannot win.
    """
    state: State = start_state(problem)
    profile, objective = problem.profile, problem.objective
    lower = [bits for bits in problem.widths if bits != FP32_BITS]
    while free := [site for site in problem.movable if profile.width(state.policy, site) == FP32_BITS]:
        best, winner = state, None
        for move in (Move(site, bits) for site in free for bits in lower):
            policy = profile.moved(state.policy, move)
            value = float(traffic(profile, [policy]).intensity[0])
            right = ask(policy, None, state.policy)
            if right is None or right < objective.floor_score:
                continue
            loss = objective.loss(value, right)
            if loss < best.loss:
                best, winner = State(policy, value, right, loss), move
        state = best
        yield winner, state.score
        if winner is None:
            return


class Pixels(Dataset[tuple[torch.Tensor, int]]):
    """The search images, transformed one by one, as a training script has them."""

    def __init__(self, model: Model, images: int) -> None:
        card, dataset = model.card, model.dataset
        self._images = dataset.images(ImageSet(SplitName.SEARCH, images))
        self._labels = dataset.search.labels
        self._transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize(card.mean, card.std)])

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self._transform(np.array(self._images[index])), int(self._labels[index])


class Unfolded:
    """The network with its batch norms; rounding before folding gives the same integers, channel by channel.

    Folding multiplies a channel's weights by one number, so its scale moves with it and its integers stay; what
    differs from the folded reference is float rounding, which can turn a doubtful image.
    """

    def __init__(self, model: Model, images: int) -> None:
        self.network = network_with(spec(model.name), model.weights, model.name)
        self.meter = Meter().watch([self.network])
        self.evaluations = 0
        self._loader = DataLoader(Pixels(model, images), batch_size=BATCH)
        names = model.profile.quantizable_names
        self._layers = [self.network.get_submodule(name) for name in names]
        self._weights = [np.array(layer.weight.detach().numpy()) for layer in self._layers]  # type: ignore[operator, union-attr]

    @torch.no_grad()
    def right(self, policy: Policy) -> int:
        """How many images a policy has right, over all of them."""
        self.evaluations += 1
        for layer, weight, bits in zip(self._layers, self._weights, policy.weight_bits, strict=True):
            rounded = weight if bits == FP32_BITS else np.multiply(*quantize(weight, bits))
            layer.weight.copy_(torch.from_numpy(rounded))  # type: ignore[operator, union-attr]
        return sum(int((self.network(x).argmax(1) == y).sum()) for x, y in self._loader)
