"""What a network computes, in our own words: equal for equal forwards, and different wherever a result would be."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from numpy.typing import NDArray
from torch import Tensor, nn

from aiq_core.catalog.hashes import model_hash
from aiq_core.errors import UncountableOperatorError
from aiq_core.graph import Graph, Operation
from aiq_core.runtime.profile import profile
from aiq_core.runtime.weights import TRACKED

Forward = Callable[[Any, Tensor], Tensor]


def plain(n: Any, x: Tensor) -> Tensor:
    return n.linear(torch.flatten(F.adaptive_avg_pool2d(F.relu(n.norm(n.conv(x)) + x), 1), 1))  # type: ignore[no-any-return]


class Net(nn.Module):
    """One set of tensors for every forward."""

    def __init__(self, forward: Forward = plain, eps: float = 1e-5, **convolution: Any) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, **{"padding": 1, **convolution})
        self.norm = nn.BatchNorm2d(3, eps)
        self.linear = nn.Linear(3, 10)
        self.scale = nn.Parameter(torch.ones(3, 1, 1))
        self.register_buffer("buffered", torch.zeros(3, 1, 1), persistent=False)
        self.constant = torch.full((3, 1, 1), 0.5)
        self.dropout, self.nothing = nn.Dropout(0.5), nn.Identity()
        self.quick, self.quick_in_place = nn.ReLU(), nn.ReLU(inplace=True)
        self.to_1, self.to_2 = nn.Hardtanh(0, 1), nn.Hardtanh(0, 2)
        self.pool, self.flatten = nn.AdaptiveAvgPool2d(1), nn.Flatten()
        self.pool_with_places = nn.MaxPool2d(2, return_indices=True)
        self._forward = forward

    def forward(self, x: Tensor) -> Tensor:
        return self._forward(self, x)


def graph(network: nn.Module) -> Graph:
    return profile(network, "odd", (3, 8, 8), ()).graph


random = np.random.default_rng(0)
TENSORS: dict[str, NDArray[Any]] = {
    name: random.uniform(0.5, 1, tuple(tensor.shape)).astype(np.float32)
    for name, tensor in Net().state_dict().items()
    if not name.endswith(TRACKED)
}


def hash_of(network: nn.Module) -> str:
    return model_hash(graph(network), (0.5,), (0.2,), TENSORS)


def head(n: Any, y: Tensor) -> Tensor:
    return n.linear(y.mean((2, 3)))  # type: ignore[no-any-return]


def test_operations_by_hand() -> None:
    convolution = {
        "kernel_size": [3, 3], "stride": [1, 1], "padding": [1, 1], "dilation": [1, 1], "groups": 1,
        "padding_mode": "zeros",
    }  # fmt: skip
    assert graph(Net()) == (
        Operation("image"),
        Operation("conv2d", (0,), "conv", convolution),
        Operation("batch_norm2d", (1,), "norm", {"eps": 1e-5}),
        Operation("add", (2, 0), None, {"alpha": 1}),
        Operation("relu", (3,)),
        Operation("adaptive_avg_pool2d", (4,), None, {"output_size": [1, 1]}),
        Operation("flatten", (5,)),
        Operation("linear", (6,), "linear"),
        Operation("output", (7,)),
    )


def renamed(n: Any, x: Tensor) -> Tensor:
    conv_out = n.conv(x)
    something_else = n.norm(conv_out)
    return n.linear(n.flatten(n.pool(n.quick(something_else + x))))  # type: ignore[no-any-return]


def dropped(n: Any, x: Tensor) -> Tensor:
    y = F.dropout(n.nothing(n.dropout(n.norm(n.conv(x)))), 0.1, n.training)
    y = F.relu(torch.add(y, x), inplace=True)
    return n.linear(F.adaptive_avg_pool2d(input=y, output_size=(1, 1)).view(x.size(0), -1))  # type: ignore[no-any-return]


def in_place(n: Any, x: Tensor) -> Tensor:
    y = n.norm(n.conv(x))
    y += x
    n.quick_in_place(y)  # what it gives is read as `y`
    return n.linear(n.pool(y).reshape(-1, 3))  # type: ignore[no-any-return]


@pytest.mark.parametrize("forward", [renamed, dropped, in_place])
def test_the_same_in_other_words(forward: Forward) -> None:
    assert graph(Net(forward)) == graph(Net())


ACTIVATIONS: tuple[Forward, ...] = (
    lambda n, x: F.relu(x),
    lambda n, x: F.relu6(x),
    lambda n, x: F.gelu(x),
    lambda n, x: F.gelu(x, approximate="tanh"),
    lambda n, x: n.to_1(x),
    lambda n, x: n.to_2(x),
)
POOLS = (
    lambda y: F.max_pool2d(y, 2), lambda y: F.max_pool2d(y, 2, 1), lambda y: F.max_pool2d(y, (2, 1)),
    lambda y: F.max_pool2d(y, 3, 2, ceil_mode=True), lambda y: F.max_pool2d(y, 3, 2), lambda y: F.avg_pool2d(y, 2),
    lambda y: F.avg_pool2d(y, 2, padding=1), lambda y: F.avg_pool2d(y, 2, padding=1, count_include_pad=False),
    lambda y: F.adaptive_avg_pool2d(y, 4),
)  # fmt: skip
SUMS: tuple[Forward, ...] = (
    lambda n, x: x,
    lambda n, x: x + x,
    lambda n, x: x + 1,
    lambda n, x: x + 2,
    lambda n, x: torch.add(x, x, alpha=2),
    lambda n, x: x + n.scale,
    lambda n, x: x + n.constant,
    lambda n, x: x + n.buffered,
    lambda n, x: x + torch.full((3, 1, 1), 0.25),
)
OTHERS: dict[str, list[nn.Module]] = {
    "strides, paddings and kernels": [
        Net(lambda n, x: head(n, n.conv(x)), **settings)
        for settings in (
            {}, {"stride": 2}, {"stride": (1, 2)}, {"padding": 0}, {"padding_mode": "reflect"}, {"dilation": 2},
            {"dilation": 2, "padding": 2},
        )
    ],
    "epsilons": [Net(eps=1e-5), Net(eps=1e-3)],
    "activations": [Net(lambda n, x, f=f: head(n, f(n, n.conv(x)))) for f in ACTIVATIONS],  # type: ignore[misc]
    "pools": [Net(lambda n, x, f=f: head(n, f(n.conv(x)))) for f in POOLS],  # type: ignore[misc]
    "numbers and constants": [Net(lambda n, x, f=f: head(n, f(n, n.conv(x)))) for f in SUMS],  # type: ignore[misc]
    "a skipped residual": [Net(), Net(lambda n, x: n.linear(torch.flatten(n.pool(F.relu(n.norm(n.conv(x)))), 1)))],
    "axes": [
        Net(lambda n, x: n.linear(n.conv(x).mean(2).mean(2))),
        Net(lambda n, x: n.linear(n.conv(x).mean(3).mean(2))),
        Net(lambda n, x: head(n, n.conv(x).permute(0, 1, 3, 2))),
        Net(lambda n, x: head(n, torch.cat([x, n.conv(x)], 2))),
        Net(lambda n, x: head(n, torch.cat([x, n.conv(x)], 3))),
        Net(lambda n, x: head(n, torch.cat([n.conv(x), x], 3))),
        Net(lambda n, x: head(n, n.conv(x)[:, :, ::2])),
        Net(lambda n, x: head(n, n.conv(x)[:, :, :4])),
        Net(lambda n, x: head(n, n.conv(x).view(-1, 3, 4, 16))),
        Net(lambda n, x: head(n, n.conv(x).view(-1, 3, 4, 16).permute(0, 1, 3, 2))),
    ],
    "an input that is overwritten before it is read again": [
        Net(lambda n, x: (lambda y: head(n, n.quick(y) + y))(n.conv(x))),
        Net(lambda n, x: (lambda y: head(n, n.quick_in_place(y) + y))(n.conv(x))),
    ],
    "which result is given": [
        Net(lambda n, x: (head(n, n.conv(x)), torch.relu(x).mean((2, 3)))[0]),
        Net(lambda n, x: (head(n, n.conv(x)), torch.relu(x).mean((2, 3)))[1]),
    ],
}  # fmt: skip


@pytest.mark.parametrize("networks", OTHERS.values(), ids=OTHERS)
def test_equal_tensors_and_another_forward_have_another_hash(networks: list[nn.Module]) -> None:
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        for network in networks:
            network.load_state_dict({name: torch.from_numpy(a) for name, a in TENSORS.items()}, strict=False)
            network.eval()(x.clone())  # each of them is a network that runs
    assert len({hash_of(network) for network in networks}) == len(networks)


def test_a_hash_follows_every_tensor() -> None:
    operations, found = graph(Net()), {hash_of(Net())}
    for name, array in TENSORS.items():
        moved = array.copy()
        moved.flat[0] += 1e-3
        for other in (moved, array.astype(np.float16).astype(np.float32), array.astype(np.float64)):
            found.add(model_hash(operations, (0.5,), (0.2,), TENSORS | {name: other}))
    assert len(found) == 1 + 3 * len(TENSORS)


def turned(n: Any, x: Tensor) -> Tensor:
    y = n.conv(x)
    seen = y.permute(0, 1, 3, 2)
    y.clamp_(0)
    return head(n, seen + x)


def straight(n: Any, x: Tensor) -> Tensor:
    return head(n, n.conv(x).clamp(0).permute(0, 1, 3, 2) + x)


def test_a_view_of_what_is_overwritten_reads_what_was_written() -> None:
    first, second = graph(Net(turned)), graph(Net(straight))
    assert [step.operator for step in first] == [
        "image", "conv2d", "permute", "clamp", "overwritten", "add", "mean", "linear", "output",
    ]  # fmt: skip
    assert first != second  # the same numbers, in other words: a hash may differ where results do not


def test_one_way_to_write_what_torch_takes_in_several() -> None:
    ways: tuple[Forward, ...] = (
        lambda n, x: head(n, F.max_pool2d(n.conv(x), 2)),
        lambda n, x: head(n, F.max_pool2d(n.conv(x), (2, 2), stride=2)),
        lambda n, x: head(n, nn.MaxPool2d(2)(n.conv(x))),
    )
    assert len({hash_of(Net(forward)) for forward in ways}) == 1
    axes: tuple[Forward, ...] = (
        lambda n, x: head(n, n.conv(x).transpose(2, 3)),
        lambda n, x: head(n, n.conv(x).permute(0, 1, 3, 2)),
        lambda n, x: head(n, n.conv(x).swapaxes(-1, -2)),
        lambda n, x: head(n, n.conv(x).mT),
    )
    assert len({hash_of(Net(forward)) for forward in axes}) == 1


def test_operands_are_told_apart() -> None:
    ways: tuple[Forward, ...] = (
        lambda n, x: head(n, torch.clamp(n.conv(x), min=n.scale)),
        lambda n, x: head(n, torch.clamp(n.conv(x), max=n.scale)),
        lambda n, x: head(n, n.conv(x) - x),
        lambda n, x: head(n, x - n.conv(x)),
        lambda n, x: head(n, 1 - n.conv(x)),
        lambda n, x: head(n, n.conv(x) - 1),
        lambda n, x: head(n, n.conv(x)[:, [1, 0, 2]]),
        lambda n, x: head(n, n.conv(x)[:, :, [1, 0, 2]]),
        lambda n, x: head(n, n.conv(x)[:, :, :, [1, 0, 2]]),
        lambda n, x: head(n, n.conv(x).double().float()),
        lambda n, x: n.linear(n.conv(x).view(1, -1)[:, :3]),
    )
    assert len({hash_of(Net(forward)) for forward in ways}) == len(ways)


def test_dropout_that_stays_on_is_refused() -> None:
    network = Net(lambda n, x: head(n, F.dropout(n.conv(x))))
    with pytest.raises(UncountableOperatorError, match=r"dropout \(test_canonical.py:\d+\) in odd drops in evaluation"):
        graph(network)


def test_a_hook_is_part_of_what_is_computed() -> None:
    network = Net()
    network.conv.register_forward_hook(lambda _, __, y: y + 1)
    assert [step.operator for step in graph(network)][1:3] == ["conv2d", "add"]


def test_a_new_axis_may_be_the_last() -> None:
    """A gate a channel: of two axes, the third and the fourth are new."""

    def gated(n: Any, x: Tensor) -> Tensor:
        return plain(n, x * x.mean((2, 3))[:, :, None, None])

    axes = [each.attributes["dim"] for each in graph(Net(gated)) if each.operator == "unsqueeze"]
    assert axes == [2, 3]
