"""Somebody's weights file -> tensors of a network: found, renamed, checked; no code in it is ever run."""

import re
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor, nn

from aiq_core.catalog.model import check_finite
from aiq_core.errors import WeightsError
from aiq_core.runtime.weights import TRACKED

SAFETENSORS = ".safetensors"
PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.")
"""What data parallelism, torch.compile and wrappers put before a network's own names."""

GLOBAL = re.compile(r"GLOBAL ([\w.]+)")
"""Where torch names what it does not load."""

NAMED = 4
"""Of so many things a message names, the rest it counts."""

SAVE_INSTEAD = "save the tensors alone instead: torch.save(network.state_dict(), path)"

_SCALAR = np.float64().__reduce__()[0]
NUMBERS: list[Any] = [
    np.dtype,
    *(type(np.dtype(kind)) for kind in (np.float64, np.float32, np.int64)),
    *((_SCALAR, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
]
"""What a number of numpy's is made of: many a loop keeps its best accuracy as one."""


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of a network, float32 where they are of any floating type, and what is worth saying of them.

    `stored_bytes` is what they take in their own types, `dtypes`.
    """

    tensors: dict[str, NDArray[Any]]
    said: tuple[str, ...]
    stored_bytes: int
    dtypes: tuple[str, ...]


@dataclass(frozen=True)
class Mismatch:
    """Names that a network has and a file lacks, the other way about, and those of other shapes in both."""

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    misshaped: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.missing or self.unexpected or self.misshaped)

    def __str__(self) -> str:
        kinds = (("missing", self.missing), ("unexpected", self.unexpected), ("of another shape", self.misshaped))
        return "; ".join(f"{len(names)} {kind} ({first_of(names)})" for kind, names in kinds if names)


def first_of(names: tuple[str, ...]) -> str:
    """The first few, and how many more."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def own_weights(network: nn.Module, source: str) -> Checkpoint:
    """The tensors that a network was built with. Raises WeightsError for NaN or infinity."""
    return _checkpoint({key: value for key, value in network.state_dict().items() if _is_kept(key)}, [], source)


def read_checkpoint(path: Path, network: nn.Module, key: str | None = None) -> tuple[Checkpoint, Mismatch]:
    """The tensors in a file that are for a network, by its names; and what does not fit.

    `key` says which state dict it is where the file has several. Raises WeightsError.
    """
    wanted = {name for name in network.state_dict() if _is_kept(name)}
    found = load(path)
    where, state = _choose(dict(_states(found)), wanted, path, key)
    said = [f"{path.name}: the state dict is in {where!r}"] if where else []
    state = _renamed(state, wanted, said)
    state = {name: tensor for name, tensor in state.items() if _is_kept(name)}
    return _checkpoint(state, said, str(path)), mismatch(state, network)


def mismatch(state: Mapping[str, Tensor], network: nn.Module) -> Mismatch:
    """What of a state dict does not fit a network."""
    shapes = {name: tensor.shape for name, tensor in network.state_dict().items()}
    return Mismatch(
        missing=tuple(name for name in shapes if _is_kept(name) and name not in state),
        unexpected=tuple(name for name in state if name not in shapes),
        misshaped=tuple(
            f"{name} is {list(state[name].shape)}, the network's {list(shape)}"
            for name, shape in shapes.items()
            if name in state and state[name].shape != shape
        ),
    )


def load(path: Path) -> Any:
    """What a file holds: tensors and numbers in plain containers. Raises WeightsError for anything else."""
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "is not there"
        raise WeightsError(
            f"weights={str(path)!r} {what}; give a .safetensors file, a checkpoint of torch.save, default or random"
        )
    try:
        if path.suffix == SAFETENSORS:
            return load_file(path)
        with torch.serialization.safe_globals(NUMBERS), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of files that are refused below
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever is raised of a damaged file
        raise WeightsError(f"{path} {_why_not(path, str(error))}") from None


def _why_not(path: Path, said: str) -> str:
    """What is wrong with a file that cannot be loaded, and what to do."""
    if found := GLOBAL.search(said):
        what = "a pickled module or object, which could run code and is never loaded"
        return f"holds more than tensors ({found.group(1)}): {what}; {SAVE_INSTEAD}"
    if "TorchScript" in said:
        return f"is a TorchScript program, whose code is never run; {SAVE_INSTEAD}"
    if not path.stat().st_size:
        return "is empty; copy it again"
    if path.suffix == SAFETENSORS:
        return f"cannot be read as safetensors ({said}): it is cut short or of another format; copy or save it again"
    return (
        f"cannot be read as weights: it is cut short, or torch.save did not write it; copy it again, or {SAVE_INSTEAD}"
    )


def _is_kept(name: str) -> bool:
    return not name.endswith(TRACKED)


def _states(found: Any, path: str = "") -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Every mapping that has tensors under names, by where it is."""
    if not isinstance(found, Mapping):
        return
    tensors = {key: value for key, value in found.items() if isinstance(key, str) and isinstance(value, Tensor)}
    if tensors:
        yield path, tensors
    for key, value in found.items():
        if isinstance(key, str):
            yield from _states(value, f"{path}.{key}" if path else key)


def _choose(
    states: dict[str, dict[str, Tensor]], wanted: set[str], path: Path, key: str | None
) -> tuple[str, dict[str, Tensor]]:
    """The state dict that is meant. Raises WeightsError where none or several may be."""
    if key is not None:
        if key not in states:
            names = first_of(tuple(repr(name) for name in states if name))
            advice = f"choose from {names}" if names else "its tensors are in none of their own: leave --key out"
            raise WeightsError(f"{path} has no state dict {key!r}; {advice}")
        return key, states[key]
    if not states:
        raise WeightsError(f"{path} holds no tensors under names; {SAVE_INSTEAD}")
    fits = {where: len(wanted.intersection(_renamed(state, wanted, []))) for where, state in states.items()}
    best = [where for where, count in fits.items() if count == max(fits.values())]
    # One that fits in part may be what is meant too: an average beside what it is of has the same names.
    likely = [where for where, count in fits.items() if 2 * count > len(wanted)] or best
    if len(likely) > 1:
        listed = ", ".join(f"{where!r} ({len(states[where])} tensors)" for where in likely)
        raise WeightsError(f"{path} has {len(likely)} state dicts, {listed}; choose one by --key")
    return likely[0], states[likely[0]]


def _renamed(state: Mapping[str, Tensor], wanted: set[str], said: list[str]) -> dict[str, Tensor]:
    """A state dict without the prefixes that wrappers put before a network's names."""
    counts: Counter[str] = Counter()
    found = {}
    for name, tensor in state.items():
        short, removed = name, ""
        while short not in wanted and (prefix := next((each for each in PREFIXES if short.startswith(each)), "")):
            short, removed = short.removeprefix(prefix), removed + prefix
        # What is known by neither name keeps its own, unless the others had a prefix too.
        if removed and (short in wanted or not _is_kept(short)):
            counts[removed] += 1
            found[short] = tensor
        else:
            found[name] = tensor
    for prefix, count in counts.items():
        said.append(f"{count} of {len(state)} keys have the prefix `{prefix}`; removed")
    return found


def _checkpoint(state: Mapping[str, Tensor], said: list[str], source: str) -> Checkpoint:
    dtypes = sorted(
        {str(tensor.dtype).removeprefix("torch.") for tensor in state.values() if tensor.is_floating_point()}
    )
    stored = sum(tensor.numel() * tensor.element_size() for tensor in state.values())
    tensors = {name: _array(tensor, name, source) for name, tensor in state.items()}
    check_finite({name: array for name, array in tensors.items() if array.dtype.kind == "f"}, source)
    if dtypes not in ([], ["float32"]):
        whole = sum(array.nbytes for array in tensors.values())
        said = [
            *said,
            f"stored as {' and '.join(dtypes)}, {stored:,} B; used as float32, {whole:,} B",
        ]
    return Checkpoint(tensors, tuple(said), stored, tuple(dtypes))


def _array(tensor: Tensor, name: str, source: str) -> NDArray[Any]:
    """A tensor in row-major order. Raises WeightsError for types that are no plain numbers."""
    if tensor.is_quantized or tensor.is_complex() or tensor.layout != torch.strided:
        raise WeightsError(
            f"{source} cannot be used: {name} is {tensor.dtype}, {tensor.layout}; save plain float tensors"
        )
    plain = tensor.detach().float() if tensor.is_floating_point() else tensor.detach()
    return np.ascontiguousarray(plain.cpu().numpy())
