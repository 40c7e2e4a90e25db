"""A frontier run of the digits network, made once a session of tests."""

import os
from functools import cache
from pathlib import Path

from aiq_core.execute import Evaluators, execute, new_run
from aiq_core.library import BUNDLED_RESULTS, Library
from aiq_core.records import Run
from aiq_core.space import JOINT
from aiq_core.store import Store
from tests import bundled

POINTS = 6
FOLDER = Path(os.environ["AIQ_DATA_DIR"]) / "front"
"""Where its store lies, for as long as the tests run."""


@cache
def made() -> tuple[Library, Run]:
    """Six points of all that JOINT offers, confirmed on 250 of 500 search images, in a store of its own."""
    model = bundled.model("digits_cnn")
    bundle = Store(BUNDLED_RESULTS, immutable=True)
    library = Library(Store(FOLDER / "store.sqlite"), bundle)
    how = JOINT.quantizer(model.dataset)
    request = JOINT.front_request(model.name, how, model.profile, 500, POINTS)
    run = execute(library, library.add_run(new_run(model, request)), Evaluators(1))
    assert run.message == ""
    return library, run
