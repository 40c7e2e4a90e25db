"""Evaluations and runs made by hand, of digits_cnn: small, and with keys that the library knows."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aiq_core.execute import new_run
from aiq_core.library import Library
from aiq_core.records import (
    Evaluation,
    Origin,
    Policy,
    Quantizer,
    Request,
    Run,
    RunStatus,
    SplitName,
    Step,
    unfinished,
)
from aiq_core.store import Store
from tests import bundled

HERE = Origin("this cpu", "2.14.1", threads=2, chunk=250, created_at="2026-01-01T00:00:00+00:00")
IMAGES = 500

MakeEvaluation = Callable[..., Evaluation]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store.sqlite")


@pytest.fixture
def evaluation() -> MakeEvaluation:
    """evaluation(bits=4, wrong=30, done=slice(0, 250)): digits_cnn all at `bits`, the first `wrong` images missed."""

    def make(
        bits: int | Policy = 4,
        wrong: int = 20,
        done: slice = slice(None),
        split: SplitName = SplitName.SEARCH,
        origin: Origin = HERE,
    ) -> Evaluation:
        profile = bundled.profile("digits_cnn")
        policy = bits if isinstance(bits, Policy) else profile.uniform(bits)
        key = Library(None, None).key(bundled.model("digits_cnn"), split, policy, Quantizer())
        said = bundled.dataset("digits").split(split).labels.copy()
        said[:wrong] = (said[:wrong] + 1) % 10
        predicted = unfinished(IMAGES, np.dtype(np.uint8))
        predicted[done] = said[done]
        return Evaluation(key, predicted, origin)

    return make


@pytest.fixture
def finished_run() -> Run:
    """A run of one step, done here: all layers listed at 4 bits."""
    profile = bundled.profile("digits_cnn")
    policy = profile.uniform(4)
    request = Request("digits_cnn", "uniform", images=IMAGES, policies=(policy,), label="all at 4 bits")
    step = Step(1, 1, None, policy, 19.375, 480, 0.0, "evaluated as listed")
    return replace(
        new_run(bundled.model(request.model), request),
        created_at="2026-01-01T00:00:00.000+00:00",
        status=RunStatus.DONE,
        origin=HERE,
        steps=(step,),
        policy=policy,
        evaluations=1,
        evaluations_new=1,
    )
