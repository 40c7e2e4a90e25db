"""What ships: hashes, splits, excerpts and refusals."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from aiq_core.catalog import ASSETS
from aiq_core.catalog.hashes import model_hash
from aiq_core.catalog.model import read_weights
from aiq_core.errors import DataError, UnknownNameError, WeightsError
from aiq_core.graph import Operation
from aiq_core.records import ImageSet, SplitName
from tests import bundled

SHIPPED = [("cifar10", split, 2000) for split in SplitName] + [("digits", split, 500) for split in SplitName]


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AIQ_CACHE_DIR", str(tmp_path))
    return tmp_path


def test_the_papers_models_come_first() -> None:
    assert bundled.NAMES == ("resnet20", "mobilenet_v2", "heavy_early_resnet20", "plain_convnet20", "digits_cnn")


def test_figures_of_the_bundled_weights() -> None:
    resnet, mobilenet = bundled.model("resnet20").card, bundled.model("mobilenet_v2").card
    assert (resnet.search_top1_percent, resnet.report_top1_percent) == pytest.approx((92.90, 92.25))
    assert (mobilenet.search_top1_percent, mobilenet.report_top1_percent) == pytest.approx((88.14, 87.37))
    assert resnet.recipe["kept"] == "averaged"


@pytest.mark.parametrize("name", bundled.NAMES)
def test_weights_match_their_card(name: str) -> None:
    tensors = bundled.model(name).weights
    parameters = {key for key in tensors if "running" not in key}
    profile = bundled.profile(name)
    counted = sum(layer.weights + layer.biases for layer in profile.layers)
    in_layers = sum(
        tensors[key].size for layer in profile.layers for key in (f"{layer.name}.weight", f"{layer.name}.bias")
        if key in parameters
    )  # fmt: skip
    assert in_layers == counted


def test_model_hash_covers_graph_preprocessing_and_tensors() -> None:
    tensors = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.zeros((), np.float32)}
    graph = (Operation("image"), Operation("conv2d", (0,), "a", {"stride": [1, 1]}))
    base = model_hash(graph, (0.5,), (0.2,), tensors)
    assert model_hash(graph, (0.5,), (0.2,), dict(reversed(tensors.items()))) == base
    others = [
        model_hash((graph[0], Operation("conv2d", (0,), "a", {"stride": [2, 2]})), (0.5,), (0.2,), tensors),
        model_hash((graph[0], Operation("conv2d", (0,), "b", {"stride": [1, 1]})), (0.5,), (0.2,), tensors),
        model_hash(graph, (0.4,), (0.2,), tensors),
        model_hash(graph, (0.5,), (0.3,), tensors),
        model_hash(graph, (0.5,), (0.2,), tensors | {"a": tensors["a"].reshape(3, 2)}),
        model_hash(graph, (0.5,), (0.2,), tensors | {"a": tensors["a"].astype(np.float64)}),
        model_hash(graph, (0.5,), (0.2,), tensors | {"b": np.ones((), np.float32)}),
        model_hash(graph, (0.5,), (0.2,), tensors | {"b": np.zeros(1, np.float32)}),
    ]
    assert len({base, *others}) == 9
    assert len(base) == 16


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("resnet20", "86c84ee3fd0b39d0"),
        ("mobilenet_v2", "b28807c3fcd75477"),
        ("heavy_early_resnet20", "2a6c75ede1e54f23"),
        ("plain_convnet20", "c9ae72e9393175fc"),
        ("digits_cnn", "fe5453af078299b1"),
    ],
)
def test_bundled_models_keep_the_hashes_their_evaluations_carry(name: str, known: str) -> None:
    card, graph, tensors = bundled.model(name).card, bundled.profile(name).graph, bundled.model(name).weights
    assert model_hash(graph, card.mean, card.std, tensors) == card.model_hash == known
    assert model_hash(graph[:-1], card.mean, card.std, tensors) != known


@pytest.mark.parametrize(
    ("places", "said"),
    [
        ({(3, 2): np.nan}, r"1 NaN at \[3, 2\]\)"),
        ({(5, 0): np.inf}, r"1 infinite at \[5, 0\]\)"),
        ({(7, 1): np.nan, (3, 2): np.nan, (6, 0): -np.inf}, r"2 NaN at \[3, 2\], 1 infinite at \[6, 0\]"),
    ],
)
def test_weights_that_are_not_finite_are_refused(
    tmp_path: Path, places: dict[tuple[int, int], float], said: str
) -> None:
    weight = np.ones((8, 16), np.float32)
    for place, value in places.items():
        weight[place] = value
    save_file({"counter": np.array(3), "fc.weight": weight}, tmp_path / "odd.safetensors")
    with pytest.raises(WeightsError, match=r"odd\.safetensors cannot be used \(fc\.weight: " + said):
        read_weights(tmp_path / "odd.safetensors")


@pytest.mark.parametrize("content", [pickle.dumps({"a": 1}), b"", b"\x08", b"PK\x03\x04" + bytes(60)])
def test_what_is_not_safetensors_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"weights\.safetensors is not a safetensors file.*save_file"):
        read_weights(path)


def test_truncated_weights_are_refused(tmp_path: Path) -> None:
    whole = (ASSETS / "models" / "digits_cnn" / "weights.safetensors").read_bytes()
    path = tmp_path / "weights.safetensors"
    path.write_bytes(whole[:-100])
    with pytest.raises(WeightsError, match="not a safetensors file"):
        read_weights(path)


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="absent.safetensors cannot be read"):
        read_weights(tmp_path / "absent.safetensors")


def test_altered_weights_do_not_match_the_card(tmp_path: Path) -> None:
    source = ASSETS / "models" / "digits_cnn"
    folder = tmp_path / "models" / "digits_cnn"
    folder.mkdir(parents=True)
    for file in ("card.json", "profile.json"):
        (folder / file).write_bytes((source / file).read_bytes())
    content = bytearray((source / "weights.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "weights.safetensors").write_bytes(content)
    with pytest.raises(WeightsError, match=f"its card says {bundled.model('digits_cnn').hash}"):
        replace(bundled.model("digits_cnn"), folder=folder).weights  # noqa: B018


@pytest.mark.parametrize(("dataset", "split", "count"), SHIPPED)
def test_excerpts_are_whole_and_balanced(dataset: str, split: SplitName, count: int) -> None:
    pixels, labels = bundled.dataset(dataset).split(split).excerpt, bundled.dataset(dataset).split(split).labels
    assert pixels.shape[0] == count == bundled.dataset(dataset).excerpt_size
    assert labels.shape == (bundled.dataset(dataset).split(split).size,)
    # Round-robin over classes: every prefix of a multiple of 10 is balanced.
    assert np.array_equal(labels, np.tile(np.arange(10), len(labels) // 10))
    assert not pixels.flags.writeable
    assert len(bundled.dataset(dataset).split(split).blocks) == bundled.dataset(dataset).split(split).size // 500


def test_how_the_classes_share_a_prefix_is_said() -> None:
    digits = bundled.dataset("digits").search
    assert digits.balance(500) == "50 of each class" and digits.balance(41) == "4 or 5 of each class"
    assert bundled.dataset("cifar10").report.balance(10_000) == "1,000 of each class"


def test_split_sizes() -> None:
    assert [bundled.dataset("cifar10").split(split).size for split in SplitName] == [5000, 10_000]
    assert [bundled.dataset("digits").split(split).size for split in SplitName] == [500, 500]
    assert bundled.dataset("cifar10").class_names[3] == "cat"


def test_hashes_identify_splits() -> None:
    hashes = {bundled.dataset(dataset).split(split).hash for dataset, split, _ in SHIPPED}
    assert len(hashes) == 4
    others = {bundled.dataset(dataset).split("calibration").hash for dataset in ("cifar10", "digits")}
    assert len(others | hashes) == 6


@pytest.mark.parametrize("dataset", bundled.CATALOG.datasets)
def test_calibration_lies_outside_both_splits(dataset: str) -> None:
    calibration = {image.tobytes() for image in bundled.dataset(dataset).split("calibration").excerpt}
    assert len(bundled.dataset(dataset).split("calibration").excerpt) == 512
    for split in SplitName:
        assert not calibration & {image.tobytes() for image in bundled.dataset(dataset).split(split).excerpt}


def test_unknown_names_list_what_there_is() -> None:
    with pytest.raises(UnknownNameError, match="unknown model 'x'; choose from resnet20"):
        bundled.model("x")
    with pytest.raises(UnknownNameError, match="unknown dataset 'imagenet'; choose from cifar10, digits"):
        bundled.dataset("imagenet")
    with pytest.raises(UnknownNameError, match="unknown split 'validation'"):
        bundled.dataset("digits").split("validation")


def test_images_need_no_cache_where_they_ship(empty_cache: Path) -> None:
    assert bundled.dataset("digits").images(ImageSet(SplitName.REPORT, 500)).shape == (500, 8, 8, 1)
    assert bundled.dataset("cifar10").images(ImageSet(SplitName.SEARCH, 2000)).shape == (2000, 32, 32, 3)
    assert bundled.dataset("digits").is_here
    assert not bundled.dataset("cifar10").is_here


def test_images_beyond_the_excerpt_name_the_remedy(empty_cache: Path) -> None:
    with pytest.raises(DataError, match="5000 images of search .* 2000 ship .*python -m aiq_core data"):
        bundled.dataset("cifar10").images(ImageSet(SplitName.SEARCH, 5000))
    with pytest.raises(DataError, match="510 images of search .* has 500"):
        bundled.dataset("digits").images(ImageSet(SplitName.SEARCH, 510))


def test_a_damaged_cache_is_refused(empty_cache: Path) -> None:
    path = bundled.dataset("cifar10").split(SplitName.SEARCH).cached_file
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\x93NUMPY")
    with pytest.raises(DataError, match=r"search\.npy cannot be read"):
        bundled.dataset("cifar10").images(ImageSet(SplitName.SEARCH, 5000))
    np.save(path, np.zeros((5000, 32, 32, 3), np.uint8))
    with pytest.raises(DataError, match=r"search\.npy does not hold the search images"):
        bundled.dataset("cifar10").images(ImageSet(SplitName.SEARCH, 5000))


@pytest.mark.skipif(not bundled.dataset("cifar10").is_here, reason="CIFAR-10 is not in the cache")
@pytest.mark.parametrize("split", SplitName)
def test_excerpt_equals_the_fetched_images(split: SplitName) -> None:
    whole = bundled.dataset("cifar10").images(ImageSet(split, bundled.dataset("cifar10").split(split).size))
    assert np.array_equal(whole[:2000], bundled.dataset("cifar10").split(split).excerpt)
