"""Trains a policy's weights and biases at its widths: rounded going forward as the evaluator rounds, moved going back.

Norms are folded and activations stand on the ranges of calibration, so what is trained is what is deployed. A kill at
any moment loses at most an epoch and, on one CPU, changes nothing of the result.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from aiq_core.catalog import Model
from aiq_core.catalog.dataset import TRAINING
from aiq_core.errors import SettingError
from aiq_core.records import Policy, Quantizer, Tuning
from aiq_core.runtime import tuned
from aiq_core.runtime.augment import augment
from aiq_core.runtime.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from aiq_core.runtime.data import to_input, training_images
from aiq_core.runtime.evaluate import current_origin
from aiq_core.runtime.memory import keep_freed_memory
from aiq_core.runtime.models import Recipe, spec
from aiq_core.runtime.train import Progress, learning_rate
from aiq_core.runtime.tuned_network import TunedNetwork, folded, run

UNFINISHED = "unfinished"


def fine_tune(
    model: Model,
    policy: Policy,
    tuning: Tuning,
    settings: Quantizer,
    report: Callable[[Progress], None] = lambda _: None,
    threads: int | None = None,
) -> str:
    """Trains a policy as `settings` say, and keeps its layers; returns their hash.

    What was trained before is found again, and what was begun goes on from its last whole epoch. `report` is called
    after every step, and may raise to stop. Raises DataError where training images are not here.
    """
    settings = replace(settings, trained=None)
    made = how_made(model, policy, tuning, settings)
    known = tuned.find(model, **made)
    if known is not None:
        return known
    origin = current_origin(threads)
    torch.set_num_threads(origin.threads)
    keep_freed_memory()
    text = json.dumps([model.hash, made], sort_keys=True)
    work = tuned.own_folder() / UNFINISHED / hashlib.sha256(text.encode()).hexdigest()[:16]
    tuner = FineTuner(model, policy, tuning, settings)
    saved = load_checkpoint(work, made)
    if saved is not None:
        tuner.restore(saved)
    started, before = time.monotonic(), tuner.epoch * tuner.steps

    def step(done: int, loss: float) -> None:
        made_steps = tuner.epoch * tuner.steps + done
        pace = (time.monotonic() - started) / (made_steps - before)
        report(Progress(tuner.epoch, tuning.epochs, loss, pace * (tuning.epochs * tuner.steps - made_steps)))

    while tuner.epoch < tuning.epochs:
        tuner.run_epoch(step)
        save_checkpoint(work, made, tuner.state())
    trained = tuned.keep(model, policy, tuner.network.layers(), made | {"origin": asdict(origin)})
    shutil.rmtree(work, ignore_errors=True)
    return trained


class FineTuner:
    """A network on the way through a tuning; `epoch` counts finished epochs.

    `settings` are those of the fine-tuned quantizer.
    """

    def __init__(self, model: Model, policy: Policy, tuning: Tuning, settings: Quantizer) -> None:
        self.model, self.recipe, self.epoch = model, recipe(model, tuning), 0
        self._distilled = tuning.distilled
        start = replace(settings, rounding=tuning.start, seed=None)
        self.network, self._fp32 = TunedNetwork(model, policy, start), folded(model)
        pixels, labels = training_images(model.dataset)
        self._pixels, self._labels = pixels, torch.from_numpy(labels.astype(np.int64))
        # Not SGD, as without norms between them layers need rates of their own.
        self._optimizer = torch.optim.Adam(self.network.trained.values(), lr=0.0)
        self._random = torch.Generator().manual_seed(self.recipe.seed)
        self.steps = len(labels) // self.recipe.batch_size
        """Of an epoch."""
        if self.steps == 0:
            raise SettingError(
                f"batch_size={self.recipe.batch_size} exceeds the {len(labels)} training images; lower it"
            )

    def run_epoch(self, report: Callable[[int, float], None]) -> None:
        """One pass over the training images; tells how many steps it made, and their mean loss."""
        order, total = torch.randperm(len(self._labels), generator=self._random), 0.0
        size = self.recipe.batch_size
        for step in range(self.steps):
            total += self._step(self.epoch * self.steps + step, order[step * size : (step + 1) * size])
            report(step + 1, total / (step + 1))
        self.epoch += 1

    def _step(self, step: int, indices: Tensor) -> float:
        rate = learning_rate(self.recipe, step, self.steps * self.recipe.epochs)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        pixels = self._pixels[indices.numpy()]
        card = self.model.card
        both = [to_input(each, card.mean, card.std) for each in (self.network.pixels(pixels), pixels)]
        # The network and its teacher see the same crops.
        augmented = augment(torch.cat(both, 1), self.recipe.crop_padding, self.recipe.flip, self._random)
        seen, exact = (half.contiguous(memory_format=torch.channels_last) for half in augmented.chunk(2, 1))
        loss = self._loss(self.network(seen), exact, self._labels[indices])
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        return float(loss.detach())

    def _loss(self, logits: Tensor, exact: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy with the labels and with what the FP32 network answers, less its own entropy."""
        with torch.no_grad():
            answers = functional.log_softmax(run(self._fp32, exact), 1)
        found = functional.log_softmax(logits, 1)
        distilled = functional.kl_div(found, answers, reduction="batchmean", log_target=True)
        return self._distilled * distilled + (1 - self._distilled) * functional.nll_loss(found, labels)

    def state(self) -> Checkpoint:
        """Everything the trajectory depends on."""
        return {
            "epoch": self.epoch,
            "network": {name: parameter.detach() for name, parameter in self.network.trained.items()},
            "optimizer": self._optimizer.state_dict(),
            "augmentation_random": self._random.get_state(),
            "torch_random": torch.get_rng_state(),
        }

    def restore(self, saved: Checkpoint) -> None:
        """Go back to where `state` was taken."""
        self.epoch = saved["epoch"]
        for name, parameter in self.network.trained.items():
            parameter.data.copy_(saved["network"][name])
        self._optimizer.load_state_dict(saved["optimizer"])
        self._random.set_state(saved["augmentation_random"])
        torch.set_rng_state(saved["torch_random"])


def how_made(model: Model, policy: Policy, tuning: Tuning, settings: Quantizer) -> dict[str, Any]:
    """A JSON-ready document of all that layers depend on, but for the machine."""
    how = recipe(model, tuning)
    used = ("epochs", "peak_learning_rate", "warmup_fraction", "batch_size", "crop_padding", "flip", "seed")
    return {
        "policy": policy.key,
        "tuning": asdict(tuning),
        "recipe": {"optimizer": "adam", **{name: getattr(how, name) for name in used}},
        "quantizer": settings.to_json(),
        "training_hash": model.dataset.split(TRAINING).hash,
    }


def recipe(model: Model, tuning: Tuning) -> Recipe:
    """The model's own recipe with a tuning's epochs, rate and seed: batches and crops are its own.

    Raises SettingError for a user's own model, which has none.
    """
    if model.card.network is not None:
        raise SettingError(
            f"{model} has no recipe and no training images here, so it cannot be fine-tuned; search its bits instead"
        )
    return replace(
        spec(model.name).recipe,
        epochs=tuning.epochs,
        peak_learning_rate=tuning.peak_learning_rate,
        seed=tuning.seed,
    )
