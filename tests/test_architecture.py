"""Imports point one way, torch stays in runtime, streamlit in app.py, serve.py and pages."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = ROOT / "pages"
SCREENS = sorted([*ROOT.glob("*.py"), *PAGES.rglob("*.py")])
CORE = sorted((ROOT / "aiq_core").rglob("*.py"))
RUNTIME = ROOT / "aiq_core" / "runtime"

IMPORT_ALL = """
import importlib, json, sys
for name in json.loads(sys.argv[1]):
    importlib.import_module(name)
print(json.dumps(sorted(set(json.loads(sys.argv[2])) & sys.modules.keys())))
"""


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, at any depth; `from a import b` gives a and a.b."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported_from(path: Path, banned: tuple[str, ...]) -> list[str]:
    return sorted(name for name in imports(path) if any(f"{name}.".startswith(f"{ban}.") for ban in banned))


def test_core_imports_without_torch_or_streamlit() -> None:
    """A fresh process that imports all of aiq_core but runtime holds neither."""
    names = [module_name(path) for path in CORE if not path.is_relative_to(RUNTIME)]
    banned = ["torch", "torchvision", "onnxruntime", "openvino", "streamlit", "distributed", "aiq_core.runtime"]
    command = [sys.executable, "-c", IMPORT_ALL, json.dumps(names), json.dumps(banned)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == []


def test_pages_import_no_runtime() -> None:
    """A fresh process that imports all that pages are made of, the light install's way, holds nothing that computes."""
    names = [module_name(path) for path in sorted(PAGES.rglob("*.py")) if path.name not in ("page.py", "__init__.py")]
    banned = ["torch", "torchvision", "onnx", "onnxruntime", "openvino", "distributed", "aiq_core.runtime"]
    command = [sys.executable, "-c", IMPORT_ALL, json.dumps(names), json.dumps(banned)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout.splitlines()[-1]) == []


def test_import_contracts() -> None:
    """The arrows of pyproject.toml."""
    program = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("path", CORE, ids=relative)
def test_core_never_imports_streamlit(path: Path) -> None:
    assert imported_from(path, ("streamlit", "app", "pages")) == []


@pytest.mark.parametrize("path", SCREENS, ids=relative)
def test_screens_hold_no_sql_and_no_torch(path: Path) -> None:
    banned = ("torch", "torchvision", "sqlite3", "aiq_core.runtime", "aiq_core.worker", "aiq_core.__main__")
    assert imported_from(path, banned) == []


def test_pages_are_folders() -> None:
    """A .py directly in pages/ turns on Streamlit's old mode, where a deep link skips app.py."""
    assert list(PAGES.glob("*.py")) == []
    assert list(PAGES.glob("*/page.py"))


@pytest.mark.parametrize("path", sorted(PAGES.rglob("*.py")), ids=relative)
def test_pages_know_what_is_common_and_no_other_page(path: Path) -> None:
    """pages/instant alone reads of others, what a page's `ahead` says; no page knows of it."""
    if path.is_relative_to(PAGES / "instant"):
        modules = {tuple(name.split(".")[1:3]) for name in imported_from(path, ("pages",)) if name.count(".") > 1}
        assert {part for part in modules if part[0] != "common"} <= {("explore", "ahead"), ("lab", "ahead")}
    else:
        own = path.relative_to(PAGES).parts[0]
        others = (f"pages.{folder.name}" for folder in PAGES.iterdir() if folder.name not in (own, "common"))
        assert imported_from(path, tuple(others)) == []
