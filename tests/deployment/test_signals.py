"""Ctrl-C after a runtime was used: models are closed in another order than they were opened, and the process lives."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent

PROGRAM = """
import gc, os, signal, time
import numpy as np
from aiq_core.catalog import bundled
from aiq_core.deployment.engine import Engine
from aiq_core.export.onnx_model import INPUT, export
from aiq_core.runtime.deployment.engines import opened
model = bundled().models["digits_cnn"]
content = export(model, model.profile.uniform(32), None, None).save()
calls = {
    (engine, batch): opened(engine, content, {INPUT: np.zeros((batch, *model.card.input_shape), np.float32)}, 1)
    for engine in (Engine.OPENVINO, Engine.ONNX_RUNTIME) for batch in (1, 2, 3)
}
for call in calls.values():
    call()
for key in sorted(calls):
    calls.pop(key)
    gc.collect()
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(1)
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c_ends_no_process_that_used_openvino() -> None:
    found = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "interrupted\n"), found.stderr
