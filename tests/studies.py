"""A study of rounding in a store of a test's own."""

from pathlib import Path

import numpy as np

from aiq_core.library import Library, open_library
from aiq_core.records import Evaluation, Origin, SplitName
from aiq_core.rounding import settings
from aiq_core.store import Store
from tests import bundled


def save_study(folder: Path) -> None:
    """All layers of ResNet-20 at 4 bits: MSE scales, corrected or not, lose 500 report images, GPTQ none."""
    model, store = bundled.model("resnet20"), Store(folder / "store.sqlite")
    policy, library = model.profile.uniform(4), Library(store, open_library().bundled)
    fp32 = library.evaluation(model, SplitName.REPORT, model.profile.uniform(32))
    assert fp32 is not None
    labels = model.dataset.report.labels
    for rounding, wrong in (("mse", 500), ("mse_bias", 500), ("gptq", 0)):
        outcomes = fp32.outcomes.copy()
        lost = np.flatnonzero(outcomes == labels)[:wrong]
        outcomes[lost] = (labels[lost] + 1) % 10
        key = library.key(model, SplitName.REPORT, policy, settings(rounding, model.dataset.calibration_hash))
        store.save_evaluation(Evaluation(key, outcomes, Origin("cpu", "2", 1, 250, "now")))
