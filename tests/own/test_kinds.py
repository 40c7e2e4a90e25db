"""Networks of kinds that people have: added, counted by hand, and searched for a few evaluations."""

from pathlib import Path

import numpy as np
import pytest

from aiq_core.errors import EvaluationError
from aiq_core.execute import Evaluators, execute, new_run
from aiq_core.library import open_library
from aiq_core.records import Request, RunStatus
from aiq_core.runtime.own.asked import Asked
from aiq_core.tasks import add as adding

NETWORKS = Path(__file__).parent / "networks"


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AIQ_DATA_DIR", str(tmp_path / "data"))
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (60, 32, 32, 3), dtype=np.uint8)
    np.savez(tmp_path / "images.npz", images=images, labels=np.arange(60) % 5)
    return tmp_path / "images.npz"


def added(data: Path, name: str) -> dict[str, object]:
    asked = Asked(name, f"{NETWORKS}/kinds.py:{name}", "default", str(data))
    return dict(adding.added(open_library(), asked, lambda *_: None, allow_chance=True))


PATCHES = 16 + 1  # of 8 x 8 pixels, and the class token
BLOCK = PATCHES * (16 * 48 + 16 * 16 + 2 * 16 * 32) + 2 * PATCHES * PATCHES * 16
MACS = {
    "norms": 4 * 30 * 30 * 27 + 16 * 5,
    "recurrent": 32 * 4 * (96 * 8 + 8 * 8) + 8 * 5,  # rows x gates x (input + state)
    "shared": 4 * 8 * 8 * 27 + 2 * 4 * 8 * 8 * 36 + 4 * 5,  # rows (32 - 3) // 4 + 1
    "vision_transformer": 16 * 16 * 192 + 2 * BLOCK + 16 * 5,
    "lenet": 4 * 28 * 28 * 75 + 4 * 7 * 7 * 5,
    "many_classes": 4 * 7 * 7 * 147 + 4 * 300,
}


@pytest.mark.parametrize("name", MACS)
def test_added_counted_and_searched(data: Path, name: str) -> None:
    found = added(data, name)
    assert found["flops"] == 2 * MACS[name]
    library = open_library()
    model, images = library.model(name), int(str(found["search_images"]))
    request = Request(name, "greedy", 0.9, images=images, max_evaluations=3, floor_percent=0)
    run = execute(library, library.add_run(new_run(model, request)), Evaluators(1))
    assert run.status is RunStatus.DONE, run
    assert 1 <= run.evaluations <= 3
    # The evaluator's FP32, norms folded, is right on as many as the network by itself.
    table = library.table(model, images)
    assert table.score[table.baseline] == found["search_right"]


def test_logits_that_are_not_finite_have_no_accuracy(data: Path) -> None:
    with pytest.raises(EvaluationError, match="gives NaN or infinite logits for .* images: they have no class"):
        added(data, "not_finite")
    assert "not_finite" not in open_library().models


def test_an_operator_that_cannot_be_counted_is_refused_with_its_line(data: Path) -> None:
    with pytest.raises(adding.RefusedError) as refused:
        added(data, "unknown")
    (said,) = refused.value.document["operators_refused"]
    assert "kinds.py:" in said
    assert "fft" in said
