"""Runs a network once on an example and writes down every operator that torch sees: calls, tensors, source lines.

On the meta device nothing is computed, and every `if` on a shape is decided. What asks for the values of activations
cannot run there; then the example is run for real, and what it did is written down all the same.
"""

import copy
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.modules import module as hooks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from aiq_core.errors import AiqError, UncountableOperatorError
from aiq_core.runtime.bare import without_values
from aiq_core.runtime.logits import logits
from aiq_core.runtime.operators import PART, is_empty, is_known, is_random, makes_new, taken_apart, title, writes

TORCH = os.path.join(os.path.dirname(torch.__file__), "")


class Recording:
    """A forward as torch's own operators, in the order of their calls, for a batch of one size.

    A node's `meta`: "value", what it gives, as tensors on the meta device; "live", whether that depends on the image;
    "module", the innermost module that called it; "line", where. `constants` are the tensors that the forward brings
    along, by the names of their nodes, and `by_values` says that the example's values had a say in what was called.
    """

    def __init__(self, by_values: bool) -> None:
        self.nodes = fx.Graph()
        self.constants: dict[str, Tensor] = {}
        self.by_values = by_values

    def node(self, kind: str, target: Any, args: Any = (), kwargs: Any = None, **meta: Any) -> fx.Node:
        """A further node."""
        made = self.nodes.create_node(kind, target, args, kwargs)
        made.meta.update({"live": any(source.meta["live"] for source in made.all_input_nodes), "line": None} | meta)
        return made

    @property
    def calls(self) -> list[Any]:
        """The operators in the order of their calls."""
        return [node.target for node in self.nodes.nodes if node.op == "call_function"]

    def prune(self) -> None:
        """Drops what nothing reads and what overwrites nothing."""
        for node in reversed(self.nodes.nodes):
            if not node.users and node.op != "output" and node.op != "placeholder" and not writes(node):
                self.nodes.erase_node(node)


def record(
    model: nn.Module, name: str, shape: tuple[int, ...], result: str | None = None, dtype: torch.dtype | None = None
) -> Recording:
    """What a model does with a batch of images of `shape` (images, channels, height, width), or of texts of (texts,
    tokens) where `dtype` is int64; without it they are of the type of its weights.

    `result` names the part of a dict or a tuple that holds the logits, where that is not plain. Raises
    UncountableOperatorError for what is no operator of a network's, or for a forward that does not run.
    """
    has_values = not any(tensor.is_meta for tensor in model.parameters())
    for by_values in (False, True)[: 1 + has_values]:
        network = copy.deepcopy(model).cpu() if by_values else without_values(model)
        try:
            return _recorded(network, name, shape, result, by_values, dtype)
        except AiqError:
            raise
        except Exception as error:  # whatever a forward may raise
            failed = error
    raise _does_not_run(model, name, shape, failed) from failed


def _does_not_run(model: nn.Module, name: str, shape: tuple[int, ...], error: Exception) -> UncountableOperatorError:
    line, trail = None, error.__traceback__
    while trail is not None:
        if _is_users(trail.tb_frame.f_code.co_filename):
            line = f"{os.path.basename(trail.tb_frame.f_code.co_filename)}:{trail.tb_lineno}"
        trail = trail.tb_next
    said = str(error).strip().split("\n")[0]
    where = f" at {line}" if line else ""
    return UncountableOperatorError(
        f"{type(model).__name__}, the network of {name}, does not run on inputs of {' x '.join(map(str, shape))}"
        f"{where}: {said}; give the size it is made for, or wrap it so that its forward takes images and gives logits"
    )


def _recorded(
    model: nn.Module,
    name: str,
    shape: tuple[int, ...],
    result: str | None,
    by_values: bool,
    dtype: torch.dtype | None,
) -> Recording:
    model.eval()
    recorder = _Recorder(model, name, by_values)
    weight = next((each for each in model.parameters() if each.is_floating_point()), torch.empty(0))
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(shape, generator=generator) if by_values else torch.empty(shape, device="meta")
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # one operator for a whole layer, which tells nothing of its parts
    try:
        with torch.inference_mode(), recorder.modules():
            image = image.to(dtype or weight.dtype)
            recorder.take_image(image)
            with recorder:
                given = model(image)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    recording = recorder.recording
    recording.node("output", "output", (recorder.node_of(logits(given, shape[0], name, result)),))
    recording.prune()
    return recording


class _Recorder(TorchDispatchMode):
    """Sees every operator. Tensors that depend neither on the image nor on the weights are computed, not recorded."""

    def __init__(self, model: nn.Module, name: str, by_values: bool) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.recording, self._name = Recording(by_values), name
        self._names = {id(tensor): key for key, tensor in (*model.named_buffers(), *model.named_parameters())}
        self._own = model.state_dict(keep_vars=True).values()
        self._modules = {id(module): path for path, module in model.named_modules()}
        self._calls: list[str] = [""]
        self._nodes: dict[int, tuple[Tensor, fx.Node]] = {}
        self._constants: dict[int, tuple[Tensor, fx.Node]] = {}
        self._storages: dict[int, fx.Node] = {}

    @contextmanager
    def modules(self) -> Iterator[None]:
        """Follows which module runs."""

        def enter(module: nn.Module, _: Any) -> None:
            self._calls.append(self._modules.get(id(module), self._calls[-1]))

        def leave(*_: Any) -> None:
            self._calls.pop()

        entered, left = hooks.register_module_forward_pre_hook(enter), hooks.register_module_forward_hook(leave)
        try:
            yield
        finally:
            entered.remove()
            left.remove()

    def take_image(self, image: Tensor) -> None:
        """What the forward is given."""
        self._keep(image, self.recording.node("placeholder", "image", live=True, module="", value=self._bare(image)))

    def node_of(self, tensor: Tensor) -> fx.Node:
        """The node whose tensor it is; a new one for a tensor of the model's, or one that the forward made by itself.

        A part of a tensor that was overwritten is looked up in what it is a part of.
        """
        for held in (self._nodes, self._constants):
            if id(tensor) in held:
                return held[id(tensor)][1]
        if id(tensor) in self._names:
            node = self.recording.node("get_attr", self._names[id(tensor)], module="", value=self._bare(tensor))
        elif (storage := _storage(tensor)) in self._storages:
            args = self._storages[storage], list(tensor.shape), list(tensor.stride()), tensor.storage_offset()
            operator = torch.ops.aten.as_strided.default
            node = self.recording.node(
                "call_function", operator, args, module=self._calls[-1], value=self._bare(tensor)
            )
        else:
            with torch.inference_mode(False):  # a gradient may go past it later
                node = self._constant(tensor.detach().clone())
            self._constants[id(tensor)] = tensor, node
            return node
        self._keep(tensor, node)
        return node

    def _constant(self, tensor: Tensor) -> fx.Node:
        key = f"constant_{len(self.recording.constants)}"
        self.recording.constants[key] = tensor
        return self.recording.node("get_attr", key, module="", value=self._bare(tensor))

    def _keep(self, tensor: Tensor, node: fx.Node) -> None:
        self._nodes[id(tensor)] = tensor, node  # held, so that no other tensor gets its id

    def _is_recorded(self, tensor: Tensor) -> bool:
        return id(tensor) in self._nodes or id(tensor) in self._names or _storage(tensor) in self._storages

    def _bare(self, tensor: Tensor) -> Tensor:
        """Shape, type and memory layout, without values."""
        if tensor.is_meta:
            return tensor
        return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Records a call, or the calls that it is made of."""
        kwargs = kwargs or {}
        tensors = [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
        if makes_new(func) or not any(map(self._is_recorded, tensors)):
            return self._apart(func, args, kwargs)
        if (made := taken_apart(self, func, args, kwargs)) is not NotImplemented:
            return made
        if not is_known(func):
            raise self._refusal(func, "cannot be counted; add it to aiq_core/runtime/operators.py, or leave it out")
        changed = _written(func, args, kwargs)
        for tensor in changed:
            self._take_over(tensor)
        as_nodes = tree_map(lambda each: self.node_of(each) if isinstance(each, Tensor) else each, (args, kwargs))
        made = self._made(func, args, kwargs)
        node = self.recording.node("call_function", func, *as_nodes, line=self._line(), module=self._calls[-1])
        node.meta["value"] = tree_map(lambda each: self._bare(each) if isinstance(each, Tensor) else each, made)
        for tensor in changed:
            self._keep(tensor, node)
        if changed and isinstance(made, Tensor):
            return changed[0]
        if isinstance(made, Tensor):
            self._keep(made, node)
        elif isinstance(made, tuple | list):
            for place, tensor in enumerate(made):
                if isinstance(tensor, Tensor):
                    self._keep(tensor, self._part(node, place, tensor))
        return made

    def _part(self, node: fx.Node, place: int, tensor: Tensor) -> fx.Node:
        """One of several results."""
        line, module = node.meta["line"], node.meta["module"]
        value = self._bare(tensor)
        return self.recording.node("call_function", PART, (node, place), line=line, module=module, value=value)

    def _made(self, func: Any, args: Any, kwargs: Any) -> Any:
        if self.recording.by_values:
            return func(*args, **kwargs)

        def bare(each: Any) -> Any:
            if isinstance(each, torch.device):
                return torch.device("meta")
            return self.node_of(each).meta["value"] if isinstance(each, Tensor) else each

        return func(*tree_map(bare, args), **tree_map(bare, kwargs))

    def _apart(self, func: Any, args: Any, kwargs: Any) -> Any:
        """What is made of numbers alone is made now."""
        if is_random(func):
            raise self._refusal(func, "draws numbers in evaluation too, so no two predictions are alike; leave it out")
        # Where the network is thought to be, there are no numbers.
        args, kwargs = (tree_map(_off_meta, each) for each in (args, kwargs))
        if makes_new(func):
            kwargs["device"] = torch.device("cpu")
        for changed in map(_storage, _written(func, args, kwargs)):
            self._constants = {key: held for key, held in self._constants.items() if _storage(held[0]) != changed}
        made = func(*args, **kwargs)
        return made.zero_() if is_empty(func) else made

    def _take_over(self, tensor: Tensor) -> None:
        """Before an image's values are written into a tensor made of numbers: from here on it is recorded, as is all in
        its memory.
        """
        if id(tensor) in self._names:
            raise self._refusal(
                "a call", f"overwrites {self._names[id(tensor)]}; leave the network's tensors as they are"
            )
        if id(tensor) not in self._nodes and _storage(tensor) not in self._storages:
            whole = torch.empty(0, dtype=tensor.dtype).set_(tensor.untyped_storage())
            with torch.inference_mode(False):
                self._storages[_storage(tensor)] = self._constant(whole.clone())

    def _line(self) -> str | None:
        """The innermost line outside torch that made this call."""
        frame: FrameType | None = sys._getframe(2)
        while frame is not None and frame.f_code is not _recorded.__code__:
            if _is_users(frame.f_code.co_filename):
                return f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}"
            frame = frame.f_back
        return None

    def _refusal(self, func: Any, why: str) -> UncountableOperatorError:
        line, module = self._line(), self._calls[-1]
        return UncountableOperatorError(f"{title(func, module, line)} in {self._name} {why}")


def _is_users(file: str) -> bool:
    folder = os.path.dirname(file)
    return bool(folder) and folder != os.path.dirname(__file__) and not file.startswith((TORCH, "<"))


def _off_meta(given: Any) -> Any:
    return torch.device("cpu") if isinstance(given, torch.device) else given


def _written(func: Any, args: Any, kwargs: Any) -> list[Tensor]:
    """The tensors that a call overwrites."""
    arguments = enumerate(func._schema.arguments)
    given = [
        args[place] if place < len(args) else kwargs.get(argument.name)
        for place, argument in arguments
        if argument.alias_info is not None and argument.alias_info.is_write
    ]
    return [each for each in given if isinstance(each, Tensor)]


def _storage(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
