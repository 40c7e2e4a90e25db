"""What people really have, counted by hand: every operator with multiply-accumulates, wherever it is called from.

Each case stands for a kind that tools of this sort have miscounted.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from aiq_core.errors import UncountableOperatorError
from aiq_core.intensity import intensity, stored_bytes, traffic
from aiq_core.records import Layer, LayerKind, ModelProfile
from aiq_core.runtime.profile import profile
from aiq_core.wording import an
from tests.networks import Lambda


def count(network: nn.Module, *shape: int, **asked: Any) -> ModelProfile:
    return profile(network, "odd", shape, (), **asked)


def only(counted: ModelProfile) -> Layer:
    (layer,) = counted.layers
    return layer


def by_torch(network: nn.Module, *shape: int) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.eval()(torch.zeros(1, *shape))
    return int(counter.get_total_flops())


def parameter(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.randn(shape, generator=torch.Generator().manual_seed(0)))


# Convolutions


def test_a_transposed_convolution_is_counted_from_its_input() -> None:
    network = nn.Sequential(nn.ConvTranspose2d(8, 2, (3, 2), stride=2, bias=False), nn.Flatten())
    counted = count(network, 8, 4, 5)
    layer = only(counted)
    # Each input element meets every weight of its input channel once, not each of the 2 * 9 * 10 outputs.
    assert (layer.macs, layer.weights) == (8 * 4 * 5 * (2 * 3 * 2), 8 * 2 * 3 * 2)
    assert counted.flops == by_torch(network, 8, 4, 5)
    assert (layer.kind, layer.output_channels) == (LayerKind.CONV_TRANSPOSE2D, 2)


def test_groups_divide_a_transposed_convolution_once() -> None:
    layer = only(count(nn.Sequential(nn.ConvTranspose2d(6, 6, 2, stride=2, groups=6, bias=False)), 6, 5, 5))
    assert (layer.macs, layer.weights) == (6 * 5 * 5 * 4, 24)
    assert (layer.groups, layer.output_channels) == (6, 6)


@pytest.mark.parametrize(
    ("convolution", "shape", "macs"),
    [
        (nn.Conv1d(4, 6, 3, groups=2), (4, 9), 6 * 7 * (2 * 3)),
        (nn.Conv2d(4, 6, (3, 1), padding="same"), (4, 5, 5), 6 * 5 * 5 * (4 * 3)),
        (nn.Conv2d(4, 6, 3, padding=1, padding_mode="reflect"), (4, 5, 5), 6 * 5 * 5 * (4 * 9)),
        (nn.Conv3d(2, 3, 2), (2, 4, 4, 4), 3 * 3 * 3 * 3 * (2 * 8)),
        (nn.ConvTranspose1d(4, 6, 3), (4, 9), 4 * 9 * (6 * 3)),
        (nn.ConvTranspose3d(2, 3, 2), (2, 4, 4, 4), 2 * 4 * 4 * 4 * (3 * 8)),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_convolutions_of_every_rank(convolution: nn.Module, shape: tuple[int, ...], macs: int) -> None:
    network = nn.Sequential(convolution)
    layer = only(count(network, *shape))
    assert layer.macs == macs == by_torch(network, *shape) / 2
    assert layer.quantizable and layer.name == "0"
    assert layer.weights + layer.biases == sum(each.numel() for each in network.parameters())
    assert layer.output_channels == layer.biases


def test_weights_without_work_are_an_error() -> None:
    network = Lambda(lambda n, x: n.linear(x[:, :0]), linear=nn.Linear(4, 3))
    with pytest.raises(UncountableOperatorError, match=r"linear \(linear.*does no multiply-accumulate.*\[1, 0, 4\]"):
        count(network, 5, 4)


# Products, attention and recurrent layers

QUERIES = (3, 5, 4)  # heads, tokens, width
PRODUCT = 3 * 5 * 5 * 4  # of two matrices a head, for one image


def by_operator(n: Any, q: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(q, q, q)


def by_hand(n: Any, q: Tensor) -> Tensor:
    return torch.softmax(q @ q.transpose(-1, -2), -1) @ q


def by_einsum(n: Any, q: Tensor) -> Tensor:
    scores = torch.einsum("bhqd,bhkd->bhqk", q, q).softmax(-1)
    return torch.einsum("bhqk,bhkd->bhqd", scores, q)


def by_bmm(n: Any, q: Tensor) -> Tensor:
    flat = q.flatten(0, 1)
    return torch.baddbmm(flat, torch.bmm(flat, flat.mT).softmax(-1), flat)


@pytest.mark.parametrize("attention", [by_operator, by_hand, by_einsum, by_bmm])
def test_attention_is_two_products(attention: Callable[[Any, Tensor], Tensor]) -> None:
    assert count(Lambda(attention), *QUERIES).flops == 2 * (2 * PRODUCT)
    heads, tokens, width = QUERIES
    assert count(Lambda(attention), heads, 2 * tokens, width).flops == 4 * 2 * (2 * PRODUCT)


def test_torchs_own_counter_misses_fused_attention_on_a_cpu() -> None:
    """Why the number is written out here: when this fails, the counter has learnt it."""
    assert by_torch(Lambda(by_operator), *QUERIES) == 0
    assert by_torch(Lambda(by_hand), *QUERIES) == 2 * (2 * PRODUCT)


def test_attention_moves_what_it_reads() -> None:
    counted = count(Lambda(by_operator), *QUERIES)
    layer = only(counted)
    assert (layer.weights, layer.quantizable, layer.others) == (0, False, ((60, "image"), (60, "image")))
    # Queries, keys, values and what it writes, 3 * 5 * 4 float32 each.
    assert traffic(counted, [counted.uniform(32)]).moved_bytes == [4 * 60 * 4]
    assert stored_bytes(counted, counted.uniform(32)) == 0


def test_multi_head_attention_by_its_module() -> None:
    attention = nn.MultiheadAttention(8, 2, batch_first=True)
    counted = count(Lambda(lambda n, x: n.attention(x, x, x, need_weights=False)[0], attention=attention), 5, 8)
    # Queries, keys and values of one matrix, the two products, the way out.
    assert counted.flops == 2 * (5 * 8 * 24 + 2 * 5 * 5 * 8 + 5 * 8 * 8)
    assert [(layer.name, layer.kind, layer.weights) for layer in counted.layers] == [
        ("attention.in_proj_weight", LayerKind.LINEAR, 8 * 24),
        ("attention", LayerKind.ATTENTION, 0),
        ("attention.out_proj", LayerKind.LINEAR, 8 * 8),
    ]
    assert counted.layers[0].bias_name == "attention.in_proj_bias"


@pytest.mark.parametrize(
    ("layer", "gates", "kind"),
    [(nn.LSTM, 4, LayerKind.LSTM), (nn.GRU, 3, LayerKind.GRU), (nn.RNN, 1, LayerKind.RNN)],
)
def test_recurrent_layers(layer: Any, gates: int, kind: LayerKind) -> None:
    network = Lambda(lambda n, x: n.cell(x)[0][:, -1], cell=layer(6, 8, batch_first=True))
    counted = count(network, 7, 6)
    (found,) = counted.layers
    assert (found.kind, found.name, found.quantizable) == (kind, "cell", False)
    # Seven steps of one image; gates' elementwise work aside.
    assert found.macs == 7 * gates * (6 * 8 + 8 * 8)
    # Weights are read once an image by every traffic model here.
    assert (found.weights, found.biases) == (gates * (6 * 8 + 8 * 8), gates * 2 * 8)
    # Torch's own counter misses LSTMs, which is why the number is written out.
    assert by_torch(network, 7, 6) == (0 if layer is nn.LSTM else 2 * found.macs)


def test_a_lstm_over_time_and_batch() -> None:
    # Seven steps, batch 2, as nn.LSTM takes them: (7, 2, 6).
    counted = count(Lambda(lambda n, x: n.cell(x[0])[0][-1], cell=nn.LSTM(6, 8)), 7, 2, 6)
    assert counted.flops == 2 * 7 * 2 * 4 * (6 * 8 + 8 * 8)
    # Read once for all steps, as if a cache held them; else 7 times as much.
    assert traffic(counted, [counted.uniform(32)]).weight_bytes.sum() == 1792


def test_every_layer_and_direction_of_a_recurrent_one() -> None:
    cell = nn.LSTM(6, 8, num_layers=2, bidirectional=True, batch_first=True)
    counted = count(Lambda(lambda n, x: n.cell(x)[0][:, -1], cell=cell), 7, 6)
    assert only(counted).macs == 7 * 2 * 4 * ((6 * 8 + 8 * 8) + (16 * 8 + 8 * 8))


@pytest.mark.parametrize(
    "forward",
    [
        lambda n, x: F.linear(x, n.w, n.b),
        lambda n, x: x @ n.w.T + n.b,
        lambda n, x: x @ n.turned + n.b,
        lambda n, x: torch.addmm(n.b, x, n.turned),
        lambda n, x: torch.einsum("bi,oi->bo", x, n.w) + n.b,
    ],
)
def test_a_linear_layer_without_a_module(forward: Any) -> None:
    counted = count(Lambda(forward, w=parameter(3, 4), turned=parameter(4, 3), b=parameter(3)), 4)
    assert (only(counted).macs, only(counted).weights) == (12, 12)


def test_parameters_of_a_linear_layer_have_bits_wherever_it_is_called_from() -> None:
    forwards = {
        "w": [lambda n, x: F.linear(x, n.w, n.b), lambda n, x: torch.addmm(n.b, x, n.w.T)],
        "turned": [lambda n, x: torch.addmm(n.b, x, n.turned), lambda n, x: F.linear(x, n.turned.t(), n.b)],
    }
    by_einsum = {"w": "...i,oi->...o", "turned": "bi, io -> bo"}
    for name, ways in forwards.items():
        network = Lambda(
            lambda n, x, name=name: torch.einsum(by_einsum[name], x, getattr(n, name)),
            w=parameter(3, 4),
            turned=parameter(4, 3),
        )
        layer = only(count(network, 4))
        assert (layer.name, layer.quantizable, layer.transposed, layer.macs) == (name, True, name == "turned", 12)
        for forward in ways:
            layer = only(count(Lambda(forward, w=parameter(3, 4), turned=parameter(4, 3), b=parameter(3)), 4))
            assert (layer.name, layer.weight_name, layer.bias_name) == (name, name, "b")
            assert (layer.quantizable, layer.biases, layer.output_channels) == (True, 3, 3)
            assert layer.transposed is (name == "turned")


# One object, several calls


class Parent(nn.Module):
    def __init__(self, child: nn.Module) -> None:
        super().__init__()
        self.child = child

    def forward(self, x: Tensor) -> Tensor:
        return self.child(x)  # type: ignore[no-any-return]


def test_one_module_below_two_parents() -> None:
    shared = nn.Linear(12, 12, bias=False)
    network = nn.Sequential(Parent(shared), Parent(shared))
    assert len(network.state_dict()) == 2
    counted = count(network, 3, 12)
    layer = only(counted)
    # Work is per call, storage per object, and so are bits.
    assert counted.flops == 2 * (2 * 3 * 144)
    assert (layer.name, layer.calls, layer.weights) == ("0.child", 2, 144)
    assert counted.quantizable_names == ("0.child",)
    fp32 = counted.uniform(32)
    assert stored_bytes(counted, fp32) == 576
    assert traffic(counted, [fp32]).weight_bytes.sum() == 2 * 576  # an unfused network reads them twice


def test_a_tied_weight_is_one_site() -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    network[2].weight, network[2].bias = network[0].weight, network[0].bias
    layer = only(count(network, 4))
    assert (layer.calls, layer.weights, layer.biases, layer.macs) == (2, 16, 4, 32)


def test_a_tied_weight_with_two_biases_is_stored_once_and_stays_fp32() -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    network[2].weight = network[0].weight
    counted = count(network, 4)
    assert [(layer.weights, layer.biases, layer.quantizable) for layer in counted.layers] == [
        (16, 4, False),
        (0, 4, False),
    ]


def test_a_computed_weight_is_counted_and_stays_fp32() -> None:
    network = Lambda(lambda n, x: F.linear(x, n.w / n.w.norm()), w=parameter(3, 4))
    layer = only(count(network, 4))
    assert (layer.macs, layer.weights, layer.quantizable) == (12, 12, False)


def test_half_a_precision_is_half_the_bytes() -> None:
    counted = count(nn.Sequential(nn.Linear(64, 32, bias=False)).half(), 64)
    assert counted.flops == 4096
    # With activations in FP32: 4,096 B of weights, 256 B in, 128 B out.
    assert intensity(counted, counted.uniform(16)) == pytest.approx(4096 / (4096 + 256 + 128))
    assert intensity(counted, counted.uniform(32)) == pytest.approx(4096 / (8192 + 256 + 128))


# Forwards as people write them


class Branching(nn.Module):
    """Asks for shapes and flags, and gives a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.c = nn.Conv2d(3, 4, 3)

    def forward(self, x: Tensor, train: bool = False) -> dict[str, Tensor]:
        if x.shape[2] < 8:
            x = F.pad(x, (4, 4, 4, 4))
        y = self.c(x)
        return {"aux": y.mean(), "out": y.mean((2, 3))}


def test_a_dict_and_a_branch_on_a_shape() -> None:
    assert only(count(Branching(), 3, 16, 16)).macs == 4 * 14 * 14 * 27
    assert only(count(Branching(), 3, 4, 4)).macs == 4 * 10 * 10 * 27


class Named(NamedTuple):
    first: Tensor
    second: Tensor


@dataclass
class Given:
    logits: Tensor
    attention: Tensor


@pytest.mark.parametrize(
    ("give", "names"),
    [
        (lambda y: (y, 2 * y), "0 .*, 1 "),
        (lambda y: Named(y, 2 * y), "first .*, second "),
        (lambda y: {"a": y, "deep": [y + 1]}, r"a .*, deep\.0 "),
        (lambda y: [], "no tensor"),
    ],
)
def test_which_result_is_asked_for_where_that_is_open(give: Callable[[Tensor], Any], names: str) -> None:
    with pytest.raises(UncountableOperatorError, match=f"odd gives {names}.*which are the logits is open"):
        count(Lambda(lambda n, x: give(n.linear(x)), linear=nn.Linear(4, 3)), 4)


def test_a_named_result_and_one_that_alone_can_be_the_logits() -> None:
    two = Lambda(lambda n, x: {"a": n.linear(x), "b": n.other(x)}, linear=nn.Linear(4, 3), other=nn.Linear(4, 5))
    assert only(count(two, 4, result="b")).name == "other"  # what only the other needs is not run
    with pytest.raises(UncountableOperatorError, match="nothing called 'c'; choose from a, b"):
        count(two, 4, result="c")
    given = Lambda(lambda n, x: Given(n.linear(x), x[:, :, None]), linear=nn.Linear(4, 3))
    assert count(given, 4).flops == 24


def test_a_branch_on_values_is_counted_from_an_example() -> None:
    network = Lambda(lambda n, x: n.a(x) if x.abs().sum() > 0 else n.b(x), a=nn.Linear(4, 3), b=nn.Linear(4, 30))
    counted = count(network, 4)
    assert only(counted).name == "a"
    assert counted.activation_groups == ()  # no two images need go the same way, so no tensor has a range


def test_a_hook_is_part_of_the_forward() -> None:
    network = nn.Sequential(nn.Linear(4, 3))
    network[0].register_forward_hook(lambda *_: _[-1] @ torch.ones(3, 2))
    assert count(network, 4).flops == 2 * (12 + 6)


def test_what_is_written_into_a_tensor_of_zeros() -> None:
    def forward(n: Any, x: Tensor) -> Tensor:
        steps = torch.zeros(len(x), 3, 4)
        for place in range(3):
            steps[:, place] = torch.relu(n.linear(x))
        return n.linear(steps).flatten(1)

    layer = only(count(Lambda(forward, linear=nn.Linear(4, 4)), 4))
    assert (layer.calls, layer.macs) == (4, 3 * 16 + 3 * 16)


def test_masks_and_positions_made_in_the_forward() -> None:
    def forward(n: Any, x: Tensor) -> Tensor:
        mask = x.new_full((5, 5), float("-inf")).triu_(1)
        places = torch.arange(5, device=x.device)
        x = x + n.positions(places)
        return F.scaled_dot_product_attention(x, x, x, mask)[:, 0]

    layer = only(count(Lambda(forward, positions=nn.Embedding(5, 4)), 5, 4))
    assert layer.macs == 2 * 5 * 5 * 4


def test_an_embedding_reads_the_rows_of_its_tokens_and_does_no_arithmetic() -> None:
    network = nn.Sequential(nn.Embedding(50, 4), nn.Linear(4, 2))
    counted = count(network, 6, dtype=torch.int64)
    assert only(counted).macs == 6 * 4 * 2
    assert (counted.item, an(counted.item)) == ("text", "a text")
    linear = 6 * 4 + 6 * 2 + 4 * 2 + 2  # read, written, weights, biases
    moved = {by: traffic(counted, [counted.uniform(32)], by=by).moved_bytes[0] for by in ("unfused", "fused")}
    # Six ids, a row of four numbers for each, and as many written: none of the other 44 rows.
    assert moved == {"unfused": 4 * linear, "fused": 4 * (linear + 6 + 6 * 4 + 6 * 4)}
    # Rows stay float32 where what is made of them has bits.
    halved = traffic(counted, [counted.policy({}, dict.fromkeys(counted.activation_groups, 8))], by="fused")
    assert halved.activation_bytes[0, 0] == 4 * (6 + 6 * 4 + 6 * 2) + 6 * 4 + 6 * 4


@pytest.mark.parametrize(
    ("forward", "named"),
    [
        (lambda n, x: torch.fft.rfft(x).real, r"_fft_r2c \(test_counting.py:\d+\) in odd cannot be counted"),
        (lambda n, x: torch.cdist(x[None], x[None])[0], r"_cdist_forward|_euclidean_dist"),
        (lambda n, x: F.dropout(x), r"dropout \(test_counting.py:\d+\) in odd drops in evaluation too"),
        (lambda n, x: x + torch.rand(4), r"rand \(test_counting.py:\d+\) in odd draws numbers"),
        (lambda n, x: n.linear(x.reshape(-1, 3)), r"Lambda, the network of odd, does not run.*test_counting.py:\d+"),
        (lambda n, x: n.linear.weight.mul_(2) @ x[0], r"mul_? \(test_counting.py:\d+\)|overwrites linear.weight"),
    ],
)
def test_what_cannot_be_counted_is_named_with_its_line(forward: Any, named: str) -> None:
    with pytest.raises(UncountableOperatorError, match=named):
        count(Lambda(forward, linear=nn.Linear(4, 3)), 4)


def test_counting_leaves_no_values_behind() -> None:
    network = Lambda(lambda n, x: F.linear(x, n.w), w=parameter(3, 4))
    before = network.w.detach().numpy().copy()
    count(network, 4)
    assert np.array_equal(network.w.detach().numpy(), before) and not network.w.is_meta
