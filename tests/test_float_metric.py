"""A metric of floats, all of it in this file: the cross-entropy of Digits CNN, searched, tabled and drawn."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from math import nextafter, sqrt
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest
from numpy.typing import NDArray

from aiq_core import metrics
from aiq_core.catalog import Catalog
from aiq_core.catalog.catalog import ASSETS
from aiq_core.catalog.hashes import model_hash
from aiq_core.charts.optimism import optimism_data, optimism_figure, optimism_frame
from aiq_core.charts.pareto import pareto_data, pareto_frame
from aiq_core.charts.pareto_figure import pareto_figure
from aiq_core.charts.style import Look
from aiq_core.envelope import envelope
from aiq_core.execute import Evaluators, execute, new_run
from aiq_core.intensity import intensity
from aiq_core.library import Library
from aiq_core.metrics import Metric
from aiq_core.metrics.metric import Labels
from aiq_core.records import ImageSet, Outcomes, Policy, Quantizer, Request, RunStatus, Score, SplitName, unfinished
from aiq_core.runtime.evaluate import TorchEvaluator
from aiq_core.statistics import Z_95, Interval
from aiq_core.store import Store
from tests.search.reference import Bits, Setting, greedy

IMAGES = 500


@dataclass(frozen=True)
class Change:
    """How much two policies' losses differ, item by item."""

    first: NDArray[np.float64]
    second: NDArray[np.float64]

    @property
    def images(self) -> int:
        return len(self.first)

    @property
    def lost(self) -> int:
        return int((self.second > self.first).sum())

    @property
    def gained(self) -> int:
        return int((self.second < self.first).sum())

    @property
    def before(self) -> Interval:
        return _mean(-self.first)

    @property
    def after(self) -> Interval:
        return _mean(-self.second)

    @property
    def drop(self) -> Interval:
        return _mean(self.second - self.first)

    @property
    def p(self) -> float:
        return 1.0 if self.drop.contains_zero else 0.05


def _mean(values: NDArray[np.float64]) -> Interval:
    half = Z_95 * float(values.std(ddof=1)) / sqrt(len(values))
    return Interval(*(100 * (float(values.mean()) + side * half) for side in (0, -1, 1)))


class CrossEntropy(Metric):
    """An item's outcome is its loss in nats, the score minus the sum; a point is 0.01 nats an item."""

    name, title, unit, column = "cross_entropy", "minus cross-entropy", "cnat", "minus_cross_entropy"
    dtype = np.dtype(np.float32)

    def outcomes(self, logits: NDArray[np.float32], labels: Labels) -> Outcomes:
        shifted = logits - logits.max(axis=1, keepdims=True)
        return np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(labels)), labels]

    def margins(self, logits: NDArray[np.float32], labels: Labels) -> NDArray[np.floating]:
        return -self.outcomes(logits, labels)

    def is_valid(self, outcomes: Outcomes) -> bool:
        return outcomes.dtype == self.dtype and not (outcomes < 0).any()

    def score(self, outcomes: Outcomes, labels: Labels) -> float:
        return -float(np.nansum(outcomes, dtype=np.float64))

    def most(self, outcomes: Outcomes, labels: Labels) -> float:
        return self.score(outcomes, labels)

    def perfect(self, items: int) -> float:
        return 0.0

    def at_least(self, points: float, items: int) -> float:
        return points * items / 100

    def least(self, wins: Callable[[Score], bool], low: Score, high: Score) -> float:
        while not wins(low) and nextafter(low, high) < high:
            middle = (low + high) / 2
            low, high = (low, middle) if wins(middle) else (middle, high)
        return low if wins(low) else high

    def interval(self, score: Score, items: int) -> Interval:
        return Interval(100 * score / items, -np.inf, 0)

    def compare(self, before: Outcomes, after: Outcomes, labels: Labels) -> Change:
        return Change(before.astype(np.float64), after.astype(np.float64))


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
    """A library whose one model is Digits CNN, judged by its cross-entropy, in a catalogue that is not bundled."""
    monkeypatch.setitem(metrics.METRICS, CrossEntropy.name, lambda classes: CrossEntropy())
    folder = tmp_path / "catalog" / "models" / "digits_cnn"
    shutil.copytree(ASSETS / "models" / "digits_cnn", folder)
    shutil.copytree(ASSETS / "data" / "digits", tmp_path / "catalog" / "data" / "digits")
    plain = Catalog(ASSETS).model("digits_cnn")
    card = plain.card
    found = model_hash(plain.profile.graph, card.mean, card.std, plain.weights, CrossEntropy.name)
    document = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps(document | {"metric": CrossEntropy.name, "model_hash": found}))
    return Library(Store(tmp_path / "store.sqlite"), None, [Catalog(tmp_path / "catalog")])


def test_greedy_ends_where_the_plain_one_does_and_is_tabled_and_drawn(library: Library) -> None:
    model = library.model("digits_cnn")
    profile = model.profile
    request = Request("digits_cnn", "greedy", 0.9, images=IMAGES)
    run = execute(library, library.add_run(new_run(model, request)), Evaluators(threads=1))
    assert run.status is RunStatus.DONE, run.message

    evaluator = TorchEvaluator(model, ImageSet(SplitName.SEARCH, IMAGES), Quantizer(), 1)
    fp32 = profile.uniform(32)

    def policy_of(bits: Bits) -> Policy:
        return replace(fp32, weight_bits=bits)

    @cache
    def score(bits: Bits) -> float:
        outcomes = unfinished(IMAGES, np.dtype(np.float32))
        list(evaluator.chunks(policy_of(bits), None, outcomes))
        return -float(outcomes.sum(dtype=np.float64))

    assert run.baseline_score == pytest.approx(score(fp32.weight_bits)) and score(fp32.weight_bits) < 0
    assert run.floor_score == pytest.approx(score(fp32.weight_bits) - 2.42 * IMAGES / 100)
    assert run.intensity_normaliser is not None and run.floor_score is not None
    plain = Setting(
        intensity=lambda bits: intensity(profile, policy_of(bits)),
        right=score,
        alpha=0.9,
        intensity_normaliser=run.intensity_normaliser,
        accuracy_normaliser=10.0,
        images=IMAGES,
        baseline=score(fp32.weight_bits),
        floor=run.floor_score,
        widths=((32, 8, 4),) * len(fp32.weight_bits),
        movable=tuple(range(len(fp32.weight_bits))),
        start=fp32.weight_bits,
    )
    took = list(greedy(plain))
    assert [step.policy.weight_bits for step in run.steps] == [step.bits for step in took]
    assert [step.score for step in run.steps] == pytest.approx([step.right for step in took])
    assert run.policy is not None and 0 < run.evaluations < 2 * len(took) * len(profile.quantizable)

    table = library.table(model, IMAGES)
    judged = table.on(SplitName.REPORT)[0][table.row(run.policy) or 0]
    assert table.metric is model.metric and isinstance(judged, Change) and judged.before.value < 0
    rows = [segment.row for segment in envelope(table, table.usual_goal)]
    drawn = pareto_data(table, rows, [], shown=run.policy)
    figure = pareto_figure(drawn, Look())
    assert figure["layout"]["yaxis"]["title"]["text"] == f"minus cross-entropy cnat, {IMAGES} search images"
    shown = pareto_frame(drawn).set_index("policy")["search_minus_cross_entropy"]
    assert shown[run.policy.key] == pytest.approx(100 * score(run.policy.weight_bits) / IMAGES)
    go.Figure(**figure)
    both = optimism_data(table, {})
    assert set(optimism_frame(both)["policy"]) == {run.policy.key}
    go.Figure(**optimism_figure(both, Look()))


def test_another_metric_of_the_same_weights_is_another_model(library: Library) -> None:
    model, plain = library.model("digits_cnn"), Catalog(ASSETS, bundled=True).model("digits_cnn")
    assert {name: array.tobytes() for name, array in model.weights.items()} == {
        name: array.tobytes() for name, array in plain.weights.items()
    }
    assert model.hash != plain.hash
    request = Request("digits_cnn", "greedy", 0.9, images=IMAGES)
    assert new_run(model, request).id != request.digest == new_run(plain, request).id


def test_models_of_a_later_catalogue_follow_and_never_take_a_name(library: Library) -> None:
    mine, shipped = library.catalogs[0], Catalog(ASSETS, bundled=True)
    both = Library(None, None, [shipped, mine]).models
    assert list(both) == list(shipped.models) and both["digits_cnn"].bundled
    assert next(iter(Library(None, None, [mine, shipped]).models)) == "digits_cnn"
