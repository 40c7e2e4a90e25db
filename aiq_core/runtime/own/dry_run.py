"""The dry run of a user's own network: everything that is asked before it is kept, made in a catalogue of its own."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import save
from torch import nn

from aiq_core.catalog import Card, Catalog, Dataset, Model
from aiq_core.catalog.dataset import CALIBRATION
from aiq_core.catalog.hashes import model_hash
from aiq_core.catalog.model import CARD, CONTACT_SHEET, PROFILE, WEIGHTS
from aiq_core.errors import SettingError, UncountableOperatorError, WeightsError
from aiq_core.records import ModelProfile, SplitName
from aiq_core.runtime.bare import bare
from aiq_core.runtime.device import device_of
from aiq_core.runtime.files import write_whole
from aiq_core.runtime.layers import write_layers
from aiq_core.runtime.own import blocks, data, pretrained
from aiq_core.runtime.own.asked import Asked, Found
from aiq_core.runtime.own.checkpoint import Checkpoint, mismatch, own_weights, read_checkpoint
from aiq_core.runtime.own.configuration import configured
from aiq_core.runtime.own.excluded import Excluded, check_layers
from aiq_core.runtime.own.measure import better_order, contact_sheet, forward, plain_input, predict
from aiq_core.runtime.own.named import training_of
from aiq_core.runtime.own.network import CONFIGURATION, TIMM, TORCHVISION, Source
from aiq_core.runtime.own.pictures import Pictures, channels_of
from aiq_core.runtime.own.preprocessing import (
    Preprocessing,
    document_of,
    read_preprocessing,
    with_flags,
)
from aiq_core.runtime.profile import profile, profile_text
from aiq_core.runtime.weights import filled

DEFAULT, RANDOM = "default", "random"
SEED = 0
LEAST_OUTPUTS = 2
READY, COUNTED, WRITTEN = 0.02, 0.05, 0.55
"""How far a dry run is once the network is built, counted, and its images are written."""

Say = Callable[[float, str], None]


def dry_run(asked: Asked, folder: Path, say: Say = lambda *_: None) -> Found:
    """Makes a model and its data set in `folder`, an empty one, as a catalogue has them; what was found on the way.

    Raises AiqError for what leaves nothing to say; what is refused after that is in what is found.
    """
    device, found = device_of(asked.device), Found()
    kept = folder / "models" / asked.name
    say(0.0, "building the network")
    source, module = _built(asked, kept)
    found.parameters = sum(each.numel() for each in module.parameters())
    say(READY, "reading the weights")
    try:
        checkpoint = _weights(asked, source, module, found)
    except WeightsError as error:
        found.refused = error
        return found
    filled(module, asked.name, checkpoint.tensors, asked.weights)
    found.said += checkpoint.said
    found.keys_loaded, found.stored_bytes = len(checkpoint.tensors), checkpoint.stored_bytes
    how, categories = _preprocessing(asked, source, module)
    say(READY, "looking at the images")
    given = _given(asked)
    found.is_calibrated_apart = given.calibration is not None
    channels = _channels(how, given.data, module)
    mean, std = how.of_pixels(channels)
    image = blocks.first_image(given.data, how, channels)
    shape = channels, *image.shape[:2]
    try:
        found.profile = profile(module, asked.name, shape, Excluded(asked.exclude), asked.result)
    except UncountableOperatorError as error:
        found.operators_refused.append(str(error))
        found.refused = error
        return found
    check_layers(found.profile, asked.exclude, need_bits=True)
    given = data.with_classes(given, _outputs(module, image, mean, std, asked), categories)
    found.said += [line for each in given.sets for line in each.said]
    found.said.append(f"{how.said}; normalised by mean {_listed(mean)} and deviation {_listed(std)}")
    written = folder / "data" / asked.name
    found.said += blocks.write(
        given, how, channels, written, data.title_of(asked.data), lambda s, t: say(COUNTED + s * (WRITTEN - COUNTED), t)
    )
    dataset = Dataset.read(written)
    card = _kept(asked, source, checkpoint, how, found.profile, shape, dataset, kept)
    model = Model(card, dataset, kept, bundled=False)
    _measure(found, module, model, device, lambda share, told: say(WRITTEN + (1 - WRITTEN) * share, told))
    card = replace(
        card,
        search_top1_percent=found.percent(SplitName.SEARCH),
        report_top1_percent=found.percent(SplitName.REPORT),
        is_chance=is_chance(found, model),
        seconds_an_image=found.seconds_an_image,
    )
    write_whole(kept / CARD, (json.dumps(card.to_json(), indent=1) + "\n").encode())
    found.model = Catalog(folder).model(asked.name)
    write_layers(found.model)
    return found


def counted_alone(asked: Asked) -> tuple[ModelProfile, list[str]]:
    """A network's profile without weights or data, and what there is to say of it. Raises AiqError."""
    source = Source.parse(asked.network)
    if source.kind == CONFIGURATION:
        assert source.file is not None
        given = configured(source.file, asked.tokens, with_flags(Preprocessing(), asked.flags).crop)
        return _counted(asked, given.network, given.shape, given.dtype), [given.said]
    if asked.tokens is not None:
        raise SettingError(f"tokens={asked.tokens}: {asked.network} reads images; leave --tokens out")
    module = bare(source.build) if source.kind != "program" else source.build()
    how, _ = _preprocessing(replace(asked, weights=DEFAULT), source, module)
    if how.crop is None:
        raise SettingError(f"{asked.network} says nothing of its images; give the size of its images by --crop")
    height, width = how.crop * (3 - len(how.crop))
    shape = (_channels(how, None, module), height, width)
    try:
        return _counted(asked, module, shape), []
    except UncountableOperatorError:  # it may ask for values, which only the network itself has
        return _counted(asked, source.build(), shape), []


def _counted(asked: Asked, module: nn.Module, shape: tuple[int, ...], dtype: torch.dtype | None = None) -> ModelProfile:
    counted = profile(module, asked.name, shape, Excluded(asked.exclude), asked.result, dtype)
    check_layers(counted, asked.exclude)
    return counted


def _built(asked: Asked, kept: Path) -> tuple[Source, nn.Module]:
    """The network, built from the copy of its code: what is tried is what is kept."""
    source = Source.parse(asked.network)
    if source.file is not None:
        source.build()
        source = source.keep(kept)
    torch.manual_seed(SEED)
    try:
        module = source.build()
    except SettingError as error:
        if source.file is None:
            raise
        raise SettingError(f"{error}; of its folder, its copy has only .py files that it imports") from None
    if any(each.is_meta for each in (*module.parameters(), *module.buffers())):
        raise SettingError(
            f"{asked.network} is built on the meta device, where tensors have no values; build it on the CPU, or count "
            "it alone by --only-profile"
        )
    return source, module


def _weights(asked: Asked, source: Source, module: nn.Module, found: Found) -> Checkpoint:
    """The tensors that are asked for. Raises WeightsError where they do not fit."""
    if asked.weights not in (DEFAULT, RANDOM):
        checkpoint, found.mismatch = read_checkpoint(Path(asked.weights).expanduser(), module, asked.key)
        if found.mismatch:
            raise WeightsError(
                f"{asked.weights} does not fit {asked.network}: {found.mismatch}; use weights saved from this network"
            )
        return checkpoint
    if asked.key is not None:
        raise SettingError(f"key={asked.key!r} is of use with a checkpoint; leave --key out, or give --weights FILE")
    if asked.weights == DEFAULT and source.kind in (TORCHVISION, TIMM):
        state = pretrained.state_of(source)
        found.mismatch = mismatch(state, module)
        if found.mismatch:
            raise WeightsError(
                f"{source.kind}'s own weights of {source.architecture} do not fit {asked.network}: {found.mismatch}; "
                "leave the number of outputs out, or give --weights FILE, or --weights random"
            )
        module.load_state_dict(state, strict=False)
    elif asked.weights == DEFAULT:
        found.said.append(f"weights are those that {asked.network} comes with; --weights gives others")
    if asked.weights == RANDOM:
        found.said.append(f"weights are random, drawn with seed {SEED}")
    return own_weights(module, asked.network)


def _preprocessing(asked: Asked, source: Source, module: nn.Module) -> tuple[Preprocessing, tuple[str, ...] | None]:
    """How images are prepared, and the names of classes that come with the network's own weights."""
    base, categories = Preprocessing(), None
    if source.kind in (TORCHVISION, TIMM) and asked.weights in (DEFAULT, RANDOM):
        base, categories = pretrained.preprocessing_of(source, module)
    if asked.preprocessing is not None:
        base = read_preprocessing(Path(asked.preprocessing).expanduser())
    return with_flags(base, asked.flags), categories


def _given(asked: Asked) -> data.Given:
    order = None if asked.classes is None else data.read_classes(Path(asked.classes).expanduser())

    def find(text: str | None, train: bool = False) -> Pictures | None:
        return None if text is None else data.ordered(data.find(text, asked.layout, train), order)

    calibration = asked.calibration_data or training_of(asked.data)
    chooses = data.ordered(data.find(asked.data, asked.layout), order)
    return data.Given(chooses, find(asked.report_data), find(calibration, train=True))


def _channels(how: Preprocessing, pictures: Pictures | None, module: nn.Module) -> int:
    """Channels of the images: what the first convolution reads, else as many as mean has, else those of the data."""
    kept = next((each.shape[1] for each in module.parameters() if each.ndim == 4), 0)  # a program has no modules
    first = next((each.in_channels for each in module.modules() if isinstance(each, nn.Conv2d)), kept)
    if first in (1, 3):
        return first
    means = len(how.mean or ())
    if means == 3 or (means == 1 and pictures is None):  # one number may be for each of three
        return means
    return 3 if pictures is None else channels_of(pictures)


def _outputs(
    module: nn.Module, image: NDArray[np.uint8], mean: Sequence[float], std: Sequence[float], asked: Asked
) -> int:
    """How many classes the network tells apart."""
    with torch.inference_mode():
        given = forward(module, plain_input(image[None], mean, std), asked.name, asked.result)
    if given.ndim != 2 or given.shape[1] < LEAST_OUTPUTS:
        raise SettingError(
            f"{asked.name} gives {list(given.shape)} for one image, a classifier gives [1, classes], "
            f"{LEAST_OUTPUTS} or more of these; wrap it so that its forward does"
        )
    return int(given.shape[1])


def _kept(
    asked: Asked,
    source: Source,
    checkpoint: Checkpoint,
    how: Preprocessing,
    counted: ModelProfile,
    shape: tuple[int, int, int],
    dataset: Dataset,
    folder: Path,
) -> Card:
    """Writes the weights and the profile; the card, but for what is measured."""
    content = save(checkpoint.tensors)
    write_whole(folder / WEIGHTS, content)
    write_whole(folder / PROFILE, profile_text(counted).encode())
    mean, std = how.of_pixels(shape[0])
    recipe: dict[str, Any] = {
        "network": asked.network,
        "weights": Path(asked.weights).name,
        "stored_bytes": checkpoint.stored_bytes,
        "stored_as": list(checkpoint.dtypes),
        "preprocessing": document_of(how),
        "torch": torch.__version__.split("+")[0],
    }
    return Card(
        name=asked.name,
        title=asked.title or asked.name,
        dataset=asked.name,
        input_shape=shape,
        class_names=dataset.class_names,
        mean=mean,
        std=std,
        model_hash=model_hash(counted.graph, mean, std, checkpoint.tensors),
        weights_sha256=hashlib.sha256(content).hexdigest(),
        recipe=recipe,
        search_top1_percent=0.0,
        report_top1_percent=0.0,
        network=source.text,
        result=asked.result,
    )


def _measure(found: Found, module: nn.Module, model: Model, device: torch.device, say: Say) -> None:
    splits = model.dataset.splits
    predictions, labels, done = [], [], 0
    seconds: list[float] = []
    whole = sum(split.size for split in splits.values())
    for name, split in splits.items():

        def told(share: float, text: str, size: int = split.size, before: int = done) -> None:
            say((before + share * size) / whole, text)

        predicted, took = predict(module, model, split, device, told)
        done, seconds = done + split.size, [*seconds, took]
        found.right[name] = int((predicted == split.labels).sum())
        found.images[name] = split.size
        if name != CALIBRATION:
            predictions.append(predicted)
            labels.append(split.labels.astype(np.int64))
        if name == SplitName.REPORT:
            contact_sheet(split, predicted, model.dataset.class_names, model.folder / CONTACT_SHEET)
    found.seconds_an_image = min(seconds)
    found.better_order = better_order(np.concatenate(predictions), np.concatenate(labels), len(model.card.class_names))


def is_chance(found: Found, model: Model) -> bool:
    """Whether guessing would be right as often, on both splits together: the interval holds 1 / classes."""
    right, images = found.judged()
    interval = model.metric.interval(right, images)
    return interval.low <= 100 / len(model.card.class_names) <= interval.high


def _listed(numbers: Sequence[float]) -> str:
    return ", ".join(f"{each:.4g}" for each in numbers)
