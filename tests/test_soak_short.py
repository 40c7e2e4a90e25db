"""The soak in short, with made-up predictions: killed, out of disk, locked out. `make soak` is the long one."""

import importlib.util
import multiprocessing
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from aiq_core.records import Request, is_done

if "fork" not in multiprocessing.get_all_start_methods():
    pytest.skip("needs fork", allow_module_level=True)


def _soak() -> ModuleType:
    """tests/soak.py: the tests are no package, so it is loaded from its file."""
    specification = importlib.util.spec_from_file_location("aiq_soak", Path(__file__).with_name("soak.py"))
    assert specification is not None
    assert specification.loader is not None
    module = sys.modules["aiq_soak"] = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


soak = _soak()
WIDTHS = (32, 8, 7, 6, 5, 4, 3, 2)
SEARCH = Request("digits_cnn", "coordinate", 0.9, widths=WIDTHS, images=500, use_bundled=False)
GREEDY = Request("digits_cnn", "greedy", 0.5, widths=WIDTHS, images=500, use_bundled=False)


def test_killed_and_resumed(tmp_path: Path) -> None:
    tally = soak.kill_and_resume(tmp_path, (SEARCH, GREEDY), soak.fake_worker, kills=12, longest_s=0.15)
    assert tally.kills == 12
    assert tally.evaluations > 0
    assert tally.is_clean, tally


def test_a_full_disk_is_survived(tmp_path: Path) -> None:
    tally = soak.full_disk(tmp_path, SEARCH, soak.fake_worker, size="1m")
    if tally is None:
        pytest.skip("this user may not mount a small disk")
    assert tally.is_clean, tally


def test_a_locked_store_is_waited_for(tmp_path: Path) -> None:
    tally = soak.locked_store(tmp_path, GREEDY, soak.fake_worker, seconds=1)
    assert "waits" in tally.notes[0]
    assert tally.is_clean, tally


def test_what_is_lost_or_wrong_is_seen(tmp_path: Path) -> None:
    done = soak.Soak(tmp_path / "a", GREEDY, soak.fake_worker)
    done.finish()
    found = soak.known(done.library)
    key = next(key for key, predicted in found.items() if is_done(predicted).all())
    spoilt = found | {key: (found[key] + 1) % 10}
    assert soak.lost(found, found) == soak.wrong(found, found) == 0
    assert soak.lost(found, spoilt) == soak.wrong(spoilt, found) == 1
    assert soak.lost(found, {k: v for k, v in found.items() if k != key}) == 1
    run = done.run()
    assert soak.unkept(run, run, found) == 0
    assert soak.unkept(run, replace(run, steps=run.steps[1:]), found) == 1
    last = run.steps[-1].policy.key
    assert soak.unkept(run, run, {k: v for k, v in found.items() if k.policy != last}) == 1
    done.close()
