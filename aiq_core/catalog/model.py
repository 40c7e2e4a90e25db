"""A network with weights: what its card says of it, and its profile, tensors and layer inputs."""

import json
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as parse_safetensors

from aiq_core.activations import Calibration
from aiq_core.catalog.dataset import Dataset
from aiq_core.catalog.hashes import model_hash
from aiq_core.errors import DataError, WeightsError
from aiq_core.folding import Folded, fold
from aiq_core.metrics import TOP1, Metric, metric
from aiq_core.records import ModelProfile

CARD, PROFILE, WEIGHTS = "card.json", "profile.json", "weights.safetensors"
CONTACT_SHEET = "contact.png"
"""Files of a model's folder; the last is of a user's own alone: some images with what they are and are read as."""


@dataclass(frozen=True)
class Card:
    """What is known of a model's weights. Hashes are hex; `model_hash` is short, `weights_sha256` of the file.

    `mean` and `std` are per channel, of pixels / 255. Top-1 is FP32's on all images of the split. A user's own model
    says in `network` what builds it and in `result` which of its results the logits are; `is_chance` marks one that may
    be guessing, and `seconds_an_image` is what FP32 took where it was added.
    """

    name: str
    title: str
    dataset: str
    input_shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    model_hash: str
    weights_sha256: str
    recipe: Mapping[str, Any]
    search_top1_percent: float
    report_top1_percent: float
    metric: str = TOP1
    network: str | None = None
    result: str | None = None
    is_chance: bool = False
    seconds_an_image: float | None = None

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready document, without what is as with a bundled model; `read` reads it back."""
        usual = {field.name: field.default for field in fields(self) if field.default is not MISSING}
        kept = ("metric",)
        return {key: value for key, value in asdict(self).items() if key in kept or usual.get(key, self) != value}

    @classmethod
    def read(cls, folder: Path) -> "Card":
        """The card in a model's folder."""
        document = json.loads((folder / "card.json").read_text())
        fields: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in document.items()
        }
        return cls(**fields)


@dataclass(frozen=True, eq=False)
class LayerInput:
    """What a layer reads for one image, float32[C, H, W] ([C] of a linear layer), and how it convolves it.

    `bias` is that of the layer with its batch norm folded in, float32[out].
    """

    value: NDArray[np.float32]
    bias: NDArray[np.float32]
    stride: int
    padding: int
    groups: int


@dataclass(frozen=True, eq=False)
class Model:
    """A network with weights and the data it is judged on. `bundled` says that it ships with the app."""

    card: Card
    dataset: Dataset
    folder: Path
    bundled: bool

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        """The name by which commands, addresses and runs call it."""
        return self.card.name

    @property
    def title(self) -> str:
        """The name that readers see, which says so of one that may be guessing."""
        return f"{self.card.title} (chance level)" if self.card.is_chance else self.card.title

    @cached_property
    def metric(self) -> Metric:
        """What is counted of it."""
        return metric(self.card.metric, len(self.dataset.class_names))

    @property
    def identity(self) -> dict[str, str]:
        """What a run's id holds beside the request: the contents of a model whose name another one may get."""
        if self.bundled:
            return {}
        hashes = self.hash, self.dataset.search.hash, self.dataset.report.hash
        return dict(zip(("model_hash", "search_hash", "report_hash"), hashes, strict=True))

    @property
    def hash(self) -> str:
        """16 hex digits that identify what it computes."""
        return self.card.model_hash

    @cached_property
    def profile(self) -> ModelProfile:
        """What the traffic model needs to know of it."""
        return ModelProfile.from_json(json.loads((self.folder / "profile.json").read_text()))

    @cached_property
    def weights(self) -> dict[str, NDArray[Any]]:
        """Tensor name -> array, checked against its card. Raises WeightsError."""
        path = self.folder / "weights.safetensors"
        tensors = read_weights(path)
        found = model_hash(self.profile.graph, self.card.mean, self.card.std, tensors, self.card.metric)
        if found != self.hash:
            raise WeightsError(
                f"{path} has model hash {found}, its card says {self.hash}; "
                "restore the file from the repository, or make its card anew with `make assets`"
            )
        return tensors

    @cached_property
    def folded(self) -> dict[str, Folded]:
        """Layer name -> its tensors with its norm folded in, as they are evaluated and rounded. Raises WeightsError."""
        return fold(self.weights, self.profile)

    @cached_property
    def folded_weights(self) -> dict[str, NDArray[np.float32]]:
        """Layer name -> weights of `folded`."""
        return {name: layer.weight for name, layer in self.folded.items()}

    @cached_property
    def shipped_ranges(self) -> Calibration | None:
        """The ranges of activations that ship with it; None where none do. Raises DataError."""
        path = self.folder / "ranges.json"
        return Calibration.from_json(json.loads(path.read_text())) if path.is_file() else None

    @cached_property
    def layer_inputs(self) -> dict[str, LayerInput]:
        """Quantizable layer -> what it reads for the first report image; empty where that was not made.

        Raises DataError.
        """
        path = self.folder / "layers.npz"
        if not path.is_file():
            return {}
        try:
            with np.load(path, allow_pickle=False) as file:
                return {
                    layer: LayerInput(
                        file[f"input.{layer}"].astype(np.float32),
                        file[f"bias.{layer}"],
                        *(int(number) for number in file[f"geometry.{layer}"]),
                    )
                    for layer in self.profile.quantizable_names
                }
        except (OSError, ValueError, EOFError, KeyError) as error:
            raise DataError(f"{path} cannot be read ({error}); restore it from the repository") from None


def read_weights(path: Path) -> dict[str, NDArray[Any]]:
    """Tensor name -> array of a safetensors file, all of them finite.

    Raises WeightsError for anything else, a pickle above all.
    """
    try:
        tensors = parse_safetensors(path.read_bytes())
    except OSError as error:
        raise WeightsError(f"{path} cannot be read ({error.strerror}); restore it from the repository") from None
    except (SafetensorError, ValueError, TypeError, KeyError) as error:
        raise WeightsError(
            f"{path} is not a safetensors file ({error}); pickles can run code and are never loaded: "
            "save the tensors with safetensors.torch.save_file"
        ) from None
    check_finite(tensors, str(path))
    return tensors


def check_finite(tensors: Mapping[str, NDArray[Any]], source: str) -> None:
    """Raises WeightsError, naming `source`, for NaN or infinity in a tensor."""
    for name, array in tensors.items():
        kinds = (("NaN", np.isnan(array)), ("infinite", np.isinf(array)))
        found = [f"{where.sum()} {kind} at {np.argwhere(where)[0].tolist()}" for kind, where in kinds if where.any()]
        if found:
            raise WeightsError(
                f"{source} cannot be used ({name}: {', '.join(found)}): a network with such numbers has no accuracy; "
                "use weights that are finite"
            )
