"""Trains a model by its recipe; a kill at any moment loses at most an epoch and changes nothing of the result."""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from aiq_core.catalog import Card, Dataset, cache_dir
from aiq_core.catalog.hashes import model_hash
from aiq_core.catalog.model import read_weights
from aiq_core.errors import SettingError
from aiq_core.records import SplitName
from aiq_core.runtime.augment import augment
from aiq_core.runtime.checkpoint import CHECKPOINT, Checkpoint, load_checkpoint, save_checkpoint
from aiq_core.runtime.data import to_input, training_images
from aiq_core.runtime.files import write_whole
from aiq_core.runtime.models import ModelSpec, Recipe, spec
from aiq_core.runtime.profile import profile
from aiq_core.runtime.weights import network_with, save_weights

EVALUATION_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a training is, after an epoch; `loss` is the epoch's mean, `eta_s` seconds to the last epoch."""

    epoch: int
    epochs: int
    loss: float
    eta_s: float


def train(
    name: str,
    dataset: Dataset,
    output: Path,
    report: Callable[[Progress], None] = lambda _: None,
    recipe: Recipe | None = None,
    work: Path | None = None,
    device: str = "cpu",
) -> Card:
    """Train a model on `device`, `cpu` or `cuda`, on its data set; write weights.safetensors and card.json to `output`.

    Every epoch's state is saved in `work` (the cache's training/NAME by default) and resumed from there: on the
    CPU along the same trajectory, on a GPU up to the order in which its kernels add. Only the choice between the
    last and the averaged weights looks at `search`. Raises SettingError for a device that is not here.
    """
    model = spec(name)
    recipe = suited_to(device, recipe or model.recipe)
    work = work or cache_dir() / "training" / name
    trainer = Trainer(model, dataset, recipe, device)
    saved = load_checkpoint(work, asdict(recipe))
    if saved is not None:
        trainer.restore(saved)
    while trainer.epoch < recipe.epochs:
        started = time.monotonic()
        loss = trainer.run_epoch()
        save_checkpoint(work, asdict(recipe), trainer.state())
        left = recipe.epochs - trainer.epoch
        report(Progress(trainer.epoch, recipe.epochs, loss, left * (time.monotonic() - started)))
    kept, network = trainer.better()
    save_weights(network, output / "weights.safetensors")
    # Without the local part (+cpu, +cu130), which says how the wheel was built.
    how = {"kept": kept, "torch": torch.__version__.split("+")[0], "device": device}
    card = write_card(model, dataset, output, asdict(recipe) | how)
    (work / CHECKPOINT).unlink(missing_ok=True)
    return card


class Trainer:
    """A network, its average and its optimizer on the way through a recipe; `epoch` counts finished epochs."""

    def __init__(self, model: ModelSpec, dataset: Dataset, recipe: Recipe, device: str = "cpu") -> None:
        self.model, self.dataset, self.recipe, self.device, self.epoch = model, dataset, recipe, device, 0
        pixels, labels = training_images(dataset)
        self._pixels = pixels
        self._labels = torch.from_numpy(labels.astype(np.int64))
        torch.manual_seed(recipe.seed)
        self.network = model.build().to(memory_format=torch.channels_last).to(device)
        self.average = model.build().to(memory_format=torch.channels_last).to(device)
        self.average.load_state_dict(self.network.state_dict())
        self._optimizer = torch.optim.SGD(
            parameter_groups(self.network, recipe.weight_decay), lr=0.0, momentum=recipe.momentum, nesterov=True
        )
        self._random = torch.Generator().manual_seed(recipe.seed)
        self._steps_per_epoch = len(labels) // recipe.batch_size
        if self._steps_per_epoch == 0:
            raise SettingError(f"batch_size={recipe.batch_size} exceeds the {len(labels)} training images; lower it")

    def run_epoch(self) -> float:
        """One pass over the training images; the mean loss."""
        self.network.train()
        order = torch.randperm(len(self._labels), generator=self._random)
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        for step in range(self._steps_per_epoch):
            indices = order[step * self.recipe.batch_size : (step + 1) * self.recipe.batch_size]
            total += self._step(self.epoch * self._steps_per_epoch + step, indices)
        self.epoch += 1
        return total.item() / self._steps_per_epoch

    def _step(self, step: int, indices: Tensor) -> Tensor:
        recipe = self.recipe
        rate = learning_rate(recipe, step, self._steps_per_epoch * recipe.epochs)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        inputs = to_input(self._pixels[indices.numpy()], self.model.mean, self.model.std)
        inputs = augment(inputs, recipe.crop_padding, recipe.flip, self._random).to(self.device)
        dtype = getattr(torch, recipe.autocast) if recipe.autocast else torch.bfloat16
        with torch.autocast(self.device, dtype=dtype, enabled=recipe.autocast is not None):
            logits = self.network(inputs)
        loss = nn.functional.cross_entropy(
            logits.float(), self._labels[indices].to(self.device), label_smoothing=recipe.label_smoothing
        )
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        average_into(self.average, self.network, min(recipe.average_decay, (1 + step) / (10 + step)))
        return loss.detach()

    def state(self) -> Checkpoint:
        """Everything the trajectory depends on; torch's own generators too, which dropout draws from."""
        return {
            "epoch": self.epoch,
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "augmentation_random": self._random.get_state(),
            "torch_random": torch.get_rng_state() if self.device == "cpu" else torch.cuda.get_rng_state(),
        }

    def restore(self, saved: Checkpoint) -> None:
        """Go back to where `state` was taken."""
        self.epoch = saved["epoch"]
        self.network.load_state_dict(saved["network"])
        self.average.load_state_dict(saved["average"])
        self._optimizer.load_state_dict(saved["optimizer"])
        self._random.set_state(saved["augmentation_random"])
        (torch.set_rng_state if self.device == "cpu" else torch.cuda.set_rng_state)(saved["torch_random"])

    def better(self) -> tuple[str, nn.Module]:
        """`last` or `averaged`, whichever gets more of `search` right, and its network; `averaged` at a tie."""
        network, average = self.network.cpu(), self.average.cpu()
        last, averaged = (top1_percent(self.model, self.dataset, net, SplitName.SEARCH) for net in (network, average))
        return ("last", network) if last > averaged else ("averaged", average)


def suited_to(device: str, recipe: Recipe) -> Recipe:
    """The recipe, without autocast where this CPU would emulate it; the card records what ran.

    Seen on an AVX2 CPU: a bfloat16 step of resnet20 took 8 times an FP32 step. Raises SettingError for a device
    that is not here.
    """
    if device == "cuda" and torch.cuda.is_available():
        return recipe
    if device != "cpu":
        raise SettingError(
            f"device={device!r} cannot be used here; give cpu" + ("" if device == "cuda" else " or cuda")
        )
    return recipe if torch.backends.cpu.get_cpu_capability() == "AVX512" else replace(recipe, autocast=None)


def parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Weights of convolutions and linear layers, which decay, and the rest, which do not."""
    decayed = [m.weight for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    known = {id(parameter) for parameter in decayed}
    rest = [parameter for parameter in network.parameters() if id(parameter) not in known]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": rest, "weight_decay": 0.0}]


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """The rate at a step, counted from 0: linear warm-up, then cosine to 0."""
    warmup = max(1, round(recipe.warmup_fraction * steps))
    if step < warmup:
        return recipe.peak_learning_rate * (step + 1) / warmup
    return recipe.peak_learning_rate * 0.5 * (1 + float(np.cos(np.pi * (step - warmup) / max(1, steps - warmup))))


@torch.no_grad()
def average_into(average: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the average towards the network, buffers too; counters are copied."""
    pairs = list(zip(average.state_dict().values(), network.state_dict().values(), strict=True))
    means, values = zip(*(pair for pair in pairs if pair[0].is_floating_point()), strict=True)
    get_ema_multi_avg_fn(decay)(means, values, 0)  # type: ignore[no-untyped-call]
    for mean, value in pairs:
        if not mean.is_floating_point():
            mean.copy_(value)


@torch.inference_mode()
def top1_percent(model: ModelSpec, dataset: Dataset, network: nn.Module, split: SplitName) -> float:
    """FP32 top-1 on all images of a split, in percent."""
    judging = dataset.split(split)
    pixels = judging.images(judging.size)
    network.eval()
    predicted = [
        network(to_input(pixels[start : start + EVALUATION_CHUNK], model.mean, model.std)).argmax(1)
        for start in range(0, judging.size, EVALUATION_CHUNK)
    ]
    right = torch.cat(predicted).numpy() == judging.labels
    return 100 * int(right.sum()) / judging.size


def write_card(model: ModelSpec, dataset: Dataset, folder: Path, recipe: dict[str, Any]) -> Card:
    """Measure `folder`'s weights on both splits and write card.json beside them."""
    path = folder / "weights.safetensors"
    tensors = read_weights(path)
    network = network_with(model, tensors, str(path))
    counted = profile(network, model.name, model.input_shape, model.excluded)
    card = Card(
        name=model.name,
        title=model.title,
        dataset=dataset.name,
        input_shape=model.input_shape,
        class_names=dataset.class_names,
        mean=model.mean,
        std=model.std,
        model_hash=model_hash(counted.graph, model.mean, model.std, tensors),
        weights_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        recipe=recipe,
        search_top1_percent=top1_percent(model, dataset, network, SplitName.SEARCH),
        report_top1_percent=top1_percent(model, dataset, network, SplitName.REPORT),
    )
    write_whole(folder / "card.json", (json.dumps(card.to_json(), indent=1) + "\n").encode())
    return card
