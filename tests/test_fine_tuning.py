"""Fine-tuning as a run: in a worker, cancelled and resumed; apart from what rounding alone gives; shown and carried."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from aiq_core import documents, exchange, fine_tuning, jobs, space
from aiq_core.errors import AiqError, SettingError
from aiq_core.estimate import rate
from aiq_core.execute import Evaluators, execute, new_run
from aiq_core.library import Library
from aiq_core.records import Policy, Quantizer, Request, Run, RunStatus, SplitName, Tuning
from aiq_core.search.check import check
from aiq_core.store import Store
from tests import bundled
from tests.watching import is_over, wait, workers

DIGITS = bundled.model("digits_cnn")
POLICY = DIGITS.profile.uniform(4, 4)
SHORT = Tuning(epochs=2, peak_learning_rate=0.002)
LONG = replace(SHORT, epochs=60)
"""Long enough to be stopped on its way."""


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    """A library of its own; a worker that still lives when the test ends is ended with it."""
    monkeypatch.setenv("AIQ_DATA_DIR", str(tmp_path))
    yield Library(Store(tmp_path / "store.sqlite"), None)
    for worker in workers():
        worker.kill()
        worker.wait()


def asked(tuning: Tuning = SHORT, policy: Policy = POLICY) -> Request:
    return fine_tuning.request(DIGITS, policy, tuning, 500, "W4A4")


def done(library: Library, request: Request) -> Run:
    """The run of a request, from start to end in this process."""
    return execute(library, library.add_run(new_run(DIGITS, request)), Evaluators(1))


# Runs.


def test_a_fine_tuning_is_measured_on_both_splits(library: Library, tmp_path: Path) -> None:
    run = done(library, asked())
    assert (run.status, run.message, run.policy) == (RunStatus.DONE, "", POLICY)
    assert run.request == replace(asked(), quantizer=replace(asked().quantizer, trained=run.request.quantizer.trained))
    assert run.id == asked().digest == run.request.digest  # what came of it is no part of what was asked
    document = documents.run_document(library, run)
    assert document["tuning"] == {
        "epochs": 2,
        "peak_learning_rate": 0.002,
        "distilled": 0.5,
        "start": "gptq",
        "seed": 0,
    }
    assert (document["algorithm"], document["search_images"], document["report_images"]) == ("fine_tune", 500, 500)
    assert any("trained at these widths for 2 epochs from gptq" in line for line in documents.sentences(document))
    # The card has the figures, too.
    card = json.loads((tmp_path / "fine_tuned" / str(run.request.quantizer.trained) / "card.json").read_text())
    for name in ("search_top1_percent", "report_top1_percent", "report_drop_points"):
        assert card[name] == document[name] is not None
    # It says nothing of how long an evaluation takes.
    assert rate([run], "digits_cnn", 500) is None


def test_again_it_trains_nothing_and_evaluates_nothing(library: Library) -> None:
    first = done(library, asked())
    again = done(library, asked())
    assert (again.id, again.request) == (f"{first.id}-2", first.request)
    assert again.evaluations_new == 0


@pytest.mark.thorough
def test_cancelled_while_it_trains_it_resumes_to_the_same_layers(library: Library, tmp_path: Path) -> None:
    run = jobs.submit(library, asked(LONG))
    begun = re.compile(r"training, [1-9]\d* of 60 epochs done, loss 0\.\d{3}, about .* left")
    training = wait(library, run.id, lambda run: begun.fullmatch(run.message) is not None)
    assert training.steps == ()
    jobs.cancel(library, run.id)
    cancelled = wait(library, run.id, is_over)
    assert cancelled.status is RunStatus.CANCELLED and cancelled.request.quantizer.trained is None
    assert len(list((tmp_path / "fine_tuned" / "unfinished").iterdir())) == 1
    jobs.resume(library, run.id)
    resumed = wait(library, run.id, is_over)
    assert resumed.status is RunStatus.DONE
    straight = Library(Store(tmp_path / "other.sqlite"), None)
    with pytest.MonkeyPatch.context() as elsewhere:
        elsewhere.setenv("AIQ_DATA_DIR", str(tmp_path / "other"))
        expected = done(straight, asked(LONG))
    assert resumed.request == expected.request
    assert resumed.steps == expected.steps


# Apart from what rounding alone gives.


def test_its_keys_meet_no_others(library: Library) -> None:
    run = done(library, asked())
    how = run.request.quantizer
    rounded = space.quantizer(DIGITS.dataset, "gptq", activations=True)
    other = replace(how, trained="0" * 16)
    keys = {each.key(POLICY) for each in (how, other, rounded, Quantizer())}
    assert len(keys) == 4
    # FP32 is FP32 however it is quantized.
    fp32 = DIGITS.profile.uniform(32)
    assert how.key(fp32) == rounded.key(fp32) == '{"evaluator":1}'
    # In the table of a rounding there is FP32 alone, in its own this policy.
    assert library.table(DIGITS, 500, rounded).policies == (fp32,)
    assert set(library.table(DIGITS, 500, how).policies) == {fp32, POLICY}
    assert library.evaluation(DIGITS, SplitName.SEARCH, POLICY, rounded) is None
    assert library.reasons(DIGITS, POLICY, rounded) is None


def test_its_settings_stand_in_the_key_and_come_back() -> None:
    request = replace(asked(), quantizer=replace(asked().quantizer, trained="0123456789abcdef"))
    key = json.loads(request.quantizer.key(POLICY))
    assert (key["rounding"], key["seed"], key["trained"]) == ("fine_tuned", 0, "0123456789abcdef")
    assert Request.from_json(json.loads(json.dumps(request.to_json()))) == request


# Carried.


def test_it_comes_back_with_its_predictions(library: Library, tmp_path: Path) -> None:
    run = done(library, asked())
    receiver = Library(Store(tmp_path / "receiver.sqlite"), None)
    taken = exchange.import_run(receiver, exchange.export_run(library, run.id).encode())
    assert taken.request == run.request
    document = documents.run_document(receiver, receiver.run(run.id))
    assert document["tuning"]["epochs"] == 2 and document["quantizer"]["trained"] == run.request.quantizer.trained
    for split in SplitName:
        found, sent = (each.shown(DIGITS, split, POLICY, 500, run.request.quantizer) for each in (receiver, library))
        assert found is not None and sent is not None and (found.outcomes == sent.outcomes).all()


# Refused.


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"policies": (DIGITS.profile.uniform(32),)}, "leaves every layer's weights at FP32, so there is nothing to"),
        ({"policies": (DIGITS.profile.uniform(32, 4),)}, "leaves every layer's weights at FP32"),
        ({"policies": ()}, "0 policies are listed to fine-tune; give one"),
        ({"policies": (POLICY, DIGITS.profile.uniform(8, 8))}, "2 policies are listed to fine-tune; give one"),
        ({"tuning": None}, "algorithm=fine_tune with tuning=None"),
        ({"algorithm": "uniform"}, "algorithm=uniform with tuning="),
        ({"tuning": None, "algorithm": "manual"}, "these layers are not trained yet; run"),
        ({"tuning": replace(SHORT, epochs=0)}, "epochs=0 is not offered; choose 1 or more"),
        ({"tuning": replace(SHORT, peak_learning_rate=0.0)}, "rate=0.0 is not offered; choose a number above 0"),
        ({"tuning": replace(SHORT, peak_learning_rate=float("nan"))}, "rate=nan is not offered"),
        ({"tuning": replace(SHORT, distilled=1.5)}, "distilled=1.5 is not a share; choose 0 to 1"),
        ({"tuning": replace(SHORT, start="luck")}, "unknown rounding 'luck'; choose from nearest"),
        ({"tuning": replace(SHORT, seed=1)}, "a fine-tuning of seed 1 is asked for with"),
        ({"quantizer": replace(asked().quantizer, trained="../elsewhere")}, "is not the hash of trained layers"),
        ({"quantizer": replace(asked().quantizer, seed=None)}, "fine_tuned needs the seed of its training"),
        ({"quantizer": Quantizer(trained="0" * 16)}, "is not used by nearest; leave it out"),
    ],
)
def test_what_cannot_be_trained_is_refused(change: dict[str, object], said: str) -> None:
    check(asked(), DIGITS.profile)
    with pytest.raises((SettingError, AiqError), match=said):
        check(replace(asked(), **change), DIGITS.profile)  # type: ignore[arg-type]
