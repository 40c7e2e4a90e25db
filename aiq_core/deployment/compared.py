"""Predicted against measured time: how far each predictor is off, and whether it ranks layers and variants rightly."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from aiq_core.catalog import Model
from aiq_core.deployment.engine import RUNTIMES, Engine
from aiq_core.deployment.nodes import Nodes
from aiq_core.deployment.prediction import Measured, Predictor, predicted_layers, predicted_seconds
from aiq_core.deployment.rows import Row, nodes
from aiq_core.deployment.variant import fp32
from aiq_core.hardware import NumberType
from aiq_core.library import Library
from aiq_core.records import ModelProfile, Policy

NEAR = 0.3
"""What counts as near, relatively."""

JUDGED = (1, 8, 32, 128)
"""Batches that predictions are judged at."""

UNIFORM = ("fp32", "int8")
"""The variants of the experiment that have one width."""


@dataclass(frozen=True)
class Compared:
    """A row with what a predictor says: seconds a batch, and how many times as fast as FP32 in the same engine."""

    row: Row
    predictor: Predictor
    seconds: float
    ratio: float

    @property
    def error(self) -> float:
        """How far the prediction is off, relatively: 0.1 is a tenth too long."""
        return self.seconds / self.row.timing.latency_s.value - 1

    @property
    def is_mixed(self) -> bool:
        """Whether some layers of it have FP32 weights or activations and others do not."""
        policy = self.row.variant.policy
        narrow = {bits <= 8 for bits in (*policy.weight_bits, *policy.activation_bits)}
        return len(narrow) > 1

    @property
    def has_sign(self) -> bool:
        """Whether every round said the same, faster than FP32 or slower: else there is nothing to tell."""
        measured = self.row.timing.ratio_to_engine_fp32
        return measured is not None and not measured.low <= 1 <= measured.high

    @property
    def is_sign_right(self) -> bool:
        """Whether it is faster than FP32 as predicted, or as predicted not."""
        measured = self.row.timing.ratio_to_engine_fp32
        return measured is not None and (self.ratio > 1) == (measured.value > 1)


@dataclass(frozen=True)
class Errors:
    """Of so many points: the median of relative errors without their sign, and the share that is near."""

    points: int
    median: float
    near: float


def compared(library: Library, model: Model, rows: Iterable[Row]) -> list[Compared]:
    """Every prediction of rows in runtimes, without BF16, which no predictor knows."""
    found, known = [], _Known(library, model)
    for row in rows:
        timing = row.timing
        if timing.engine not in RUNTIMES or row.variant.precision is not NumberType.FP32:
            continue
        measured = known.of(row)
        seconds = predicted_seconds(measured, model.profile, row.variant.policy, timing.batch)
        plain = predicted_seconds(measured, model.profile, fp32(model).policy, timing.batch)
        found += [Compared(row, each, seconds[each], plain[each] / seconds[each]) for each in seconds]
    return found


def errors(found: Sequence[Compared]) -> dict[Predictor, Errors]:
    """How far each predictor is off."""
    grouped: dict[Predictor, list[float]] = {}
    for each in found:
        grouped.setdefault(each.predictor, []).append(abs(each.error))
    return {
        predictor: Errors(len(off), median(off), float(np.mean([each <= NEAR for each in off])))
        for predictor, off in grouped.items()
    }


class _Known:
    """What was measured of the machines of rows, each read once."""

    def __init__(self, library: Library, model: Model) -> None:
        self._library, self._model = library, model
        self._found: dict[tuple[Engine, int, int, str], Measured] = {}

    def of(self, row: Row) -> Measured:
        """What predicts a row."""
        where = row.engine, row.timing.batch, row.timing.place.threads, row.timing.place.cpu
        if where not in self._found:
            self._found[where] = Measured.of(self._library, self._model.hash, *where)
        return self._found[where]


def layer_ranks(library: Library, model: Model, rows: Sequence[Row]) -> dict[Predictor, list[float]]:
    """Rank correlations of layers' times in the uniform variants, a figure an engine, variant and batch."""
    kept, known = nodes(library, rows), _Known(library, model)
    found: dict[Predictor, list[float]] = {}
    for row in rows:
        profiled = kept.get(row.timing.subject)
        if row.variant.name in UNIFORM and profiled is not None:
            ranks = rank_correlation(known.of(row), model.profile, row.variant.policy, row.timing.batch, profiled)
            for predictor, value in ranks.items():
                found.setdefault(predictor, []).append(value)
    return found


def rank_correlation(
    measured: Measured, profile: ModelProfile, policy: Policy, batch: int, profiled: Nodes
) -> dict[Predictor, float]:
    """Spearman's correlation of predicted and profiled times of a network's layers, by predictor."""
    from scipy.stats import spearmanr

    names = [layer.name for layer in profile.layers]
    shares = dict.fromkeys(names, 0.0)
    for node in profiled.nodes:
        for name in node.layers:
            if name in shares:
                shares[name] += node.share / len(node.layers)
    found = {}
    for predictor, times in predicted_layers(measured, profile, policy, batch).items():
        by_name = _by_layer(measured, names, predictor, times)
        both = [name for name in names if shares[name] > 0 and name in by_name]
        if len(both) > 2:
            ranks = spearmanr([by_name[name] for name in both], [shares[name] for name in both])
            found[predictor] = float(ranks.statistic)
    return found


def _by_layer(
    measured: Measured, names: Sequence[str], predictor: Predictor, times: np.ndarray[tuple[int], np.dtype[np.float64]]
) -> Mapping[str, float]:
    if predictor is not Predictor.TABLE or measured.table is None:
        return dict(zip(names, times.tolist(), strict=True))
    return {
        kernel.layers[0]: float(seconds)
        for kernel, seconds in zip(measured.table.kernels, times, strict=True)
        if kernel.layers
    }
