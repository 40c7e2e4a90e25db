"""Ids and keys of what is stored: those of today for good, and new ones only for what is new."""

import hashlib
import json
from dataclasses import dataclass, replace

import pytest

from aiq_core.library import BUNDLED_RESULTS, Library
from aiq_core.records import Quantizer, Request, Run, quantizer, run
from aiq_core.store import Store
from tests import bundled

BUNDLED_IDS = 117, "06710513c02b7bc3925f0d57557519740491294cb140ff8f1f5b9ce19ffd513c"
"""How many runs ship, and a hash of their sorted ids. More runs need another line; an id that changes breaks links."""
BUNDLED_KEYS = {'{"evaluator":1}', '{"evaluator":1,"granularity":"channel","rounding":"nearest"}'}
STUDIED = [f"all at {bits} bits" for bits in (6, 3, 2)]
"""Labels of the study's runs to nearest, which shipped later."""
GREEDY = Request("digits_cnn", "greedy", 0.9, images=500)


@pytest.fixture(scope="module")
def library() -> Library:
    return Library(None, Store(BUNDLED_RESULTS, immutable=True))


@pytest.fixture(scope="module")
def shipped(library: Library) -> tuple[Run, ...]:
    return library.runs(archived=True)


def test_bundled_runs_keep_their_ids(shipped: tuple[Run, ...]) -> None:
    """The paper's runs: weights alone, rounded to nearest."""
    first = [found for found in shipped if found.request.quantizer == Quantizer()]
    # The study of rounding came later.
    ids = sorted(found.id for found in first if (found.request.label or "") not in STUDIED)
    assert (len(ids), hashlib.sha256(" ".join(ids).encode()).hexdigest()) == BUNDLED_IDS
    assert [found.request.digest for found in shipped] == [found.id for found in shipped]


def test_bundled_evaluations_keep_their_quantizers_keys(library: Library) -> None:
    model, store = bundled.model("digits_cnn"), library.bundled
    assert store is not None
    found = store.evaluations(model.hash, model.dataset.search.hash)
    assert {each.key.quantizer for each in found if "calibration" not in each.key.quantizer} == BUNDLED_KEYS
    four = Quantizer().key(model.profile.uniform(4))
    assert {four, Quantizer().key(model.profile.uniform(32))} == BUNDLED_KEYS


@dataclass(frozen=True)
class GrownRequest(Request):
    """A request with a setting that came later, whose default changed since."""

    calibration_images: int | None = 64


@dataclass(frozen=True, slots=True)
class GrownQuantizer(Quantizer):
    """A quantizer with a setting that came later."""

    group: int | None = None


def test_a_setting_of_later_enters_an_id_only_where_it_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "_LATER", {**run._LATER, "calibration_images": None})
    grown = GrownRequest(**{name: getattr(GREEDY, name) for name in GREEDY.__dataclass_fields__})
    as_before = replace(grown, calibration_images=None)
    assert as_before.to_json() == GREEDY.to_json()
    assert as_before.digest == GREEDY.digest != grown.digest
    # What was stored before means what it meant then, and not today's default.
    assert GrownRequest.from_json(GREEDY.to_json()) == as_before
    assert GrownRequest.from_json(grown.to_json()) == grown


def test_a_setting_of_later_enters_a_quantizers_key_only_where_it_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantizer, "_LATER", {**quantizer._LATER, "group": None})
    policy = bundled.profile("digits_cnn").uniform(4)
    assert GrownQuantizer().key(policy) == Quantizer().key(policy)
    assert GrownQuantizer.from_json(Quantizer().to_json()) == GrownQuantizer()
    assert json.loads(GrownQuantizer(group=128).key(policy)) == {**json.loads(Quantizer().key(policy)), "group": 128}
    assert GrownQuantizer(group=128).key(bundled.profile("digits_cnn").uniform(32)) == '{"evaluator":1}'


def test_a_model_added_again_under_its_name_has_other_runs() -> None:
    """Ids of bundled models hold no hashes, those of a user's do."""
    shipped = bundled.model("digits_cnn")
    mine = replace(shipped, bundled=False)
    again = replace(mine, card=replace(mine.card, model_hash="0" * 16))
    ids = [GREEDY.digest_with(model.identity) for model in (shipped, mine, again)]
    assert ids[0] == GREEDY.digest and len(set(ids)) == 3
