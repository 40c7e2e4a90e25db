"""Tables of kernels: their times by hand, the solver's program against all policies, and a real one."""

from itertools import product

import numpy as np
import onnxruntime
import pytest
from torch import nn

from aiq_core.catalog import Model
from aiq_core.deployment.engine import RUNTIMES, Engine
from aiq_core.deployment.prediction import Measured, Predictor, predicted_seconds
from aiq_core.errors import InfeasibleError, SettingError
from aiq_core.export.onnx_model import INPUT, export
from aiq_core.export.pieces import FP32, INT8, Pieces
from aiq_core.frontier import Budget, Measure, Quantity, Sensitivity, Solver
from aiq_core.frontier.budget import KERNELS
from aiq_core.hardware import NumberType
from aiq_core.records import Border, KernelTable, KernelTimes, ModelProfile, Move, Policy, SiteKind
from aiq_core.roof import Bandwidth, Roof, Spread
from aiq_core.runtime.calibrate import calibration
from aiq_core.runtime.deployment.engines import opened
from aiq_core.runtime.deployment.table import measure_table
from aiq_core.runtime.profile import profile
from aiq_core.runtime.rounded import RoundedLayers
from aiq_core.space import JOINT
from aiq_core.traffic.fused import kernels
from tests import bundled

MODEL = bundled.model("digits_cnn")
PROFILE = MODEL.profile
HOW = JOINT.quantizer(MODEL.dataset)
ROUNDED, RANGES = RoundedLayers(MODEL, HOW), calibration(MODEL, HOW.activations)
KERNELS_OF = kernels(PROFILE.graph)


def table(seed: int = 0, batch: int = 4, model: Model = MODEL) -> KernelTable:
    """One of made-up times: kernels of 10 to 100 µs, of which INT8 takes a part; borders of up to 40 µs."""
    random, how = np.random.default_rng(seed), JOINT.quantizer(model.dataset)
    assert how.activations
    pieces = Pieces(model, batch, RoundedLayers(model, how), calibration(model, how.activations))
    graph, names = model.profile.graph, {layer.name for layer in model.profile.layers}
    made = []
    for place, kernel in enumerate(pieces.kernels):
        layers = [str(graph[each].module) for each in kernel.operations if graph[each].module in names]
        fp32 = float(random.integers(10, 100)) * 1e-6
        int8 = fp32 * float(random.uniform(0.3, 1.2)) if pieces.can_run_in_int8(place) else None
        inside = pieces.inside(place)
        rounding = 0.0 if inside is None else float(random.integers(1, 20)) * 1e-6
        made.append(KernelTimes(kernel.operations, tuple(layers), fp32, int8, inside, rounding))
    borders = [Border(*edge, *(float(each) * 1e-6 for each in random.integers(0, 40, 3))) for edge in pieces.edges]
    return KernelTable(model.hash, "onnxruntime", "1", batch, 1, "a CPU", "now", 1.0, tuple(made), tuple(borders))


def timed(policy: Policy, made: KernelTable, profile: ModelProfile = PROFILE) -> float:
    """Seconds an image, spelled out: what each kernel reads and writes decides its type, and both sides a border."""
    groups, bits = profile.named_activation_bits(policy), profile.named_bits(policy)

    def stored(place: int) -> bool:
        return profile.graph[place].operator != "image" and groups[profile.stored_tensors[place]] <= 8

    runs = []
    for kernel in kernels(profile.graph):
        layers = [profile.graph[each].module for each in kernel.operations]
        narrow = all(bits.get(str(layer), 8) <= 8 for layer in layers if layer is not None)
        writes = kernel.writes not in profile.stored_tensors or stored(kernel.writes)
        runs.append(narrow and writes and all(map(stored, kernel.reads)))
    total = 0.0
    for kernel, int8 in zip(made.kernels, runs, strict=True):
        total += kernel.int8 if int8 and kernel.int8 is not None else kernel.fp32
        if kernel.inside is not None and stored(kernel.inside) and not int8:
            total += kernel.rounding
    for border in made.borders:
        if stored(border.tensor):
            costs = {
                (False, False): border.fp32_fp32,
                (False, True): border.fp32_int8,
                (True, False): border.int8_fp32,
                (True, True): 0.0,
            }
            total += costs[runs[border.writer], runs[border.reader]]
    return total / made.batch


def all_policies() -> list[Policy]:
    """Every policy of 32 or 8 bits in which the image has 8."""
    weights, groups = len(PROFILE.quantizable), len(PROFILE.activation_groups)
    image = PROFILE.activation_groups.index("image")
    return [
        Policy(bits[:weights], bits[weights:])
        for bits in product((32, 8), repeat=weights + groups)
        if bits[weights + image] == 8
    ]


def costs(seed: int) -> Sensitivity:
    random = np.random.default_rng(seed)
    return Sensitivity("", Measure.KL, 1, {Move(site, 8): float(random.uniform(1, 9)) * 1e-3 for site in PROFILE.sites})


def test_times_of_policies_are_those_spelled_out() -> None:
    made = table()
    for policy in all_policies()[::37]:
        assert made.seconds_an_image(PROFILE, policy) == pytest.approx(timed(policy, made), rel=1e-12)


def test_what_lies_inside_kernels_counts_where_they_compute_in_fp32() -> None:
    """ResNet-20's nine convolutions before an add: what they give is stored too, as the add's other side is."""
    model = bundled.model("resnet20")
    made, random = table(model=model), np.random.default_rng(0)
    assert sum(kernel.inside is not None for kernel in made.kernels) == 9
    sites = len(model.profile.quantizable), len(model.profile.activation_groups)
    for _ in range(20):
        policy = Policy(*(tuple(int(bits) for bits in random.choice((8, 32), count)) for count in sites))
        assert made.seconds_an_image(model.profile, policy) == pytest.approx(timed(policy, made, model.profile))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_program_finds_what_trying_all_policies_does(seed: int) -> None:
    made, known = table(seed), costs(seed)
    offered = dict.fromkeys(PROFILE.sites, (32, 8))
    offered = {site: (8,) if site.name == "image" else widths for site, widths in offered.items()}
    solver = Solver(PROFILE, known, PROFILE.uniform(32), offered, table=made)
    tried = [(made.seconds_an_image(PROFILE, each), known.predicted(PROFILE, each)) for each in all_policies()]
    shortest = min(seconds for seconds, _ in tried)
    assert solver.value(Quantity.TIME, solver.least(Quantity.TIME, KERNELS), KERNELS) == pytest.approx(shortest)
    fp32 = made.seconds_an_image(PROFILE, PROFILE.uniform(32))
    for limit in np.linspace(shortest * 1.01, fp32, 4):
        found = solver.solve([Budget(Quantity.TIME, float(limit), KERNELS)])
        assert found.cost == pytest.approx(min(cost for seconds, cost in tried if seconds <= limit), rel=2e-4)
    with pytest.raises(InfeasibleError, match="µs an image by measured kernels is out of reach"):
        solver.solve([Budget(Quantity.TIME, shortest * 0.9, KERNELS)])


def test_what_only_a_maximum_is_read_of_lies_in_fp32() -> None:
    """Its border costs nothing, and what takes the maximum runs in FP32; the rest runs in INT8 all the same."""
    network = nn.Sequential(
        *(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(64, 10)),
    )
    counted = profile(network, "pooled", (1, 8, 8), ())
    times = [(("0",), 40e-6, None), ((), 10e-6, None), (("3",), 40e-6, 15e-6), (("6",), 20e-6, 10e-6)]
    made = [
        KernelTimes(kernel.operations, layers, fp32, int8, None, 0.0)
        for kernel, (layers, fp32, int8) in zip(kernels(counted.graph), times, strict=True)
    ]
    edges = [(place, place + 1, kernel.operations[-1]) for place, kernel in enumerate(made[:-1])]
    borders = [Border(*edge, 3e-6, 5e-6, 7e-6) for edge in edges]
    own = KernelTable("", "onnxruntime", "1", 1, 1, "a CPU", "now", 1.0, tuple(made), tuple(borders))
    narrow = counted.uniform(8, 8)
    # FP32 until the maximum; from there to INT8, 5, and within it, 0.
    assert own.seconds_an_image(counted, narrow) == pytest.approx((40 + 10 + 5 + 15 + 10) * 1e-6)
    offered = dict.fromkeys(counted.sites, (32, 8))
    free = Sensitivity("", Measure.KL, 1, {Move(site, 8): 1e-3 for site in counted.sites})
    solver = Solver(counted, free, counted.uniform(32), offered, table=own)
    assert solver.value(Quantity.TIME, solver.least(Quantity.TIME, KERNELS), KERNELS) == pytest.approx(80e-6)


def test_time_on_kernels_needs_a_table() -> None:
    solver = Solver(PROFILE, costs(0), PROFILE.uniform(32), {})
    with pytest.raises(SettingError, match="no kernels of this model are measured yet"):
        solver.value(Quantity.TIME, PROFILE.uniform(8), KERNELS)


def test_a_table_is_read_back_and_its_hash_is_of_every_number() -> None:
    made = table()
    again = KernelTable.from_json(made.measurement.document)
    assert again.to_json() == made.to_json()
    assert again.hash == made.hash
    assert table(1).hash != made.hash


@pytest.mark.parametrize("kind", [FP32, INT8])
def test_pieces_in_a_row_compute_what_the_whole_does(kind: NumberType) -> None:
    """Each kernel alone, fed with what the one before it gave: the logits are the whole network's, in either type."""
    batch = 3
    pieces = Pieces(MODEL, batch, ROUNDED, RANGES)
    whole = export(MODEL, PROFILE.uniform(32 if kind is FP32 else 8, 32 if kind is FP32 else 8), ROUNDED, RANGES)
    images = np.random.default_rng(0).random((batch, *MODEL.card.input_shape), np.float32)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL

    def run(content: bytes, feed: dict[str, np.ndarray]) -> np.ndarray:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"]).run(None, feed)[0]

    known = {INPUT: images}
    for place in range(len(pieces.kernels)):
        piece = pieces.piece({place: kind if pieces.can_run_in_int8(place) else FP32}, kind)
        feed = {}
        for name, (dtype, shape) in piece.inputs.items():
            assert (known[name].dtype, known[name].shape) == (dtype, shape)
            feed[name] = known[name]
        (output,) = piece.proto.graph.output
        known[output.name] = run(piece.proto.SerializeToString(), feed)
        if kind is INT8 and output.name not in whole.stored.values() and place + 1 < len(pieces.kernels):
            # What the first layer gives in FP32 is quantized by who reads it.
            written = whole.stored[pieces.kernels[place].writes]
            found = run(pieces.piece({place: INT8}, INT8).proto.SerializeToString(), feed)
            known[written] = found
    right = run(whole.save(), {INPUT: images})
    assert np.abs(known[output.name] - right).max() < 1e-4


def test_equal_kernels_have_one_signature() -> None:
    resnet = bundled.model("resnet20")
    how = JOINT.quantizer(resnet.dataset)
    assert how.activations
    pieces = Pieces(resnet, 2, RoundedLayers(resnet, how), calibration(resnet, how.activations))
    signatures = [pieces.piece({place: FP32}, FP32).signature for place in range(len(pieces.kernels))]
    # conv1 | first convolutions of three blocks, and second ones, which add, by stage: 6 | of stages 2 and 3 also the
    # first one, with stride, its second one, and the shortcut, which takes the add: 3 each | pool | linear.
    assert len(set(signatures)) < len(signatures) // 2 + 6
    assert len({pieces.piece({place: INT8}, INT8).signature for place in (1, 3, 5)}) == 1


@pytest.mark.parametrize("engine", RUNTIMES)
def test_a_real_table_is_measured(engine: Engine) -> None:
    told: list[float] = []
    made = measure_table(MODEL, HOW, engine, 2, 1, lambda share, words: told.append(share))
    assert [kernel.operations for kernel in made.kernels] == [kernel.operations for kernel in KERNELS_OF]
    assert made.kernels[0].int8 is None  # it reads the image
    assert all(kernel.fp32 >= 0 and (kernel.int8 or 0) >= 0 for kernel in made.kernels)
    assert sorted(told) == told
    assert len(told) == len(made.kernels) + len(made.borders)
    assert sum(made.in_int8(PROFILE, PROFILE.uniform(8, 8))) == len(made.kernels) - 1
    assert not any(made.in_int8(PROFILE, PROFILE.uniform(8)))


def test_predictions_by_hand() -> None:
    made, eight = table(batch=1), PROFILE.uniform(8, 8)
    curve = tuple(Bandwidth(2 * 1024 * 2**place, "sum", Spread(*(1e9 * 2 ** -(place // 2),) * 3)) for place in range(4))
    peaks = {NumberType.FP32: Spread(1e9, 1e9, 1e9), NumberType.INT8: Spread(4e9, 4e9, 4e9)}
    roof = Roof("a CPU", 1, curve, peaks, (), {}, "now", 1.0)
    found = predicted_seconds(Measured(roof, None, made), PROFILE, eight, 1)
    # All weights, of one byte each in INT8 and four in the first layer, come at 0.5 GB/s, for 1 GB/s ends at 4 KiB;
    # what fits into that with what it reads and writes comes twice as fast alone, so it takes 1 ns a byte longer.
    assert sum(layer.weights for layer in PROFILE.layers) > 4 * 1024
    cold = 0.0
    for place, layer in enumerate(PROFILE.layers):
        size = 4 if place == 0 else 1
        if size * (layer.weights + layer.input_elements + layer.output_elements) <= 4 * 1024:
            cold += size * layer.weights * 1e-9
    assert cold > 0
    assert found[Predictor.TABLE] == pytest.approx(sum(made.times(PROFILE, eight)) + cold)
    assert found[Predictor.BORDERS] == pytest.approx(timed(eight, made) + cold)
    assert Predictor.RATES not in found
    assert found[Predictor.ROOFLINE] >= PROFILE.flops / 4e9
    assert predicted_seconds(Measured(None, None, None), PROFILE, eight, 1) == {}


def test_a_runtime_is_named_that_runs_nothing_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiq_core.runtime.deployment.engines.installed", lambda engine: None)
    with pytest.raises(SettingError, match="OpenVINO is not installed; pip install openvino"):
        opened(Engine.OPENVINO, b"", {}, 1)


def test_widths_of_groups_alone_are_no_integer_kernel() -> None:
    made = table()
    site = next(site for site in PROFILE.sites if site.kind is SiteKind.ACTIVATIONS and site.name != "image")
    assert not any(made.in_int8(PROFILE, PROFILE.moved(PROFILE.uniform(32), Move(site, 8))))
