"""Makes everything in assets/ that comes from elsewhere: data, weights, cards and profiles (`make assets`)."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from aiq_core.activations import DEFAULT_RULE
from aiq_core.catalog import ASSETS, Dataset, bundled
from aiq_core.catalog.model import PROFILE
from aiq_core.catalog.shipped import FILE, shipped_settings
from aiq_core.errors import WeightsError
from aiq_core.frontier.sensitivity import FILE as SENSITIVITY
from aiq_core.records import Ranges
from aiq_core.runtime import calibrate, layers
from aiq_core.runtime.bundle_data import bundle_cifar10, bundle_digits
from aiq_core.runtime.models import MODELS, spec
from aiq_core.runtime.profile import profile, profile_text
from aiq_core.runtime.rounded import RoundedLayers
from aiq_core.runtime.sensitivity import sensitivity, write_sensitivity
from aiq_core.runtime.shipped import write_shipped
from aiq_core.runtime.train import train, write_card
from aiq_core.space import JOINT


def bundle(report: Callable[[str], None], weights: Path | None = None) -> None:
    """Make what is missing in assets/: data sets, then every model.

    `weights` is a folder of NAME.safetensors and NAME.json (keys `kept` and `torch`); a model that is not in it
    is trained. What is there already stays: delete a folder to make it anew.
    """
    data = ASSETS / "data"
    if not (data / "digits" / "split.json").is_file():
        bundle_digits(data / "digits")
    if not (data / "cifar10" / "split.json").is_file():
        bundle_cifar10(data / "cifar10", report)
    catalog = bundled()
    for name, model in MODELS.items():
        dataset = catalog.dataset(model.dataset)
        folder = ASSETS / "models" / name
        if not (folder / "card.json").is_file():
            report(f"making {name}")
            if weights is not None and (weights / f"{name}.safetensors").is_file():
                adopt(name, dataset, weights, folder)
            else:
                with tempfile.TemporaryDirectory() as work:
                    train(name, dataset, folder, work=Path(work))
            write_profile(name, folder)
        if not (folder / layers.FILE).is_file():
            layers.write_layers(bundled().model(name))
        if not (folder / FILE).is_file():
            report(f"rounding {name}")
            made = bundled().model(name)
            write_shipped(made, RoundedLayers(made, shipped_settings(made)))
        if not (folder / calibrate.FILE).is_file():
            report(f"calibrating {name}")
            made = bundled().model(name)
            ranges = Ranges(DEFAULT_RULE, made.dataset.split("calibration").hash)
            calibrate.write_calibration(calibrate.calibration(made, ranges), folder / calibrate.FILE)
        if not (folder / SENSITIVITY).is_file():
            report(f"measuring what each width of {name} costs")
            made = bundled().model(name)
            offered = JOINT.front_widths, JOINT.front_activation_widths
            write_sensitivity(sensitivity(made, JOINT.quantizer(made.dataset), *offered), folder / SENSITIVITY)


def adopt(name: str, dataset: Dataset, source: Path, folder: Path) -> None:
    """Copy `source`/NAME.safetensors into `folder`, check its figures and write its card.

    Raises WeightsError where its top-1 is not what NAME.json says.
    """
    said = json.loads((source / f"{name}.json").read_text())
    file = source / f"{name}.safetensors"
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if found != said["sha256"]:
        raise WeightsError(f"{file} has sha256 {found}, {name}.json says {said['sha256']}; fetch it again")
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, folder / "weights.safetensors")
    model = spec(name)
    card = write_card(model, dataset, folder, asdict(model.recipe) | {"kept": said["kept"], "torch": said["torch"]})
    for split, figure in (("search", card.search_top1_percent), ("report", card.report_top1_percent)):
        # Another CPU may round a doubtful image the other way; more than that is another model.
        if abs(figure - said[f"{split}_top1_percent"]) > 0.1:
            (folder / "card.json").unlink()
            raise WeightsError(
                f"{name} reaches {figure:.2f} % on {split}, {name}.json says {said[f'{split}_top1_percent']} %; "
                "use weights that fit the model and the data"
            )


def write_profile(name: str, folder: Path) -> None:
    """Write profile.json of a model, an operation a line."""
    model = spec(name)
    counted = profile(model.build(), name, model.input_shape, model.excluded)
    (folder / PROFILE).write_text(profile_text(counted))
