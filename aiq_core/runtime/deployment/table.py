"""Measures the kernels of a model in a runtime, each as it follows others, and the borders between them."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from aiq_core.catalog import Model
from aiq_core.deployment.engine import Engine
from aiq_core.deployment.rounds import Pace, interleaved
from aiq_core.export.pieces import FP32, INT8, Piece, Pieces
from aiq_core.hardware import NumberType
from aiq_core.records import Border, KernelTable, KernelTimes, Quantizer
from aiq_core.runtime.calibrate import calibration
from aiq_core.runtime.cpu import cpu_kind
from aiq_core.runtime.deployment.engines import Call, installed, opened
from aiq_core.runtime.recorded import recorded
from aiq_core.runtime.rounded import RoundedLayers

PACE = Pace(rounds=15, again=0, at_least_s=0.001, warm_s=0)
Say = Callable[[float, str], None]


def measure_table(
    model: Model, settings: Quantizer, engine: Engine, batch: int, threads: int, say: Say = lambda share, told: None
) -> KernelTable:
    """The table of a model in a runtime. `say` hears how far it is, and may raise to stop.

    `settings` say how activations are calibrated: their ranges decide no time, but every grid has one. Raises what
    `opened` raises, and UncountableOperatorError where a network has no form in ONNX.
    """
    begun = time.perf_counter()
    assert settings.activations is not None
    ranges = calibration(model, settings.activations)
    pieces = Pieces(model, batch, RoundedLayers(model, settings), ranges, recorded(model))
    meter = _Meter(engine, threads)
    names = {layer.name for layer in model.profile.layers}
    kernels, borders = [], []
    count = len(pieces.kernels) + len(pieces.edges)
    for place, kernel in enumerate(pieces.kernels):
        modules = (str(model.profile.graph[operation].module) for operation in kernel.operations)
        say(place / count, f"kernel {place + 1} of {len(pieces.kernels)}, {engine.words}, batch {batch}")
        layers = tuple(name for name in modules if name in names)
        int8 = _added(pieces, meter, place, INT8) if pieces.can_run_in_int8(place) else None
        fp32, inside = _added(pieces, meter, place, FP32), pieces.inside(place)
        rounding = 0.0 if inside is None else _rounding(pieces, meter, place)
        kernels.append(KernelTimes(kernel.operations, layers, fp32, int8, inside, rounding))
    for place, edge in enumerate(pieces.edges):
        say((len(kernels) + place) / count, f"border {place + 1} of {len(pieces.edges)}, {engine.words}, batch {batch}")
        borders.append(_border(pieces, meter, edge))
    return KernelTable(
        model_hash=model.hash,
        engine=str(engine),
        version=str(installed(engine)),
        batch=batch,
        threads=threads,
        cpu=cpu_kind(),
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=time.perf_counter() - begun,
        kernels=tuple(kernels),
        borders=tuple(borders),
    )


def _added(pieces: Pieces, meter: "_Meter", place: int, kind: NumberType) -> float:
    """Seconds that a kernel adds to those before it, all of them computing in one type as far as they can."""
    window = {each: kind if pieces.can_run_in_int8(each) else FP32 for each in pieces.windows[place]}
    whole = pieces.piece(window, kind)
    if len(window) == 1:
        return float(meter([whole])[0])
    with_it, without = meter(
        [whole, pieces.piece({each: runs for each, runs in window.items() if each != place}, kind)]
    )
    return float(max(0.0, with_it - without))


def _rounding(pieces: Pieces, meter: "_Meter", place: int) -> float:
    """Seconds that a kernel in FP32 takes longer where what lies inside it is stored as integers."""
    plain, rounded = meter([pieces.piece({place: FP32}, FP32), pieces.piece({place: FP32}, INT8)])
    return float(max(0.0, rounded - plain))


def _border(pieces: Pieces, meter: "_Meter", edge: tuple[int, int, int]) -> Border:
    """What the types on both sides of a tensor cost beside the kernels themselves.

    A piece is a call, its kernels, and putting its inputs and its result into another layout. Each of these is in the
    sum of two kernels alone twice, and in the two together once; half of it belongs to either type.
    """
    writer, reader, tensor = edge
    able = [INT8 if pieces.can_run_in_int8(place) else FP32 for place in (writer, reader)]

    def pair(first: NumberType, second: NumberType, stored: NumberType) -> Piece:
        return pieces.piece({writer: first, reader: second}, stored)

    alone = [
        pieces.piece({writer: FP32}, FP32),
        pieces.piece({writer: able[0]}, INT8),
        pieces.piece({reader: FP32}, FP32),
        pieces.piece({reader: able[1]}, INT8),
    ]
    together = [
        pair(FP32, FP32, FP32),
        pair(able[0], able[1], INT8),
        pair(FP32, FP32, INT8),
        pair(FP32, able[1], INT8),
        pair(able[0], FP32, INT8),
    ]
    writes, writes_int8, reads, reads_int8, fp32, int8, stored, into, out = (
        float(each) for each in meter([*alone, *together])
    )
    saved = (writes + reads - fp32 + writes_int8 + reads_int8 - int8) / 2
    return Border(
        writer,
        reader,
        tensor,
        # A border that seems to save time is one that costs less than the clock can tell.
        fp32_fp32=max(0.0, stored - fp32),
        fp32_int8=max(0.0, into - writes - reads_int8 + saved),
        int8_fp32=max(0.0, out - writes_int8 - reads + saved),
    )


class _Meter:
    """Times pieces side by side, those of one signature once for all."""

    def __init__(self, engine: Engine, threads: int) -> None:
        self._engine, self._threads = engine, threads
        self._known: dict[tuple[str, ...], NDArray[np.float64]] = {}

    def __call__(self, pieces: Sequence[Piece]) -> NDArray[np.float64]:
        """Seconds a call, float64[pieces]: the lower quartile of rounds, for what else a machine does only adds."""
        key = tuple(piece.signature for piece in pieces)
        if key not in self._known:
            calls = {piece.signature: self._open(piece) for piece in pieces}
            found = interleaved(calls, PACE).seconds
            self._known[key] = np.array([np.quantile(found[signature], 0.25) for signature in key])
        return self._known[key]

    def _open(self, piece: Piece) -> Call:
        random = np.random.default_rng(0)
        feed = {
            name: random.integers(0, 256, shape).astype(np.uint8)
            if kind is np.uint8
            else random.random(shape, np.float32)
            for name, (kind, shape) in piece.inputs.items()
        }
        return opened(self._engine, piece.proto.SerializeToString(), feed, self._threads)
