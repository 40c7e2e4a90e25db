"""Adding a network with images: the dry run's figures, what is kept, what is refused, and what works on it then."""

import json
import resource
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from aiq_core import space
from aiq_core.__main__ import app
from aiq_core.catalog.dataset import TRAINING
from aiq_core.deployment.engine import Engine
from aiq_core.errors import AiqError, DataError, EvaluationError, SettingError, UnknownNameError
from aiq_core.library import open_library
from aiq_core.records import FP32_BITS, ImageSet, Policy, SplitName
from aiq_core.runtime.deployment.bench import Bench
from aiq_core.runtime.evaluate import TorchEvaluator
from aiq_core.runtime.own.asked import Asked
from aiq_core.runtime.own.dry_run import counted_alone
from aiq_core.runtime.own.measure import better_order
from aiq_core.runtime.own.network import Source
from aiq_core.tasks import add as adding
from tests import bundled

SCALED = ("--mean", "0.3", "--std", "0.35")
NETWORKS = Path(__file__).parent / "networks"
DIGITS = bundled.model("digits_cnn")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder with the digits as arrays, and the network's code and weights."""
    monkeypatch.setenv("AIQ_DATA_DIR", str(tmp_path / "data"))
    for name in (SplitName.SEARCH, SplitName.REPORT, TRAINING):
        split = DIGITS.dataset.split(name)
        np.savez(tmp_path / f"{name}.npz", images=split.images(split.size), labels=split.labels)
    shutil.copyfile(DIGITS.folder / "weights.safetensors", tmp_path / "weights.safetensors")
    shutil.copytree(NETWORKS, tmp_path / "code", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "code" / "depth.txt").write_text("4")
    return tmp_path


def asked(home: Path, name: str = "mine", **other: Any) -> Asked:
    given: dict[str, Any] = {
        "network": f"{home}/code/digits.py:build",
        "weights": f"{home}/weights.safetensors",
        "data": f"{home}/search.npz",
        "report_data": f"{home}/report.npz",
        "calibration_data": f"{home}/training.npz",
        "flags": {"mean": [0.3], "std": [0.35]},
    }
    return Asked(name, **(given | other))


def added(home: Path, name: str = "mine", allow_chance: bool = False, **other: Any) -> dict[str, Any]:
    return dict(adding.added(open_library(), asked(home, name, **other), lambda *_: None, allow_chance=allow_chance))


def kept(home: Path) -> list[str]:
    """What lies in the user's catalogue."""
    folder = home / "data" / "catalog"
    return sorted(str(path.relative_to(folder)) for path in folder.glob("*/*")) if folder.is_dir() else []


def test_the_digits_network_as_ones_own_has_its_figures(home: Path) -> None:
    found = added(home)
    card = DIGITS.card
    assert (found["keys_loaded"], found["keys_missing"], found["keys_unexpected"]) == (len(DIGITS.weights), 0, 0)
    assert found["parameters"] == sum(layer.weights + layer.biases for layer in DIGITS.profile.layers) + sum(
        2 * width
        for width in (8, 16, 24, 24)  # scale and shift of the norms
    )
    assert found["flops"] == DIGITS.profile.flops
    assert (found["search_images"], found["report_images"]) == (500, 500)
    assert found["search_top1_percent"] == card.search_top1_percent
    assert found["report_top1_percent"] == card.report_top1_percent
    low, high = found["report_top1_interval"]
    assert low < card.report_top1_percent < high
    assert found["operators"] == {"conv2d": 4, "linear": 1}
    assert found["operators_refused"] == []
    assert found["estimate"]["evaluations"] > 0
    assert Path(found["contact_sheet"]).is_file()
    model = open_library().model("mine")
    assert not model.bundled
    assert model.dataset.class_names == tuple(map(str, range(10)))
    # A copy of the code and of what it imports, and of nothing else.
    assert sorted(path.name for path in (model.folder / "code").iterdir()) == ["blocks.py", "digits.py"]


def test_everything_that_evaluates_works_on_it(home: Path) -> None:
    added(home)
    shutil.rmtree(home / "code")
    model = open_library().model("mine")
    images = ImageSet(SplitName.REPORT, 500)
    evaluator = TorchEvaluator(model, images, space.JOINT.quantizer(model.dataset))
    for weights, activations in ((FP32_BITS, FP32_BITS), (8, 8)):
        policy = model.profile.uniform(weights, activations)
        outcomes = model.metric.blank(500)
        for _ in evaluator.chunks(policy, None, outcomes):
            pass
        right = model.metric.score(outcomes, model.dataset.report.labels)
        assert right == pytest.approx(5 * model.card.report_top1_percent, abs=5)  # of 500; 8 bits change at most 1 %


def test_an_edited_file_is_a_new_model(home: Path) -> None:
    """Another bit of a tensor, a rounding to half and back, another normalisation, label or pixel."""
    first = added(home)
    hashes = {first["model_hash"]}
    state = {name: torch.from_numpy(np.array(array)) for name, array in DIGITS.weights.items()}
    state["linear.bias"][0] += 1e-3
    torch.save(state, home / "nudged.pt")
    half = {name: torch.from_numpy(np.array(array)).half().float() for name, array in DIGITS.weights.items()}
    torch.save(half, home / "half.pt")
    for name in ("nudged", "half"):
        hashes.add(added(home, name, weights=f"{home}/{name}.pt")["model_hash"])
    hashes.add(added(home, "shifted", flags={"mean": [0.3], "std": [0.36]})["model_hash"])
    assert len(hashes) == 4
    assert added(home, "again")["model_hash"] == first["model_hash"]
    with np.load(home / "report.npz") as file:
        images, labels = file["images"], file["labels"]
    images[7, 0, 0, 0] ^= 1
    np.savez(home / "pixel.npz", images=images, labels=labels)
    pixel = added(home, "pixel", report_data=f"{home}/pixel.npz")
    assert pixel["report_hash"] != first["report_hash"]
    assert pixel["search_hash"] == first["search_hash"]
    images[7, 0, 0, 0] ^= 1
    labels[7] = (labels[7] + 1) % 10
    np.savez(home / "label.npz", images=images, labels=labels)
    assert added(home, "label", report_data=f"{home}/label.npz")["report_hash"] != first["report_hash"]


def test_one_set_serves_for_everything(home: Path) -> None:
    found = added(home, report_data=None, calibration_data=None)
    # 500 images: a tenth calibrates, 225 search and 225 judge.
    assert (found["search_images"], found["report_images"], found["calibration_images"]) == (225, 225, 50)
    assert found["all_right"] == 5 * DIGITS.card.search_top1_percent
    assert found["all_images"] == 500


def test_classes_in_another_order_are_noticed(home: Path) -> None:
    """Labels shifted by one: nearly nothing is right, and nearly everything would be."""
    with np.load(home / "search.npz") as file:
        np.savez(home / "shifted.npz", images=file["images"], labels=(file["labels"] + 1) % 10)
    found = added(home, data=f"{home}/shifted.npz", report_data=None)
    assert found["search_top1_percent"] < 10
    better = found["better_class_order"]
    assert better["top1_percent"] > 90
    assert added(home, "right")["better_class_order"] is None


def test_folders_that_are_numbers_are_classes_in_their_order(home: Path) -> None:
    """Twelve greys, four images of each: as text, only folders 0 and 1 stand where they are as numbers."""
    for number in range(12):
        for place in range(4):
            path = home / "greys" / str(number) / f"{place}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (8, 8 + place), 20 * number).save(path)
    (home / "greys" / "3" / ".DS_Store").write_bytes(b"x")
    greys: dict[str, Any] = {
        "network": f"{home}/code/digits.py:colour",
        "weights": "default",
        "data": f"{home}/greys",
        "report_data": None,
        "calibration_data": None,
        "flags": {"crop": [8]},
    }
    found = added(home, **greys)
    assert (found["all_right"], found["all_images"], found["better_class_order"]) == (48, 48, None)
    (home / "as_text.txt").write_text("\n".join(sorted(map(str, range(12)))))
    found = added(home, "text", classes=f"{home}/as_text.txt", allow_chance=True, **greys)
    assert (found["all_right"], found["all_images"]) == (2 * 4, 48)
    judged = found["search_images"] + found["report_images"]
    assert found["better_class_order"] == {"right": judged, "of": judged, "top1_percent": 100}


def test_predictions_at_random_have_no_better_order() -> None:
    """Of 20 orders drawn the best is as good: in one of 21 draws ours would win, and the seeds are fixed."""
    generator = np.random.default_rng(1)
    labels = np.arange(600) % 300
    assert better_order(generator.integers(0, 300, 600), labels, 300) is None
    assert better_order((labels + 1) % 300, labels, 300) == 600
    assert better_order((labels + 1) % 300, labels, 2000) is None  # not looked for


def test_chance_level_stops_after_the_whole_dry_run(home: Path) -> None:
    with pytest.raises(adding.RefusedError, match="right as often as guessing would be") as refused:
        added(home, weights="random")
    assert refused.value.status == 2
    assert refused.value.document["is_chance"]
    assert refused.value.document["estimate"]["images"] == 500
    assert kept(home) == []
    added(home, weights="random", allow_chance=True)
    assert open_library().model("mine").card.is_chance


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"network": "net"}, "network='net' cannot be read; give path/to/net.py:build, torchvision:resnet50"),
        ({"network": "none.py:build"}, "there is no file"),
        (
            {"network": "{home}/code/digits.py:made"},
            "unknown function of digits.py 'made'; choose from Digits, Undecided",
        ),
        (
            {"network": "{home}/code/digits.py:sized"},
            "cannot be called without arguments .*give its parameters defaults",
        ),
        ({"network": "{home}/code/digits.py:text"}, "returns str, not a torch.nn.Module"),
        ({"network": "{home}/code/digits.py:fails"}, r"fails at digits.py:\d+: KeyError: 'depth'"),
        ({"network": "{home}/code/digits.py:reads"}, "fails at .*depth.txt'; .* its copy has only .py files"),
        ({"network": "{home}/code/digits.py:ends"}, r"ends\(\) fails at digits.py:\d+: SystemExit: 2; mend it"),
        ({"network": "{home}/code/digits.py:NETWORK"}, "NETWORK is a network; name a function that builds it"),
        ({"network": "{home}/code/digits.py:lazy"}, "lazy layers, whose sizes are open until it runs; run it in lazy"),
        (
            {"network": "{home}/code/digits.py:without_values"},
            "built on the meta device, .* build it on the CPU, or count",
        ),
        (
            {"network": "{home}/code/digits.py:spatial"},
            r"gives \[1, 10, 1, 1\] for one image, a classifier gives \[1, classes\], 2 or more of these; wrap it",
        ),
        (
            {"network": "{home}/code/digits.py:one_output", "weights": "default"},
            r"gives \[1, 1\] for one image, .* 2 or more of these",
        ),
        (
            {"network": "{home}/code/digits.py:no_layers", "weights": "default"},
            "does no multiply-accumulates, so nothing is counted; give another network",
        ),
        (
            {"network": "{home}/code/digits.py:no_bits", "weights": "default"},
            "no layer of mine can have bits, .*; count it alone by --only-profile",
        ),
        ({"exclude": ("block1", "block2", "block3", "block4", "linear")}, "no layer of mine can have bits"),
        ({"network": "torchvision:resnet19"}, "unknown network of torchvision 'resnet19'; choose from .*resnet18"),
        ({"network": "timm:resnet18"}, "timm is not installed"),
        ({"network": "{home}/weights.safetensors.pt2"}, "there is no file"),
        ({"weights": "{home}/none.pt"}, "none.pt' is not there; give a .safetensors file"),
        ({"data": "{home}/none.npz"}, "neither there nor a data set"),
        ({"exclude": ("block9",)}, "exclude='block9' is no layer of mine; choose from block1.conv, .*linear"),
        ({"weights": "random", "key": "ema"}, "key='ema' is of use with a checkpoint; leave --key out"),
        ({"device": "tpu"}, "device='tpu' is not offered; choose from cpu, cuda"),
        ({"flags": {"mean": [0.3, 0.3], "std": [0.35, 0.35]}}, "images have 1 channels; give one a channel"),
        ({"name": "digits_cnn"}, "'digits_cnn' ships with the app; choose another name"),
        ({"name": "cifar10"}, "'cifar10' ships with the app; choose another name"),
        ({"title": "x" * 61}, "title='x+' is not offered; use at most 60 characters, on one line"),
        ({"title": "two\nlines"}, "use at most 60 characters, on one line"),
        ({"name": "../mine"}, "use 1 to 60 letters, digits"),
        ({"network": "{home}/code/digits.py:drops"}, "dropout .*drops in evaluation too"),
    ],
)
def test_what_is_refused_leaves_nothing(
    home: Path, other: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)  # as where it is not installed
    filled = {key: value.format(home=home) if isinstance(value, str) else value for key, value in other.items()}
    with pytest.raises(AiqError, match=said):
        added(home, **({"name": "mine"} | filled))
    assert kept(home) == []


def test_no_layer_of_those_left_out_has_bits(home: Path) -> None:
    assert added(home, exclude=("block1", "linear"))["quantizable_layers"] == 3
    assert open_library().model("mine").profile.quantizable_names == ("block2.conv", "block3.conv", "block4.conv")


def test_weights_that_do_not_fit_are_counted_in_the_document(home: Path) -> None:
    state = {name: torch.from_numpy(np.array(array)) for name, array in DIGITS.weights.items()}
    del state["linear.bias"]
    torch.save(state | {"extra": torch.zeros(1), "linear.weight": torch.zeros(10, 23)}, home / "odd.pt")
    with pytest.raises(
        adding.RefusedError, match="1 missing .linear.bias.; 1 unexpected .extra.; 1 of another"
    ) as refused:
        added(home, weights=f"{home}/odd.pt")
    document = refused.value.document
    assert [document[f"keys_{kind}"] for kind in ("missing", "unexpected", "misshaped")] == [1, 1, 1]
    assert document["operators_refused"] == []


def test_a_network_with_a_condition_and_a_dict_of_results(home: Path) -> None:
    with pytest.raises(
        adding.RefusedError, match=r"aux \[1, 8\], out \[1, 10\].* which are the logits is open"
    ) as refused:
        added(home, network=f"{home}/code/digits.py:undecided")
    assert len(refused.value.document["operators_refused"]) == 1
    found = added(home, network=f"{home}/code/digits.py:undecided", result="out")
    assert found["report_top1_percent"] == DIGITS.card.report_top1_percent
    assert found["flops"] == DIGITS.profile.flops


def test_a_network_of_half_precision_computes_in_float32(home: Path) -> None:
    found = added(home, network=f"{home}/code/digits.py:halved")
    assert found["report_top1_percent"] == DIGITS.card.report_top1_percent
    found = added(home, "own", network=f"{home}/code/digits.py:halved", weights="default", allow_chance=True)
    numbers = sum(tensor.size for tensor in DIGITS.weights.values())
    assert f"stored as float16, {2 * numbers:,} B; used as float32, {4 * numbers:,} B" in found["said"]
    model = open_library().model("own")
    evaluator = TorchEvaluator(model, ImageSet(SplitName.SEARCH, 100))
    assert len(list(evaluator.chunks(model.profile.uniform(8), None, model.metric.blank(100))))


def test_two_networks_may_have_files_of_the_same_names(home: Path) -> None:
    """Each is built from its own copy, whatever was imported before."""
    added(home)
    path = home / "code" / "blocks.py"
    path.write_text(path.read_text().replace(".relu()", ".relu().mul(0.5)"))
    other = added(home, "halved", allow_chance=True)
    library = open_library()
    for name, hash_ in (("mine", library.model("mine").hash), ("halved", other["model_hash"])):
        model = library.model(name)
        images = ImageSet(SplitName.SEARCH, 500)
        evaluator = TorchEvaluator(model, images)
        outcomes = model.metric.blank(500)
        list(evaluator.chunks(model.profile.uniform(FP32_BITS), None, outcomes))
        assert model.hash == hash_
        assert model.metric.score(outcomes, model.dataset.search.labels) == round(5 * model.card.search_top1_percent)
    assert library.model("mine").hash != other["model_hash"]


@pytest.mark.parametrize("channels", [1, 3])
def test_a_view_of_what_lies_channel_after_channel(home: Path, channels: int) -> None:
    """Runs in the dry run, grey images too; benches leave out the layout in which the code fails, and say so."""
    (home / "code" / "views.py").write_text(
        "from torch import nn\n\n\nclass Views(nn.Module):\n    def __init__(self):\n        super().__init__()\n"
        f"        self.conv, self.head = nn.Conv2d({channels}, 4, 3), nn.Linear(144, 10)\n\n"
        "    def forward(self, x):\n        x = self.conv(x)\n        return self.head(x.view(len(x), -1))\n"
    )
    images = np.random.default_rng(0).integers(0, 256, (40, 8, 8, channels), np.uint8)
    np.savez(home / "noise.npz", images=images, labels=np.arange(40) % 10)
    given = {"network": f"{home}/code/views.py:Views", "weights": "random", "flags": {}}
    data = {"data": f"{home}/noise.npz", "report_data": None, "calibration_data": None}
    added(home, allow_chance=True, **given, **data)
    bench = Bench(open_library().model("mine"), (), (Engine.EAGER, Engine.CHANNELS_LAST), 1)
    assert list(bench.missing) == [Engine.CHANNELS_LAST]
    assert bench.missing[Engine.CHANNELS_LAST].startswith("the code of mine does not run so (RuntimeError: view size")


def test_a_forward_that_fails_is_said_with_the_images_it_fails_on(home: Path) -> None:
    (home / "code" / "one.py").write_text(
        "from torch import nn\n\n\nclass One(nn.Linear):\n    def __init__(self):\n        super().__init__(64, 10)\n\n"
        "    def forward(self, x):\n        return super().forward(x.reshape(1, 64))\n"
    )
    with pytest.raises(EvaluationError, match=r"mine fails on images of \[125, 1, 8, 8\] \(RuntimeError: shape .* add"):
        added(home, network=f"{home}/code/one.py:One", weights="random", allow_chance=True)
    assert kept(home) == []


def test_an_exported_program(home: Path) -> None:
    network = Source.parse(f"{home}/code/digits.py:build").build()
    network.load_state_dict({name: torch.from_numpy(np.array(a)) for name, a in DIGITS.weights.items()}, strict=False)
    batch = torch.export.Dim("batch", max=1024)
    program = torch.export.export(network, (torch.zeros(2, 1, 8, 8),), dynamic_shapes=({0: batch},))
    torch.export.save(program, home / "digits.pt2")
    found = added(home, network=f"{home}/digits.pt2", weights="default")
    assert found["report_top1_percent"] == DIGITS.card.report_top1_percent
    (home / "digits.pt2").write_bytes(b"PK not a program")
    with pytest.raises(SettingError, match="is not an exported program that can be read here"):
        added(home, "broken", network=f"{home}/digits.pt2", weights="default")


def test_removing_takes_the_copies_away(home: Path) -> None:
    added(home)
    with pytest.raises(
        SettingError, match="there is a model 'mine' already; choose another name, or `remove mine` first"
    ):
        added(home)
    adding.remove(open_library(), "mine")
    assert kept(home) == []
    with pytest.raises(UnknownNameError):
        adding.remove(open_library(), "mine")
    with pytest.raises(SettingError, match="digits_cnn ships with the app and stays"):
        adding.remove(open_library(), "digits_cnn")


def test_of_two_that_are_added_at_once_under_one_name_the_first_stays(home: Path) -> None:
    first = {}

    def decide(_: Any) -> bool:
        first.update(added(home, flags={"mean": [0.2], "std": [0.35]}))
        return True

    with pytest.raises(SettingError, match="there is a model 'mine' already"):
        adding.added(open_library(), asked(home), lambda *_: None, decide)
    assert open_library().model("mine").hash == first["model_hash"]
    assert open_library().model("mine").weights
    assert kept(home) == ["data/mine", "models/mine"]


def test_what_cannot_be_written_is_said_and_leaves_nothing(home: Path) -> None:
    """As on a full disc: no file may have more than 20 kB, which 500 images of 64 bytes have."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    library = open_library()
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(DataError, match="cannot be used .File too large.; make room, .* or set AIQ_DATA_DIR"):
            adding.added(library, asked(home), lambda *_: None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert kept(home) == []
    (home / "data" / "catalog").rmdir()
    (home / "data" / "catalog").touch()
    with pytest.raises(DataError, match="data/catalog cannot be used .File exists.; make room, change its permissions"):
        adding.added(library, asked(home), lambda *_: None)


def test_a_model_whose_images_are_gone_takes_no_other_with_it(home: Path) -> None:
    added(home)
    shutil.rmtree(home / "data" / "catalog" / "data" / "mine")
    assert "mine" not in open_library().models
    assert added(home)["added"]


def test_a_no_leaves_nothing(home: Path) -> None:
    line = ["add", "mine", "--network", f"{home}/code/digits.py:build", "--data", f"{home}/search.npz"]
    said = CliRunner().invoke(app, [*line, "--weights", f"{home}/weights.safetensors", *SCALED], input="n\n")
    assert said.exit_code == 0
    assert "Nothing was added." in said.output
    assert "FP32 top-1 on report" in said.output
    assert kept(home) == []


def test_ctrl_c_leaves_nothing(home: Path) -> None:
    line = ["add", "mine", "--network", f"{home}/code/digits.py:interrupted", "--data", f"{home}/search.npz", "--yes"]
    said = CliRunner().invoke(app, line)
    assert said.exit_code == 130
    assert "Cancelled; nothing was added." in said.output
    assert kept(home) == []


def test_counted_alone_without_weights_or_data(home: Path) -> None:
    line = ["add", "bare", "--network", f"{home}/code/digits.py:build", "--only-profile", "--yes", "--json"]
    said = CliRunner().invoke(app, line)
    assert said.exit_code == 1
    assert "give the size of its images by --crop" in str(said.exception)
    said = CliRunner().invoke(app, [*line, "--crop", "8"])
    assert said.exit_code == 0, said
    found = json.loads(said.stdout)
    assert "leave them out" in str(CliRunner().invoke(app, [*line, "--crop", "8", "--data", "photos"]).exception)
    assert found["flops"] == DIGITS.profile.flops
    assert found["search_top1_percent"] is None
    assert kept(home) == ["profiles/bare.json"]
    printed = json.loads(CliRunner().invoke(app, ["profile", "bare", "--json"]).stdout)
    assert printed["flops"] == DIGITS.profile.flops
    assert CliRunner().invoke(app, ["remove", "bare", "--yes"]).exit_code == 0
    assert kept(home) == []


def test_what_asks_for_values_is_counted_alone_by_an_example(home: Path) -> None:
    (home / "asks.py").write_text(
        "from torch import nn\n\n\nclass Asks(nn.Linear):\n    def forward(self, x):\n"
        "        x = x.flatten(1)\n        return super().forward(x if x.mean() < 9 else -x)\n\n\n"
        "def build():\n    return Asks(12, 5)\n"
    )
    asked = Asked("asks", f"{home}/asks.py:build", "default", "", flags={"crop": [2]})
    counted, _ = counted_alone(asked)
    assert counted.flops == 2 * 12 * 5
    # Other images may go another way, so no activations have bits.
    policy = counted.uniform(8, 8)
    assert policy.key == "w8 a"
    assert Policy.from_key(policy.key) == policy


def test_a_configuration_without_weights_is_counted_alone_or_not_at_all(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)  # as where it is not installed
    (home / "config.json").write_text('{"model_type": "bert"}')
    line = ["add", "bare", "--network", f"{home}/config.json", "--yes"]
    for more, remedy in (
        (["--data", f"{home}/search.npz"], "has no weights: count it alone by --only-profile"),
        (["--only-profile", "--tokens", "8"], "install it by `.venv/bin/python -m pip install transformers`"),
    ):
        said = CliRunner().invoke(app, [*line, *more])
        assert said.exit_code == 1
        assert remedy in str(said.exception)
    of_images = ["add", "bare", "--network", f"{home}/code/digits.py:build", "--only-profile", "--tokens", "8"]
    assert "reads images; leave --tokens out" in str(CliRunner().invoke(app, of_images).exception)
    assert kept(home) == []


def test_blocks_that_were_changed_are_noticed(home: Path) -> None:
    added(home)
    model = open_library().model("mine")
    path = model.dataset.search.folder / "search.npy"
    images = np.load(path)
    images[3, 0, 0, 0] ^= 1
    np.save(path, images)
    with pytest.raises(DataError, match="block 0 of .*search.npy does not hold the images"):
        open_library().model("mine").dataset.search.images(10)


def command(home: Path, *more: str, name: str = "mine", weights: str | None = None) -> Any:
    line = ["add", name, "--network", f"{home}/code/digits.py:build", "--data", f"{home}/search.npz"]
    line += ["--weights", weights or f"{home}/weights.safetensors", *SCALED]
    return CliRunner().invoke(app, [*line, *more])


def test_the_command_asks_and_says_all_as_json(home: Path) -> None:
    said = command(home, "--json", "--yes")
    assert said.exit_code == 0, said
    document = json.loads(said.stdout)
    assert {
        "name", "keys_loaded", "keys_missing", "keys_unexpected", "parameters", "flops", "moved_bytes", "intensity",
        "search_images", "report_images", "search_top1_percent", "report_top1_percent", "operators_refused", "estimate",
    } <= document.keys()  # fmt: skip
    assert document["estimate"].keys() >= {"evaluations", "minutes"}
    asked = CliRunner().invoke(app, ["remove", "mine"], input="n\n")
    assert "0 runs and what was evaluated stay" in " ".join(asked.stdout.split())
    assert asked.exit_code == 1
    assert CliRunner().invoke(app, ["remove", "mine", "--yes"]).exit_code == 0
    assert kept(home) == []
    said = command(home, "--json", "--yes", weights="random")
    assert said.exit_code == 2
    assert json.loads(said.stdout)["is_chance"]
