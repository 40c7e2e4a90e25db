"""Networks as people have them run part by part as their modules do, with other weights and narrower tensors."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor, nn

from aiq_core.errors import UncountableOperatorError, WeightsError
from aiq_core.folding import fold
from aiq_core.graph import folded_norms
from aiq_core.records import Granularity, Quantizer
from aiq_core.rounding import round_layer
from aiq_core.runtime.network import Network
from aiq_core.runtime.profile import profile
from aiq_core.runtime.tuned_network import run
from tests.networks import Lambda


def parameter(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.randn(shape, generator=torch.Generator().manual_seed(0)))


def normed(layer: nn.Module, norm: nn.Module) -> nn.Sequential:
    """A layer and a norm that is not the one it was made as."""
    generator = torch.Generator().manual_seed(1)
    norm.running_mean.normal_(generator=generator)
    norm.running_var.uniform_(0.1, 2, generator=generator)
    return nn.Sequential(layer, norm, nn.ReLU(), nn.Flatten())


def attend(n: Any, x: Tensor) -> Tensor:
    y, _ = n.attention(n.norm(x), n.norm(x), n.norm(x), need_weights=False)
    return n.linear((x + y).mean(1))


def shortcut(n: Any, x: Tensor) -> Tensor:
    """Every second pixel, channels padded with zeros, as ResNets for small images have it."""
    y = n.second(torch.relu(n.first(x)))
    return torch.relu(y + F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 1, 1))).mean((2, 3))


def stepwise(n: Any, x: Tensor) -> Tensor:
    found = torch.zeros(len(x), 3, 4)
    for place in range(3):
        found[:, place] = n.linear(x[:, place])
    return n.linear(found).flatten(1)


def decode(n: Any, x: Tensor) -> Tensor:
    hidden = x.new_zeros(len(x), 8)
    for step in x.unbind(1):
        hidden = n.cell(step, hidden)
    return n.linear(hidden)


def in_place(n: Any, x: Tensor) -> Tensor:
    y = n.linear(x)
    left, right = y.chunk(2, -1)
    left += 1
    return y * F.silu(right.repeat(1, 2), inplace=True)


def functions(n: Any, x: Tensor) -> Tensor:
    return torch.addmm(n.b, F.linear(x, n.w), n.turned).tanh() @ n.w.T  # type: ignore[no-any-return]


IMAGE, ROWS, HEAD = (3, 6, 6), (5, 8), nn.Linear(8, 3)
NETWORKS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "1d": (normed(nn.Conv1d(5, 6, 3, groups=1), nn.BatchNorm1d(6)), ROWS),
    "3d": (normed(nn.Conv3d(3, 4, (1, 2, 2), bias=False), nn.BatchNorm3d(4, eps=1e-3, affine=False)), (3, 2, 4, 4)),
    "transposed": (nn.Sequential(nn.ConvTranspose2d(4, 6, 3, 2, 1, 1, groups=2), nn.Flatten()), (4, 5, 5)),
    "transposed and normed": (normed(nn.ConvTranspose1d(5, 4, 3, bias=False), nn.BatchNorm1d(4)), ROWS),
    "normed linear": (nn.Sequential(nn.Flatten(), *normed(nn.Linear(40, 4), nn.BatchNorm1d(4))), ROWS),
    "attention": (
        Lambda(attend, attention=nn.MultiheadAttention(8, 2, batch_first=True), norm=nn.LayerNorm(8), linear=HEAD),
        ROWS,
    ),
    "encoder": (
        nn.Sequential(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True), nn.Flatten()), ROWS,
    ),
    "lstm": (
        Lambda(lambda n, x: n.linear(n.cell(x)[0][:, -1]), cell=nn.LSTM(8, 8, batch_first=True), linear=HEAD), ROWS,
    ),
    "cell": (Lambda(decode, cell=nn.GRUCell(8, 8), linear=HEAD), ROWS),
    "shortcut": (Lambda(shortcut, first=nn.Conv2d(3, 4, 3, 2, 1), second=nn.Conv2d(4, 5, 3, 1, 1)), IMAGE),
    "stepwise": (Lambda(stepwise, linear=nn.Linear(4, 4)), (3, 4)),
    "in place": (Lambda(in_place, linear=nn.Linear(4, 6)), (4,)),
    "functions": (
        Lambda(functions, w=parameter(3, 4), b=parameter(4), turned=parameter(3, 4)), (4,),
    ),
    "einsum": (Lambda(lambda n, x: torch.einsum("bti,io->bto", x, n.w).amax(1), w=parameter(8, 3)), ROWS),
    "computed": (nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(4, 3)), nn.Softmax(-1)), (4,)),
    "shared": (Lambda(lambda n, x: n.linear(torch.relu(n.linear(x))), linear=nn.Linear(4, 4)), (4,)),
    "joined images": (
        Lambda(lambda n, x: n.linear(x.reshape(-1, 8)).reshape(-1, 5, 3).amax(1), linear=nn.Linear(8, 3)), ROWS,
    ),
}  # fmt: skip


def images(shape: tuple[int, ...], count: int) -> Tensor:
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(count))


def network_of(module: nn.Module, shape: tuple[int, ...]) -> Network:
    return Network(copy.deepcopy(module), profile(module, "odd", shape, ()), shape)


@pytest.mark.parametrize(("module", "shape"), NETWORKS.values(), ids=NETWORKS)
def test_a_network_gives_what_its_module_does(module: nn.Module, shape: tuple[int, ...]) -> None:
    network = network_of(module, shape)
    assert not network.is_whole
    with torch.inference_mode():
        for count in (5, 1, 3):
            x = images(shape, count)
            given = x.clone()
            torch.testing.assert_close(run(network, x), module.eval()(x), rtol=1e-4, atol=1e-5)
            assert torch.equal(x, given)


@pytest.mark.parametrize(("module", "shape"), NETWORKS.values(), ids=NETWORKS)
def test_every_layer_of_bits_decides_what_is_given(module: nn.Module, shape: tuple[int, ...]) -> None:
    network, counted = network_of(module, shape), profile(module, "odd", shape, ())
    with torch.inference_mode():
        x = images(shape, 4)
        before = run(network, x)
        for name in counted.quantizable_names:
            layer = network.layers[name]
            held = layer.weight.data, layer.bias.data
            layer.weight.data, layer.bias.data = torch.full_like(held[0], 0.5), torch.full_like(held[1], 0.25)
            assert not torch.allclose(run(network, x), before)
            layer.weight.data, layer.bias.data = held
        assert torch.equal(run(network, x), before)


@pytest.mark.parametrize(("module", "shape"), NETWORKS.values(), ids=NETWORKS)
def test_a_stored_tensor_may_be_changed_in_place(module: nn.Module, shape: tuple[int, ...]) -> None:
    network, counted = network_of(module, shape), profile(module, "odd", shape, ())
    x, seen = images(shape, 4), []

    def note(place: int, tensor: Tensor) -> Tensor:
        seen.append(place)
        return tensor

    with torch.inference_mode():
        before = run(network, x, note)
        assert sorted(seen) == list(counted.stored_tensors)
        for place in counted.stored_tensors:
            apart = run(network, x, lambda at, tensor, place=place: tensor.round() if at == place else tensor)
            within = run(network, x, lambda at, tensor, place=place: tensor.round_() if at == place else tensor)
            torch.testing.assert_close(apart, within)
            x = images(shape, 4)
        assert torch.equal(run(network, x), before)


def test_one_layer_of_two_calls_reads_and_writes_one_group() -> None:
    def forward(n: Any, x: Tensor) -> Tensor:
        y = torch.relu(n.first(x))
        for _ in range(2):
            y = torch.relu(n.shared(torch.tanh(y * 2)))
        return n.head(y)

    layers = {name: nn.Linear(4, 4) for name in ("first", "shared", "head")}
    counted = profile(Lambda(forward, **layers), "odd", (4,), ())
    groups = {layer.name: (layer.input_group, layer.output_group) for layer in counted.layers}
    assert groups == {"first": ("image", "first"), "shared": ("mul", "shared"), "head": ("shared", None)}
    # Were what it writes the logits, the first call would have to write FP32 as well, and so it would read FP32.
    (layer,) = profile(NETWORKS["shared"][0], "odd", (4,), ()).layers
    assert (layer.input_group, layer.output_group) == (None, None)


# Values decide


def chosen(n: Any, x: Tensor) -> Tensor:
    y = torch.relu(n.norm(n.conv(x))).mean((2, 3))
    return n.a(y) if y.sum() > 0 else y @ n.b.T


BRANCHING = Lambda(chosen, conv=nn.Conv2d(3, 4, 3), norm=nn.BatchNorm2d(4), a=nn.Linear(4, 3), b=parameter(3, 4))


def test_where_values_decide_whole_forwards_run_with_exchanged_weights() -> None:
    counted = profile(BRANCHING, "odd", IMAGE, ())
    network = network_of(BRANCHING, IMAGE)
    assert network.is_whole and len(network.parts) == 1
    assert counted.activation_groups == () and not folded_norms(counted.graph)
    assert network.parts[0].layers == ("conv", "a")
    x = images(IMAGE, 3)
    with torch.inference_mode():
        torch.testing.assert_close(run(network, x), BRANCHING.eval()(x), rtol=1e-4, atol=1e-5)
        network.layers["a"].weight.data = torch.zeros(3, 4)
        network.layers["a"].bias.data = torch.tensor([1.0, 2.0, 3.0])
        read: list[Tensor] = []
        network.layers["a"].register_forward_pre_hook(lambda _, inputs: read.append(inputs[0]))
        assert run(network, x).tolist() == [[1, 2, 3]] * 3
        assert [tuple(each.shape) for each in read] == [(3, 4)]


@pytest.mark.parametrize(
    "forward",
    [
        lambda n, x: torch.einsum("bi,oi->bo", x, n.w),
        lambda n, x: x @ n.w.T,
        lambda n, x: n.cell(x, x.new_ones(len(x), 3)) @ torch.eye(3),
        lambda n, x: n.transposed(x[:, :, None]).flatten(1),
    ],
)
def test_every_layer_of_a_whole_network_is_exchanged(forward: Callable[[Any, Tensor], Tensor]) -> None:
    parts = {"w": parameter(3, 4), "cell": nn.GRUCell(4, 3), "transposed": nn.ConvTranspose1d(4, 6, 2, groups=2)}
    module = Lambda(lambda n, x: forward(n, x) + float(x.sum() > 0), **parts)
    network, counted = network_of(module, (4,)), profile(module, "odd", (4,), ())
    assert network.is_whole and counted.quantizable
    with torch.inference_mode():
        x = images((4,), 3)
        before = run(network, x)
        torch.testing.assert_close(before, module(x))
        for name in counted.quantizable_names:
            held = network.layers[name].weight.data
            network.layers[name].weight.data = held + 1
            assert not torch.allclose(run(network, x), before)
            network.layers[name].weight.data = held


def test_code_that_values_lead_through_is_part_of_what_is_computed() -> None:
    def other(n: Any, x: Tensor) -> Tensor:
        return n.a(torch.relu(n.norm(n.conv(x))).mean((2, 3)))

    class Another(Lambda):
        """The same on this example, of other code."""

    parts = {name: getattr(BRANCHING, name) for name in ("conv", "norm", "a", "b")}
    first, same, another = (
        profile(network, "odd", IMAGE, ()).graph
        for network in (BRANCHING, Lambda(chosen, **parts), Another(chosen, **parts))
    )
    assert first == same != another


def test_a_network_that_does_something_else_for_a_batch_runs_whole() -> None:
    module = Lambda(lambda n, x: n.linear(x) if len(x) == 1 else n.linear(x).relu(), linear=nn.Linear(4, 3))
    network = network_of(module, (4,))
    assert network.is_whole
    with torch.inference_mode():
        for count in (1, 3):
            x = images((4,), count)
            torch.testing.assert_close(run(network, x), module(x))


def test_a_network_of_one_image_at_a_time_is_counted_and_says_so_when_it_runs() -> None:
    network = network_of(Lambda(lambda n, x: n.linear(x.view(1, 4)), linear=nn.Linear(4, 3)), (4,))
    assert run(network, images((4,), 1)).shape == (1, 3)
    with pytest.raises(
        UncountableOperatorError, match=r"does not run on inputs of 2 x 4 at test_network.py:\d+: .*shape"
    ):
        run(network, images((4,), 2))


# Folding and rounding


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_a_norms_own_epsilon_without_gamma_with_a_bias(bias: bool, affine: bool) -> None:
    norm = nn.BatchNorm2d(4, eps=1e-3, affine=affine)
    norm.running_var.fill_(4e-4)
    norm.running_mean.fill_(0.5)
    module = nn.Sequential(nn.Conv2d(3, 4, 3, bias=bias), norm)
    counted = profile(module, "odd", IMAGE, ())
    folded = fold({name: tensor.detach().numpy() for name, tensor in module.state_dict().items()}, counted)["0"]
    gain = 26.73  # 1 / sqrt(4e-4 + 1e-3), where an epsilon of 1e-5 would give 49.39
    np.testing.assert_allclose(folded.weight, gain * module[0].weight.detach().numpy(), rtol=1e-3)
    with torch.inference_mode():
        x = images(IMAGE, 2)
        torch.testing.assert_close(run(network_of(module, IMAGE), x), module.eval()(x), rtol=0, atol=1e-4)


def test_a_norm_without_running_statistics_is_refused_by_its_name() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, affine=False, track_running_stats=False))
    with pytest.raises(WeightsError, match="1 of odd keeps no running statistics"):
        network_of(module, IMAGE)


def test_a_transposed_convolution_is_rounded_along_its_outputs() -> None:
    module = nn.Sequential(nn.ConvTranspose2d(2, 3, 1, bias=False))
    weight = torch.tensor([0.01, 1, 100]).expand(2, 3)[:, :, None, None]
    module[0].weight.data = weight.clone()
    folded = fold({"0.weight": weight.numpy()}, profile(module, "odd", (2, 4, 4), ()))["0"]
    assert folded.weight.shape == (3, 2, 1, 1)
    rounded = round_layer(folded, 8, Quantizer(granularity=Granularity.CHANNEL), lambda: None)
    # One scale an input channel would make 0 of the first output channel.
    np.testing.assert_allclose(rounded.weight[:, 0, 0, 0], [0.01, 1, 100], rtol=1e-6)
