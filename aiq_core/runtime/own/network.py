"""What builds a user's own network: a function in a file, an architecture of torchvision's or timm's, or a program."""

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import fx, nn
from torch.nn.parameter import is_lazy

from aiq_core.errors import SettingError, UnknownNameError

TORCHVISION, TIMM = "torchvision", "timm"
CONFIGURATION = "configuration"
CODE = "code"
"""The folder of a model that keeps its network's file and those that it imports from beside it."""

PROGRAM, SETTINGS = ".pt2", ".json"
FORMS = (
    "path/to/net.py:build, torchvision:resnet50 (resnet50:10 has 10 outputs), timm:NAME, an exported program (.pt2), "
    "or, with --only-profile, a configuration of transformers' (.json)"
)
CLOSEST = 8


@dataclass(frozen=True)
class Source:
    """What builds a network: `kind` is torchvision, timm, `code`, `program`, or `configuration`, which has no weights;
    `name` an architecture or a function, `file` where that or the program lies. An architecture may say how many
    outputs it is to have: `resnet50:10`.
    """

    kind: str
    name: str
    file: Path | None = None

    @classmethod
    def parse(cls, text: str, folder: Path = Path()) -> "Source":
        """The source that a text names; files are relative to `folder`. Raises SettingError."""
        kind, _, name = text.partition(":")
        if kind in (TORCHVISION, TIMM) and name:
            outputs = name.partition(":")[2]
            if ":" in name and not (outputs.isdecimal() and int(outputs) > 1):
                raise SettingError(
                    f"network={text!r} cannot be read: {outputs!r} is no number of outputs; give 2 or more"
                )
            return cls(kind, name)
        if text.endswith(PROGRAM):
            return cls("program", "", _existing(folder / text, text))
        if text.endswith(SETTINGS):
            return cls(CONFIGURATION, "", _existing(folder / text, text))
        path, _, name = text.rpartition(":")
        if path.endswith(".py") and name.isidentifier():
            return cls("code", name, _existing(folder / path, text))
        raise SettingError(f"network={text!r} cannot be read; give {FORMS}")

    @property
    def text(self) -> str:
        """What `parse` reads back in the folder of a model."""
        if self.file is None:
            return f"{self.kind}:{self.name}"
        return f"{CODE}/{self.file.name}" + (f":{self.name}" if self.kind == "code" else "")

    @property
    def architecture(self) -> str:
        """The name of an architecture, without its outputs."""
        return self.name.partition(":")[0]

    @property
    def _outputs(self) -> dict[str, int]:
        """How many outputs are asked for, where they are not the architecture's own."""
        outputs = self.name.partition(":")[2]
        return {"num_classes": int(outputs)} if outputs else {}

    def build(self) -> nn.Module:
        """The network, with whatever weights it is made with, in evaluation mode.

        Raises SettingError where it cannot be built.
        """
        if self.kind == CONFIGURATION:
            raise SettingError(
                f"{self.file} is a configuration, which has no weights: count it alone by --only-profile, or "
                "give path/to/net.py:build, a function that makes the network"
            )
        made = {TORCHVISION: self._torchvision, TIMM: self._timm, "code": self._code, "program": self._program}
        return made[self.kind]().eval()

    def _torchvision(self) -> nn.Module:
        import torchvision

        known = torchvision.models.list_models(module=torchvision.models)
        name = self.architecture
        if name not in known:
            raise UnknownNameError("network of torchvision", name, closest(name, known))
        extra: dict[str, Any] = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
        made: nn.Module = torchvision.models.get_model(name, weights=None, **extra, **self._outputs)
        return made

    def _timm(self) -> nn.Module:
        timm = timm_package()
        name = self.architecture
        if not timm.is_model(name):
            raise UnknownNameError("network of timm", name, closest(name, timm.list_models()))
        made: nn.Module = timm.create_model(name, **self._outputs)
        return made

    def _program(self) -> nn.Module:
        assert self.file is not None
        with without_pickles():
            try:
                module = torch.export.load(self.file).module()
            except Exception as error:  # whatever torch raises for a damaged file
                said = str(error).strip().split("\n")[0]
                raise SettingError(
                    f"{self.file} is not an exported program that can be read here ({type(error).__name__}: {said}); "
                    "write it with torch.export.save(torch.export.export(...), path)"
                ) from None
        # An exported module refuses eval(), though that is what it was exported in.
        return fx.GraphModule(module, module.graph)

    def _code(self) -> nn.Module:
        assert self.file is not None
        made = _function(self.file, self.name)
        if isinstance(made, nn.Module):
            raise SettingError(
                f"{self.file.name}:{self.name} is a network; name a function that builds it, such as "
                f"`def build(): return {self.name}`"
            )
        try:
            network = made()
        except TypeError as error:
            raise SettingError(
                f"{self.file.name}:{self.name} cannot be called without arguments ({error}); "
                "give its parameters defaults, or name a function that calls it"
            ) from error
        except (Exception, SystemExit) as error:
            raise _failed(self.file, f"{self.name}()", error) from error
        if not isinstance(network, nn.Module):
            raise SettingError(
                f"{self.file.name}:{self.name} returns {type(network).__name__}, not a torch.nn.Module; "
                "return the network"
            )
        if any(map(is_lazy, (*network.parameters(), *network.buffers()))):
            raise SettingError(
                f"{self.file.name}:{self.name} returns a network with lazy layers, whose sizes are open until it runs; "
                f"run it in {self.name}() on an image of zeros before it is returned"
            )
        return network

    def keep(self, folder: Path) -> "Source":
        """Copies what builds it into a model's folder, once it was built: the file and those of its folder that it
        imported; a source that builds from there.
        """
        if self.file is None:
            return self
        kept = folder / CODE
        kept.mkdir(parents=True)
        files = [self.file] if self.kind == "program" else _imported(self.file)
        for file in files:
            copy = kept / os.path.relpath(file, self.file.resolve().parent) if self.kind == "code" else kept / file.name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
        return Source(self.kind, self.name, kept / self.file.name)


def _existing(path: Path, text: str) -> Path:
    path = path.expanduser()
    if not path.is_file():
        raise SettingError(f"network={text!r}: there is no file {path}; give {FORMS}")
    return path.resolve()


def closest(name: str, known: list[str]) -> list[str]:
    """Names that are like one, or the first there are."""
    import difflib

    return difflib.get_close_matches(name, known, CLOSEST, 0.3) or known[:CLOSEST]


def timm_package() -> Any:
    """timm itself. Raises SettingError where it is not installed."""
    try:
        return importlib.import_module("timm")
    except ImportError:
        raise SettingError(
            "timm is not installed; install it by `.venv/bin/python -m pip install timm`, or give another network"
        ) from None


@contextmanager
def without_pickles() -> Iterator[None]:
    """Whatever is read inside is read as tensors alone, so that no file runs code."""
    name = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


@dataclass
class _Importable:
    """A folder that is importable, and the modules there were before it was."""

    folder: Path
    before: frozenset[str]

    def modules(self) -> dict[str, ModuleType]:
        """What was imported from it, by name."""
        return {
            name: module
            for name, module in list(sys.modules.items())
            if name not in self.before and name.partition(".")[0] != "aiq_core" and self._holds(module)
        }

    def _holds(self, module: ModuleType) -> bool:
        file = getattr(module, "__file__", None)
        path = Path(file).resolve() if file else None
        return path is not None and self.folder in path.parents and not PACKAGES.intersection(path.parts)


PACKAGES = {"site-packages", "dist-packages"}
"""What lies there is installed: it is nobody's own, even where that is below a user's folder."""

_importable: list[_Importable] = []
"""The one folder that is importable now: files of another one may have the same names."""


def _function(file: Path, name: str) -> Callable[[], Any]:
    """A function of a file whose folder is importable. Raises SettingError."""
    folder = file.resolve().parent
    for other in _importable:
        for module_name in other.modules():
            del sys.modules[module_name]
        with suppress(ValueError):  # somebody may have set the path anew
            sys.path.remove(str(other.folder))
    _importable[:] = [_Importable(folder, frozenset(sys.modules))]
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    called = f"own_{file.stem}" if file.stem in sys.modules else file.stem
    specification = importlib.util.spec_from_file_location(called, file)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[called] = module
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        specification.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise _failed(file, "importing it", error) from error
    finally:
        sys.dont_write_bytecode = writes
    found = getattr(module, name, None)
    if not callable(found):
        own = {key: value for key, value in vars(module).items() if getattr(value, "__module__", None) == called}
        functions = [key for key, value in own.items() if callable(value) and not key.startswith("_")]
        raise UnknownNameError(f"function of {file.name}", name, functions or ["(it has none)"])
    return found  # type: ignore[no-any-return]


def _failed(file: Path, what: str, error: BaseException) -> SettingError:
    """An error of a user's own code, or its wish to end the program, with its line."""
    line, trail = "", error.__traceback__
    while trail is not None:
        if Path(trail.tb_frame.f_code.co_filename).parent == file.parent:
            line = f" at {Path(trail.tb_frame.f_code.co_filename).name}:{trail.tb_lineno}"
        trail = trail.tb_next
    return SettingError(f"{file.name}: {what} fails{line}: {type(error).__name__}: {error}; mend it and add it again")


def _imported(file: Path) -> list[Path]:
    """A file and what was imported from its folder."""
    found = {Path(str(module.__file__)).resolve() for each in _importable for module in each.modules().values()}
    return sorted(path for path in {file.resolve(), *found} if path.suffix == ".py" and path.is_file())
