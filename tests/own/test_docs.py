"""docs/own_model.md does what it says."""

import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from aiq_core.__main__ import app
from aiq_core.library import open_library

PAGE = Path(__file__).parent.parent.parent / "docs" / "own_model.md"
BLOCK = re.compile(r"^```(?P<kind>python|sh)(?: (?P<file>\S+))?\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)


def test_its_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIQ_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    torch.manual_seed(0)
    for block in BLOCK.finditer(PAGE.read_text()):
        if block["kind"] == "python":
            (tmp_path / block["file"]).write_text(block["text"])
            runpy.run_path(block["file"])
            continue
        command = shlex.split(block["text"])
        assert command[:3] == ["python", "-m", "aiq_core"]
        said = CliRunner().invoke(app, command[3:])
        assert said.exit_code == 0, said.output
    sys.modules.pop("net", None)
    models = open_library().models
    assert {"digits_mine", "squeezed", "from_program"} <= models.keys()
    # 797 images that it did not see.
    card = models["digits_mine"].card
    assert card.report_top1_percent > 80
    assert models["from_program"].title == "Digits, exported"
    assert models["squeezed"].card.is_chance
